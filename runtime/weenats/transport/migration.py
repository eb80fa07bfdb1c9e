"""Leaving a server in lame duck mode for another one, before it shuts down.

The new connection subscribes before the old one unsubscribes, so that there is a subscriber at any
time. Subscriptions with a queue group are two members of the group meanwhile, and each message
reaches one of them. Other subscriptions receive messages on both connections, and hand each of them
over once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from weenats.errors import ConnectionLostError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from weenats.transport.base import Delivery
    from weenats.transport.inbox import ReplyInbox
    from weenats.transport.nats_py.connection import Interest, NatsConnection
    from weenats.transport.servers import Server

__all__ = ["Migration", "hand_over"]
_LOG: Final = logging.getLogger("weenats.transport")
_REPLY_TIMEOUT: Final = 5.0
"""Seconds to wait for replies on the old connection; its server closes it after ten."""


class Migration:
    """Moves a transport to another server when its own enters lame duck mode.

    Args:
        connect: opens a connection to one of several servers.
        use: lets the transport use another connection.
        inbox: the reply inbox, which stays on the old connection until replies have arrived.
        pause: seconds between attempts to connect.

    Attributes:
        lock: held while subscriptions move; hold it to end subscriptions.
    """

    def __init__(
        self,
        connect: Callable[[Sequence[Server]], Awaitable[NatsConnection]],
        use: Callable[[NatsConnection], None],
        inbox: ReplyInbox,
        pause: float,
    ) -> None:
        self.lock = asyncio.Lock()
        self._connect = connect
        self._use = use
        self._inbox = inbox
        self._pause = pause
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the transport is moving."""
        return self._task is not None

    def start(self, connection: NatsConnection) -> None:
        """Start to leave the server of a connection, unless the transport is moving.

        Args:
            connection: the connection.
        """
        if self._task is None:
            _LOG.info("the NATS server is in lame duck mode: connecting to another one")
            self._task = asyncio.create_task(self._run(connection))

    async def stop(self) -> None:
        """Stop moving, and close the connection that is not used."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, current: NatsConnection) -> None:
        try:
            while current.is_lame_duck:
                try:
                    unused = new = await self._connect(current.known_servers)
                except ServiceError as error:
                    _LOG.debug("no other NATS server yet: %s", error)
                    await asyncio.sleep(self._pause)
                    continue
                try:
                    async with self.lock:
                        with suppress(ConnectionLostError):
                            await current.fence()  # keeps the order of messages
                        if new.is_connected and current.is_lame_duck:
                            unused, current = current, new
                            self._use(new)
                            await hand_over(unused, new, self._inbox.interest)
                    if current is new:
                        _LOG.info("moved to another NATS server")
                        await self._inbox.mux.wait_answered(_REPLY_TIMEOUT)
                finally:
                    await unused.close()
        finally:
            self._task = None


async def hand_over(
    old: NatsConnection, new: NatsConnection, replies: Interest | None = None
) -> None:
    """Move all subscriptions to another connection, which can be used at once.

    If one of the connections breaks meanwhile, it behaves as at any other time.

    Args:
        old: the connection to the server in lame duck mode.
        new: the connection to another server.
        replies: the subscription of the reply inbox, which stays on the old connection as well; it
            ignores replies that arrive twice.
    """
    overlaps: list[_Overlap] = []
    left: list[Interest] = []
    for interest in old.interests:
        if interest.queue_group or interest is replies:
            substitute = old.substitute(interest, interest.on_delivery)
            new.adopt(interest)
        else:
            overlap = _Overlap(interest, old, new)
            substitute = overlap.on_old
            overlaps.append(overlap)
        if interest is not replies:
            left.append(substitute)
    try:
        with suppress(ConnectionLostError):
            await new.fence()
        for substitute in left:
            substitute.leave()
        with suppress(ConnectionLostError):
            await old.fence()
    finally:
        for overlap in overlaps:
            overlap.end()


class _Overlap:
    """A subscription without a queue group, on both connections.

    Messages of the new connection wait until all messages of the old one have arrived; those that
    arrived on both are dropped. Messages are compared byte by byte: those of clients and services
    always differ, because each has an id.
    """

    def __init__(self, interest: Interest, old: NatsConnection, new: NatsConnection) -> None:
        self._interest = interest
        self._new = new
        self._arrived: Counter[tuple[str, str, bytes, bytes]] = Counter()
        self._waiting: list[Delivery] = []
        self.on_old = old.substitute(interest, self._on_delivery)
        new.adopt(interest)
        new.substitute(interest, self._waiting.append)

    def end(self) -> None:
        """Hand over what has waited, and what arrives from now on."""
        self._new.restore(self._interest)
        for delivery in self._waiting:
            content = delivery.content
            if self._arrived[content]:
                self._arrived[content] -= 1
            else:
                subject, reply, payload, headers = content
                sid = self._interest.sid
                self._new.dispatch(sid, subject.encode(), reply.encode(), payload, headers)

    def _on_delivery(self, delivery: Delivery) -> None:
        self._arrived[delivery.content] += 1
        self._interest.on_delivery(delivery)
