"""A connection without a socket, for measuring one side of a call without the network."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any, Final

from weenats.transport.message_checks import DEFAULT_MAX_CONTROL_LINE
from weenats.transport.nats import NatsTransport
from weenats.transport.nats_py.connection import ConnectionEvents, NatsConnection

IN_FLIGHT: Final = 64
_PING: Final = b"PING\r\n"
_CHUNK: Final = 32_768  # as nats-py reads them


class _Socket:
    """Drops what is written; answers pings."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._pong: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        """Drop it, and answer if it ends with a ping."""
        if data.endswith(_PING):
            self._pong = asyncio.ensure_future(self._connection._process_pong())


async def _nothing(_: NatsConnection) -> None:
    """Do nothing."""


def connected() -> tuple[Any, Any]:
    """Return a connection, and a transport that takes it for an open one."""
    events = ConnectionEvents(lambda *_: None, _nothing, _nothing, _nothing, _nothing)
    connection: Any = NatsConnection(events, DEFAULT_MAX_CONTROL_LINE)
    connection._transport, connection._status = _Socket(connection), NatsConnection.CONNECTED
    connection._draining = True  # there is no socket that could be full
    transport: Any = NatsTransport("nats://unused")
    transport._claim()
    transport._use(connection)
    return connection, transport


async def deliver(connection: Any, data: bytes) -> None:
    """Let the connection parse what a server would send."""
    for start in range(0, len(data), _CHUNK):
        await connection._ps.parse(data[start : start + _CHUNK])


def frame(subject: bytes, sid: int, reply: bytes, lines: bytes, body: bytes) -> bytes:
    """Return a message as the server sends it to a subscriber."""
    head = b"NATS/1.0\r\n%b\r\n" % lines if lines else b""
    to = b" ".join(part for part in (subject, b"%d" % sid, reply) if part)
    if not head:
        return b"MSG %b %d\r\n%b\r\n" % (to, len(body), body)
    return b"HMSG %b %d %d\r\n%b%b\r\n" % (to, len(head), len(head) + len(body), head, body)


async def taken(
    batches: Mapping[str, Callable[[], Awaitable[float]]], rounds: int
) -> dict[str, list[float]]:
    """Return the times of each kind of batch, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in batches}
    for _ in range(rounds):
        for name, run in batches.items():
            times[name].append(await run())
    return times


def table(side: str, taken: dict[str, list[float]]) -> str:
    """Return the quickest tenth of each kind, compared with the first kind."""
    quick = {name: median(sorted(all_)[: max(len(all_) // 10, 1)]) for name, all_ in taken.items()}
    plain = next(iter(quick.values()))
    each = "a request" if side == "server" else "a call"
    lines = [f"| {side}, without sockets | us {each} | x weenats | + us |", "|---|--:|--:|--:|"]
    for name, seconds in quick.items():
        cost, more = seconds * 1e6, (seconds - plain) * 1e6
        lines.append(f"| {name} | {cost:.1f} | {seconds / plain:.2f} | {more:+.1f} |")
    return "\n".join(lines)
