"""Moving from a server that is about to go to another one, before it goes.

The new connection listens before the old one stops, so that somebody listens all the time. Members
of a queue group are two of one group meanwhile: a message comes to one of them. All others hear a
message on both connections, and it is handed over once.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from weenats.errors import ConnectionLostError

if TYPE_CHECKING:
    from weenats.transport.base import Delivery
    from weenats.transport.nats_py import Interest, NatsConnection


class ServerMove:
    """Takes all that one connection listens on over to another one.

    The new one says that it listens before it says anything else, so that it may be used at once.

    Args:
        old: the connection to the server that is about to go.
        new: a connection to another one.
        replies: takes replies, and drops those that come twice; the old one listens for them on.
    """

    def __init__(
        self, old: NatsConnection, new: NatsConnection, replies: Interest | None = None
    ) -> None:
        self._old = old
        self._new = new
        self._overlaps: list[_Overlap] = []
        self._left: list[Interest] = []
        for interest in old.interests:
            if interest.queue_group or interest is replies:
                stand_in = old.stand_in(interest, interest.on_delivery)
                new.adopt(interest)
            else:
                overlap = _Overlap(interest, old, new)
                stand_in = overlap.on_old
                self._overlaps.append(overlap)
            if interest is not replies:
                self._left.append(stand_in)

    async def settle(self) -> None:
        """Let the old connection listen no more, once the new one does.

        A connection that breaks meanwhile does what it does at any other time.
        """
        try:
            with contextlib.suppress(ConnectionLostError):
                await self._new.fence()
            for interest in self._left:
                self._old.leave(interest)
            with contextlib.suppress(ConnectionLostError):
                await self._old.fence()
        finally:
            for overlap in self._overlaps:
                overlap.end()


class _Overlap:
    """A subject that both connections listen on.

    What comes on the new one waits until all has come on the old one; what came on both is dropped.
    Messages are told apart by all their bytes: those of clients and services are never alike, since
    each has an id.
    """

    def __init__(self, interest: Interest, old: NatsConnection, new: NatsConnection) -> None:
        self._interest = interest
        self._new = new
        self._came: Counter[tuple[str, str, bytes, bytes]] = Counter()
        self._waiting: list[Delivery] = []
        self.on_old = old.stand_in(interest, self._take)
        new.adopt(interest)
        new.stand_in(interest, self._waiting.append)

    def end(self) -> None:
        """Hand over what has waited, and from now on what comes."""
        self._new.stand_down(self._interest)
        for delivery in self._waiting:
            content = delivery.content
            if self._came[content]:
                self._came[content] -= 1
            else:
                subject, reply, payload, headers = content
                sid = self._interest.sid
                self._new.dispatch(sid, subject.encode(), reply.encode(), payload, headers)

    def _take(self, delivery: Delivery) -> None:
        self._came[delivery.content] += 1
        self._interest.on_delivery(delivery)
