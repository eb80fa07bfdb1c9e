"""Leaving a server in lame duck mode for another one, before it shuts down.

The new connection subscribes before the old one unsubscribes, so that there is a subscriber at any
time. Both are subscribed until the other servers of the cluster know the new one, and until what
they have sent to the old one has arrived. Subscriptions with a queue group are two members of the
group meanwhile, and each message reaches one of them. Other subscriptions receive messages on both
connections, and hand each of them over once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final

from weenats._internal.tasks import cancel_and_wait, start_task
from weenats.errors import ResourceExhaustedError, ServiceError
from weenats.protocol.subjects import encode_subject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from weenats.transport.base import Delivery
    from weenats.transport.inbox import ReplyInbox
    from weenats.transport.nats_py.connection import Interest, NatsConnection
    from weenats.transport.servers import Server

__all__ = ["Migration"]
_LOG: Final = logging.getLogger("weenats.transport")
_REPLY_TIMEOUT: Final = 5.0
"""Seconds to wait for replies on the old connection; its server closes it after ten."""
_PROPAGATION_TIME: Final = 1.0
"""Seconds until all servers of a cluster know a subscription, and what they sent has arrived."""


class Migration:
    """Moves a transport to another server when its own enters lame duck mode.

    Args:
        connect: opens a connection to one of several servers.
        use: lets the transport use another connection.
        inbox: the reply inbox, which stays on the old connection until replies have arrived.
        pause: seconds between attempts to connect.

    Attributes:
        reply_connections: the connections for replies to requests that arrived on an old
            connection, by reply subject; other servers may not know the reply subject yet.
    """

    def __init__(
        self,
        connect: Callable[[Sequence[Server]], Awaitable[NatsConnection]],
        use: Callable[[NatsConnection], None],
        inbox: ReplyInbox,
        pause: float,
    ) -> None:
        self._connect = connect
        self._use = use
        self._inbox = inbox
        self._pause = pause
        self._task: asyncio.Task[None] | None = None
        self._overlaps: dict[Interest, _Overlap] = {}
        self.reply_connections: dict[str, NatsConnection] = {}

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
            self._task = start_task(self._run(connection), context=Context())

    async def stop(self) -> None:
        """Stop moving, and close the connection that is not used."""
        task, self._task = self._task, None
        await cancel_and_wait(task)

    def connection_for(self, subject: str, current: NatsConnection) -> NatsConnection:
        """Return the connection for a message, which may be the reply to a request.

        Args:
            subject: the subject of the message.
            current: the connection for all other messages.
        """
        connection = self.reply_connections.pop(subject, current)
        return connection if connection.is_connected else current

    async def end(self, interests: Collection[Interest]) -> None:
        """End the part of subscriptions that is left on the old connection.

        Args:
            interests: the subscriptions; those that do not move are ignored.
        """
        await _leave([self._overlaps.pop(each) for each in interests if each in self._overlaps])

    async def _run(self, current: NatsConnection) -> None:
        try:
            while current.is_lame_duck:
                new = await self._connected(current)
                unused = new
                try:
                    with suppress(ServiceError):
                        await current.fence()  # keeps the order of messages
                    if new.is_connected and current.is_lame_duck:
                        unused, current = current, new
                        self._use(new)
                        await self._hand_over(unused, new)
                        _LOG.info("moved to another NATS server")
                        await self._inbox.mux.wait_answered(_REPLY_TIMEOUT)
                finally:
                    self.reply_connections.clear()
                    await unused.close()
        except Exception:  # noqa: BLE001 - nothing waits for the task
            _LOG.exception("unexpected error while moving to another NATS server")
        finally:
            self._task = None

    async def _connected(self, current: NatsConnection) -> NatsConnection:
        """Return a connection to another server; log each new reason why there is none yet."""
        reason = ""
        while True:
            try:
                return await self._connect(current.known_servers)
            except ServiceError as error:
                level = logging.DEBUG if str(error) == reason else logging.WARNING
                reason = str(error)
                _LOG.log(
                    level, "the NATS server is shutting down, no other NATS server yet: %s", reason
                )
                await asyncio.sleep(self._pause)

    async def _hand_over(self, old: NatsConnection, new: NatsConnection) -> None:
        """Move all subscriptions to another connection, which can be used at once.

        If one of the connections breaks meanwhile, it behaves as at any other time.
        """
        for interest in old.interests:
            if interest is self._inbox.interest:  # stays on both, and ignores replies that repeat
                old.substitute(interest, interest.on_delivery)
                new.adopt(interest)
            else:
                self._overlaps[interest] = _Overlap(interest, old, new, self.reply_connections)
        overlaps = list(self._overlaps.values())
        try:
            with suppress(ServiceError):
                await new.fence()
            await self._wait_for_routes()
            await _leave(overlaps)
            await _check_subscribed(new)
            await self._wait_for_routes()
        finally:
            self._overlaps.clear()
            for overlap in overlaps:
                overlap.close()

    async def _wait_for_routes(self) -> None:
        """Wait until what the servers of the cluster have sent to each other has arrived."""
        await asyncio.sleep(_PROPAGATION_TIME)


async def _leave(overlaps: Sequence[_Overlap]) -> None:
    """Unsubscribe on the old connections, and hand over what has arrived there before."""
    try:
        for overlap in overlaps:
            overlap.leave()
        for old in {overlap.old for overlap in overlaps}:
            with suppress(ServiceError):
                await old.fence()
    finally:
        for overlap in overlaps:
            overlap.end()


async def _check_subscribed(new: NatsConnection) -> None:
    """Subscribe once more if the old connection had used up what its account may have."""
    if not new.lacks_subscriptions:
        return
    new.subscribe_again()
    try:
        await new.fence()
    except ResourceExhaustedError as error:
        _LOG.error("subscriptions were lost when moving to another NATS server: %s", error)
    except ServiceError:
        pass  # a reconnect repeats all subscriptions


class _Overlap:
    """A subscription that is on two connections while it moves from one to the other.

    Without a queue group, messages of the new connection wait until all messages of the old one
    have arrived; those that arrive on both are dropped. Messages are compared byte by byte: those
    of clients and services always differ, because each has an id.

    Attributes:
        old: the connection that it leaves.
    """

    def __init__(
        self,
        interest: Interest,
        old: NatsConnection,
        new: NatsConnection,
        reply_connections: dict[str, NatsConnection],
    ) -> None:
        self.old = old
        self._reply_connections = reply_connections
        self._interest = interest
        self._new = new
        self._is_waiting = True
        self._arrived: Counter[tuple[str, str, bytes, bytes]] = Counter()
        self._waiting: deque[Delivery] = deque()
        self._on_old_connection = old.substitute(interest, self._on_old)
        new.adopt(interest)
        if not interest.queue_group:
            new.substitute(interest, self._on_new)

    def leave(self) -> None:
        """Unsubscribe on the old connection."""
        self._on_old_connection.leave()

    def end(self) -> None:
        """Hand over what has waited: no more messages arrive on the old connection."""
        self._on_old_connection.drop()
        self._is_waiting = False
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            subject, reply, payload, headers = delivery.content
            sid = self._interest.sid
            self._new.dispatch(
                sid, encode_subject(subject), encode_subject(reply), payload, headers
            )

    def close(self) -> None:
        """Compare no more messages."""
        if self._is_waiting:
            self.end()
        self._new.restore(self._interest)

    def _on_old(self, delivery: Delivery) -> None:
        if delivery.reply:
            self._reply_connections[delivery.reply] = self.old
        if not self._interest.queue_group:
            self._arrived[delivery.content] += 1
            self._drop_repeated()
        self._interest.on_delivery(delivery)

    def _on_new(self, delivery: Delivery) -> None:
        if self._is_waiting:
            self._waiting.append(delivery)
            self._drop_repeated()
        elif not self._has_arrived(delivery):
            self._interest.on_delivery(delivery)

    def _drop_repeated(self) -> None:
        while self._waiting and self._has_arrived(self._waiting[0]):
            self._waiting.popleft()

    def _has_arrived(self, delivery: Delivery) -> bool:
        """Return whether a message has arrived on the old connection; it is forgotten then."""
        content = delivery.content
        if content not in self._arrived:
            return False
        self._arrived[content] -= 1
        if not self._arrived[content]:
            del self._arrived[content]
        return True
