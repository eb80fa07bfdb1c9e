"""Contracts as documents, which running services answer with.

As a program, `python -m weenats_codegen.documents`, it compares two of them; see `isolated`.
"""

import json
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Final

from weenats_codegen.compatibility.compare import compare
from weenats_codegen.compatibility.findings import Finding, Level, Party
from weenats_codegen.compatibility.reports import details
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.revisions import Contracts

RUNNING: Final = "running:"
"""What users see before the name of a service, instead of the folder of its contract."""
_MAX_CPU: Final = 30
"""Seconds of computing that the program may take; the process that started it may have ended."""
_ABSENT: Final = {"operation-removed": "operation", "event-removed": "event"}
"""What the service lacks, by the rule: if it is older than the client, nothing was removed."""
_BROKEN: Final = frozenset({Party.OLD_CLIENT, Party.EVENT_CONSUMER})


def read_document(
    content: bytes, service: str, limit: AbstractContextManager[None] | None = None
) -> Contracts:
    """Return the contract in a document.

    The document may come from anyone: it is read as any contract is, and no other file is opened.

    Args:
        content: The document.
        service: The name of the service.
        limit: The time limit for reading; by default there is none. It does not hold for making and
            removing the temporary folder, since an interruption would leave the folder behind.

    Raises:
        ContractError: The document is not a valid contract.
    """
    with tempfile.TemporaryDirectory(prefix="weenats-") as root:
        folder = Path(root, service)
        folder.mkdir()
        (folder / "service.json").write_bytes(content)
        found = Contracts((), Path(root).as_posix(), RUNNING)
        try:
            with limit or nullcontext():
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
    return sorted(
        _line(finding)
        for finding in compare(own, running).findings
        if finding.rule.level is Level.ERROR and finding.rule.breaks in _BROKEN
    )


def _line(finding: Finding) -> str:
    """Return a finding for somebody who has the client, which may be older or newer."""
    rule = finding.rule.id
    if rule in _ABSENT:
        names = ", ".join(finding.used_by)
        return f"the running service has no {_ABSENT[rule]} {names} ({rule})"
    return "; ".join([f"{finding.message} ({rule})", *details(finding)])


def main() -> int:
    """Read the arguments of `breaking` as JSON, and print what it returns.

    Returns:
        The exit code.
    """
    with suppress(ImportError, ValueError):  # on Windows; a lower limit is set already
        import resource  # noqa: PLC0415 - not everywhere

        resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU, _MAX_CPU))
    client, service, digest = json.load(sys.stdin)
    try:
        found = breaking(client, service.encode(errors="surrogateescape"), digest)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
