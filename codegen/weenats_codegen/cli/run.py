"""The verb `run`: serve until SIGTERM or Ctrl-C, then finish what was admitted."""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence

from weenats.errors import UnavailableError
from weenats.service import NatsService, NatsServiceBuilder
from weenats.testing import NatsServer
from weenats_codegen.cli.connection import no_server
from weenats_codegen.cli.errors import VerbError
from weenats_codegen.cli.output import console
from weenats_codegen.cli.targets import builder_of


def run(target: str, servers: Sequence[str], *, embedded: bool, as_json: bool) -> None:
    """Serve MODULE:NAME on the given servers, on an embedded one, or where its builder says."""
    builder = builder_of(target)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    if embedded:
        with NatsServer() as server:
            asyncio.run(serve(builder.with_servers(server.url), server.url, as_json=as_json))
    elif servers:
        asyncio.run(serve(builder.with_servers(servers), ",".join(servers), as_json=as_json))
    else:
        asyncio.run(serve(builder, "", as_json=as_json))


async def serve(builder: NatsServiceBuilder, where: str, *, as_json: bool) -> None:
    """Run one service until it is told to stop.

    Raises:
        VerbError: what the builder was given does not go together, or no server answers.
    """
    try:
        service = builder.build()
    except (ValueError, TypeError) as error:
        raise VerbError(str(error)) from error
    try:
        await service.start()
    except UnavailableError as error:
        raise no_server(error) from None
    try:
        stopped = asyncio.ensure_future(service.wait_until_stopped())
        await asyncio.sleep(0)  # from here on a signal stops it: only now may anybody send one
        announce(service, where, as_json=as_json)
        await stopped
    finally:
        await service.stop()


def announce(service: NatsService, where: str, *, as_json: bool) -> None:
    """Say what serves where."""
    contract = service.contract
    if as_json:
        facts = {
            "service": contract.name,
            "version": contract.version,
            "instance": service.instance_id,
        }
        sys.stdout.write(json.dumps({**facts, "servers": where or None}) + "\n")
        sys.stdout.flush()
    else:
        on = f" on {where}" if where else ""
        console().print(f"[bold]{contract.name}[/] {contract.version} serves{on}; Ctrl-C stops it")
