"""The command `run`: serves until SIGTERM or Ctrl-C, then finishes the requests it has accepted."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final

from weenats.errors import UnavailableError
from weenats.logging import LineFormatter
from weenats.service import NatsService, NatsServiceBuilder
from weenats.service.signals import StopSignals
from weenats.testing import NatsServer
from weenats.transport.servers import check_servers
from weenats_codegen.cli.connection import no_server
from weenats_codegen.cli.output import console, discard, emit_line, warn
from weenats_codegen.cli.targets import build, builder_of, user_error

_PATIENCE: Final = 0.5
"""Seconds that connecting may take until the user is told of it."""


def run(target: str, servers: Sequence[str], *, embedded: bool, as_json: bool) -> None:
    """Serve MODULE:NAME on the given servers, on an embedded one, or on those of its builder."""
    builder = builder_of(target)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if embedded:
        with NatsServer() as server:
            asyncio.run(serve(builder.with_servers(server.url), server.url, as_json=as_json))
    elif servers:
        url = ", ".join(map(str, check_servers(servers)))
        asyncio.run(serve(builder.with_servers(servers), url, as_json=as_json))
    else:
        asyncio.run(serve(builder, "", as_json=as_json))


async def serve(builder: NatsServiceBuilder, url: str, *, as_json: bool) -> None:
    """Run one service until it is stopped.

    Args:
        builder: Its builder.
        url: The servers, without passwords, "" if only the builder knows them.
        as_json: Whether to announce the service as JSON.

    Raises:
        CliError: The settings of the builder contradict each other, no server is available, or the
            lifespan of the handlers raised an exception.
    """
    service = build(builder)
    waiting = asyncio.get_running_loop().call_later(_PATIENCE, warn_of_waiting, service)
    terminated = asyncio.Event()
    try:
        with StopSignals(terminated.set, unhandled=True):
            await service.start()
    except Exception as error:
        raise_lifespan_error(service)
        if not isinstance(error, UnavailableError):
            raise
        if terminated.is_set():
            return
        raise no_server(error) from None
    finally:
        waiting.cancel()
    try:
        stopped = asyncio.ensure_future(service.wait_until_stopped())
        await asyncio.sleep(0)  # the signal handlers are installed before the service is announced
        try:
            announce(service, url, as_json=as_json)
        except OSError as error:  # a full disk, for example, does not end the service
            discard()
            warn(f"cannot write to standard output: {error.strerror or 'it is closed'}")
        await asyncio.wait([stopped])
    finally:
        await service.stop()
    raise_lifespan_error(service)
    stopped.result()


def raise_lifespan_error(service: NatsService) -> None:
    """Raise what the lifespan of the handlers raised, if it did, with its place.

    Raises:
        CliError: It did.
    """
    error = service.lifespan_error
    if error is not None:
        raise user_error(f"the lifespan of {service.contract.name}", error) from error


def warn_of_waiting(service: NatsService) -> None:
    """Warn that a service cannot start yet because it is not connected to NATS."""
    if not service.is_connected:
        where = f" at {service.servers}" if service.servers else ""
        warn(f"waiting for NATS{where}; --embedded starts a server for this service")


def announce(service: NatsService, url: str, *, as_json: bool) -> None:
    """Print which service is running, and where."""
    contract = service.contract
    if as_json:
        facts = {
            "service": contract.name,
            "version": contract.version,
            "instance": service.instance_id,
            "servers": url or None,
        }
        emit_line(facts)
    else:
        on = f" on {url}" if url else ""
        text = f"[bold]{contract.name}[/] {contract.version} is running{on}; press Ctrl-C to stop"
        console().print(text)
