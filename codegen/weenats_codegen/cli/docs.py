"""The command `docs`: one HTML page of contracts, and an AsyncAPI document of each."""

from collections.abc import Sequence
from pathlib import Path

from weenats_codegen.cli.output import console, emit, emit_line, json_text
from weenats_codegen.docs.asyncapi import asyncapi
from weenats_codegen.docs.page import page
from weenats_codegen.docs.serve import PageServer
from weenats_codegen.generate import read_contracts


def docs(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Write the page and the documents, and print where they are."""
    contracts = read_contracts(schemas)
    texts = {"index.html": page(contracts)}
    for contract in contracts:
        texts[f"{contract.service}.asyncapi.json"] = f"{json_text(asyncapi(contract), 2)}\n"
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    written = [(out / name).as_posix() for name in texts]
    lines = "\n".join(f"[green]wrote[/]    {path}" for path in written)
    emit({"written": written}, as_json=as_json, render=lambda: lines)


def serve(schemas: Sequence[Path], port: int, *, as_json: bool) -> None:
    """Serve the page on this machine until Ctrl-C."""
    with PageServer(schemas, port) as server:
        if as_json:
            emit_line({"url": server.url})
        else:
            console().print(f"[bold]{server.url}[/] shows the contracts; press Ctrl-C to stop")
        server.serve_forever()
