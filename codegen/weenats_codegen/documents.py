"""Contracts as documents, which running services answer with."""

import tempfile
from pathlib import Path
from typing import Final

from weenats_codegen.compatibility.compare import compare
from weenats_codegen.compatibility.findings import Level, Party
from weenats_codegen.compatibility.reports import details
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.revisions import Contracts

RUNNING: Final = "running:"
"""What users see before the name of a service, instead of the folder of its contract."""
_BROKEN: Final = frozenset({Party.OLD_CLIENT, Party.EVENT_CONSUMER})


def read_document(content: bytes, service: str) -> Contracts:
    """Return the contract in a document.

    The document may come from anyone: it is read as any contract is, and no other file is opened.

    Args:
        content: The document.
        service: The name of the service.

    Raises:
        ContractError: The document is not a valid contract.
    """
    with tempfile.TemporaryDirectory(prefix="weenats-") as root:
        folder = Path(root, service)
        folder.mkdir()
        (folder / "service.json").write_bytes(content)
        found = Contracts((), Path(root).as_posix(), RUNNING)
        try:
            return Contracts((read(folder),), found.folder, found.shown)
        except ContractError as error:
            raise ContractError(
                [
                    each._replace(location=found.location(each.location))
                    for each in error.diagnostics
                ]
            ) from None


def breaking(client: str, service: bytes, digest: str) -> list[str]:
    """Return what of a running service breaks a client, one line each.

    It is the entry point of the runtime for clients, where the generator is installed.

    Args:
        client: The document of the contract that the client was generated from.
        service: The document that a running service sent.
        digest: The digest that the service reports.

    Raises:
        ValueError: A document is not valid, or that of the service is not the one it reports.
    """
    try:
        [own] = read_document(client.encode(), "client").contracts
        [running] = read_document(service, "service").contracts
    except ContractError as error:
        raise ValueError(str(error)) from None
    if running.service != own.service or running.digest != digest:
        raise ValueError("the document is not that of the contract which the service reports")
    return [
        "; ".join([f"{finding.rule.id}: {finding.message}", *details(finding)])
        for finding in compare(own, running).findings
        if finding.rule.level is Level.ERROR and finding.rule.breaks in _BROKEN
    ]
