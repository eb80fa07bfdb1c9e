"""The connection of a verb: opened in bounded time, closed at the end."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from weenats.errors import UnavailableError
from weenats.protocol.deadline import seconds
from weenats.transport.nats import NatsTransport
from weenats.transport.options import ConnectionOptions
from weenats_codegen.cli.errors import VerbError

LONGEST: Final = seconds(ConnectionOptions().connect_timeout)


@asynccontextmanager
async def connection(
    servers: Sequence[str], timeout: float = LONGEST
) -> AsyncGenerator[NatsTransport]:
    """Connect within `timeout` seconds, or the runtime's own if these are fewer.

    Raises:
        VerbError: no server answers; the text says how to name others.
    """
    options = ConnectionOptions(connect_timeout=min(timeout, LONGEST))
    transport = NatsTransport(servers, options)
    try:
        try:
            await transport.connect()
        except UnavailableError as error:
            raise no_server(error) from None
        yield transport
    finally:
        await transport.close()


def no_server(error: UnavailableError) -> VerbError:
    """Say how other servers are named."""
    return VerbError(f"{error}; set NATS_URL or --servers")
