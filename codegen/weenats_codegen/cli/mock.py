"""The command `mock`: serves a contract from its examples, until SIGTERM or Ctrl-C."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer

from weenats.service.event_loop import run as run_on_loop
from weenats.testing import NatsServer
from weenats_codegen.cli.run import announce, serve
from weenats_codegen.mock.mock import Mock


def mock(  # noqa: PLR0913 - the options of a user
    folder: Path,
    servers: Sequence[str],
    errors: Sequence[str],
    *,
    latency: float,
    embedded: bool,
    as_json: bool,
) -> None:
    """Serve the contract in a folder on the given servers, or on an embedded one."""
    made = Mock(folder, latency=latency, keeps_calls=False)  # it may run for long
    for text in errors:
        operation, _, error = text.partition("=")
        if not (operation and error):
            raise typer.BadParameter(f"--error {text} is not OPERATION=ERROR")
        try:
            made.fail(operation, error)
        except ValueError as problem:
            raise typer.BadParameter(f"--error {text}: {problem}") from None
    announce_it = partial(announce, as_json=as_json)
    if embedded:
        with NatsServer() as server:
            run_on_loop(serve(made.builder(server.url), server.url, announce_it))
    else:
        url = ", ".join(servers)
        run_on_loop(serve(made.builder(servers), url, announce_it))
