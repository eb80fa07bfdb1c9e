"""The command `docs`: one HTML page of contracts, and an AsyncAPI document of each."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from weenats_codegen.cli.diff import servers_of
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import console, emit, emit_line, json_text, plain, warn
from weenats_codegen.compatibility.versions import parsed
from weenats_codegen.docs.asyncapi import asyncapi
from weenats_codegen.docs.page import is_page, page
from weenats_codegen.docs.serve import PageServer
from weenats_codegen.generate import read_contracts
from weenats_codegen.ir.contract import Contract
from weenats_codegen.output.lock import locked
from weenats_codegen.output.transaction import apply, recover

_PAGE: Final = "index.html"


def docs(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Write the page and the documents, and print where they are."""
    _write(read_contracts(schemas), out, as_json=as_json)


def docs_against(url: str, out: Path, *, as_json: bool) -> None:
    """Write the page and the documents of the services that run, each in its highest version.

    Raises:
        CliError: No server is available, or no service that sends its contract is running.
    """
    from weenats_codegen.cli.running_contracts import find_fleet

    fleet = asyncio.run(find_fleet(servers_of(url), None))
    for missing in fleet.not_compared:
        warn(f"{missing.service} {missing.version} is not on the page: {missing.reason}")
    highest: dict[str, Contract] = {}
    for each in sorted(fleet.contracts, key=lambda each: parsed(each.contract.version)):
        if other := highest.get(each.contract.service):
            warn(f"{other.service} {other.version} is running too, and not on the page")
        highest[each.contract.service] = each.contract
    if not highest:
        raise CliError("no service that sends its contract is running")
    _write([highest[name] for name in sorted(highest)], out, as_json=as_json)


def _write(contracts: Sequence[Contract], out: Path, *, as_json: bool) -> None:
    texts = {_PAGE: page(contracts)}
    for contract in contracts:
        texts[f"{contract.service}.asyncapi.json"] = f"{json_text(asyncapi(contract), 2)}\n"
    with locked(out):
        recover(out)
        _check_own(out / _PAGE)
        apply(out, texts, ())
    written = [(out / name).as_posix() for name in texts]
    lines = "\n".join(f"[green]wrote[/]    {plain(path)}" for path in written)
    emit({"written": written}, as_json=as_json, render=lambda: lines)


def _check_own(file: Path) -> None:
    """Refuse to replace a page that somebody else wrote, which may be the start of a site."""
    if file.is_file() and not is_page(file.read_text(encoding="utf-8", errors="replace")):
        raise CliError(
            f"{file.as_posix()} is not a page of `weenats docs`: use another folder with --out, or"
            " remove it"
        )


def serve(schemas: Sequence[Path], port: int, *, as_json: bool) -> None:
    """Serve the page on this machine until Ctrl-C.

    Raises:
        CliError: The port cannot be used.
    """
    try:
        server = PageServer(schemas, port)
    except OSError as error:
        raise CliError(f"cannot use port {port}: {error.strerror}; --port 0 is any") from error
    with server:
        if as_json:
            emit_line({"url": server.url})
        else:
            console().print(f"[bold]{server.url}[/] shows the contracts; press Ctrl-C to stop")
        server.serve_forever()
