"""The connection of a command, and whether the instances it finds have the same contract."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from typing import Any, Final

from weenats.errors import PermissionDeniedError, ServiceError, UnavailableError
from weenats.protocol.messages import PingResponse
from weenats.protocol.timeouts import seconds
from weenats.settings import EnvironmentSettings
from weenats.transport.nats import NatsTransport
from weenats.transport.options import ConnectionOptions
from weenats.transport.servers import ServerUrl, check_servers
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import WarningLog, warn

_HINT: Final = "set NATS_URL or --servers"
_PATIENCE: Final = 1.0
"""Seconds without a greeting until servers are asked whether they are HTTP servers."""
_HTTP: Final = b"HTTP/"
_PORTS: Final = "clients of NATS use another port, by default 4222 (8222 is that of monitoring)"
_DIGEST_LENGTH: Final = 15
"""Characters of a digest that are shown: `sha256:` and eight."""


@asynccontextmanager
async def connection(
    servers: Sequence[str], timeout: float = inf, *, hint: str = _HINT
) -> AsyncGenerator[NatsTransport]:
    """Connect for the duration of a command.

    Args:
        servers: The URLs of the servers.
        timeout: Seconds; if it is longer than the default of the runtime, that applies.
        hint: How to name other servers, for the error.

    Raises:
        CliError: No server is available.
    """
    logging.basicConfig(handlers=[WarningLog()])
    options = _options(servers)
    timeout = min(timeout, seconds(options.connect_timeout))
    transport = NatsTransport(servers, replace(options, connect_timeout=timeout))
    try:
        try:
            await _connect(transport, servers, timeout)
        except (UnavailableError, PermissionDeniedError) as error:
            raise no_server(error, hint) from None
        yield transport
    finally:
        await transport.close()


async def _connect(transport: NatsTransport, servers: Sequence[str], timeout: float) -> None:
    """Connect; fail early when all servers are HTTP servers.

    These wait for a request and a client of NATS waits for a greeting, until the time limit.

    Raises:
        CliError: All servers speak HTTP.
    """
    connecting = asyncio.ensure_future(transport.connect())
    patience = min(_PATIENCE, timeout / 3)
    try:
        await asyncio.wait([connecting], timeout=patience)
        if not connecting.done():
            urls = [each.url for each in check_servers(servers)]
            asked = await asyncio.gather(*(_speaks_http(each, patience) for each in urls))
            if all(asked) and not connecting.done():
                where = " and ".join(map(str, urls))
                raise CliError(f"an HTTP server listens at {where}; {_PORTS}")
        await connecting
    finally:
        connecting.cancel()
        await asyncio.wait([connecting])


async def _speaks_http(url: ServerUrl, timeout: float) -> bool:
    """Return whether what should be a NATS server answers a request of HTTP in time."""
    if url.scheme in {"ws", "wss"}:  # WebSockets begin with one
        return False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*url.address)
            try:
                writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
                return await reader.readexactly(len(_HTTP)) == _HTTP
            finally:
                writer.close()
    except (OSError, EOFError):  # also TimeoutError
        return False


def _options(servers: Sequence[str]) -> ConnectionOptions:
    """Return how to connect, by the environment variables that services read.

    The user or token in a URL comes before theirs, since it was given for this command.

    Raises:
        SettingsError: A variable is invalid.
    """
    given: dict[str, Any] = {"servers": "nats://localhost"}  # NATS_URL does not matter here
    if any("@" in each for each in servers):
        given |= dict.fromkeys(("user", "password", "auth_token", "credentials", "nkey_seed"))
    return EnvironmentSettings(**given).connection()


def no_server(error: ServiceError, hint: str = _HINT) -> CliError:
    """Return the error of a failed connection, with what to set instead."""
    if isinstance(error, PermissionDeniedError):
        hint = "set WEENATS_USER and WEENATS_PASSWORD, or WEENATS_CREDENTIALS"
    elif "certificate verify failed" in str(error):
        hint = "WEENATS_TLS_CA is the path of the certificates to trust"
    return CliError(f"{error}; {hint}")


def warn_of_differences(instances: Iterable[PingResponse]) -> None:
    """Warn of each service whose instances have different contracts.

    Instances that were not built with weenats have no contract and are skipped.
    """
    contracts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for each in instances:
        digest = each.metadata.get("contract") if isinstance(each.metadata, dict) else None
        if digest is not None:
            contracts[each.name][each.version, digest] += 1
    for service, found in contracts.items():
        if len({digest for _, digest in found}) > 1:
            counts = ", ".join(
                f"{version} {digest[:_DIGEST_LENGTH]} ({count})"
                for (version, digest), count in sorted(found.items())
            )
            warn(f"the instances of {service} have different contracts: {counts}")
