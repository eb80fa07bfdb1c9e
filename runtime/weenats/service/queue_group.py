"""When an instance is a member of its queue group: while it serves and is fit for new work."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Final

from weenats.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.transport.base import OnDelivery, Subscription, Transport

_LOG: Final = logging.getLogger("weenats.service.queue_group")
_RETRY: Final = 1.0

Condition = Callable[[], float]
"""Seconds until an instance is fit for new work: 0 when it is, infinite when nobody knows.

Whoever changes its mind earlier calls `QueueMembership.review`.
"""


class QueueMembership:
    """Joins and leaves a queue group with all operations of an instance, one move at a time.

    Every leaving is behind a fence: what was delivered until then has been handed over.

    Args:
        transport: the connection.
        operations: the subjects, and what takes their requests.
        group: the queue group.
        conditions: the instance is a member while all of them hold.
    """

    def __init__(
        self,
        transport: Transport,
        operations: Iterable[tuple[str, OnDelivery]],
        group: str,
        conditions: Sequence[Condition] = (),
    ) -> None:
        self._transport = transport
        self._operations = tuple(operations)
        self._group = group
        self._conditions = conditions
        self._subscriptions: list[Subscription] = []
        self._serves = False
        self._moving: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_member(self) -> bool:
        """Say whether new work comes to this instance."""
        return bool(self._subscriptions)

    def join(self) -> None:
        """Join; a fence of the transport tells when the server has it.

        Raises:
            ConnectionLostError: the connection was closed.
        """
        self._serves = True
        self._subscribe()

    def review(self) -> None:
        """Ask the conditions, and join or leave as they have it, without waiting for it."""
        if not self._serves or self._moving is not None:  # who moves asks again at the end
            return
        wait = max((condition() for condition in self._conditions), default=0.0)
        if self.is_member == (wait > 0):
            # It outlives the request that set it off, and so does not serve that.
            self._moving = asyncio.create_task(self._move(), context=Context())
        elif wait > 0:
            self._review_in(wait)

    async def close(self) -> None:
        """Leave for good, after a move that is under way."""
        self._serves = False
        if self._moving is not None:
            await asyncio.wait([self._moving])
        if self._timer is not None:
            self._timer.cancel()
        await self._leave()

    async def _move(self) -> None:
        try:
            if self.is_member:
                _LOG.warning("leaving the queue group %s for a while", self._group)
                await self._leave()
            else:
                self._subscribe()
                await self._transport.fence()
                _LOG.info("back in the queue group %s", self._group)
        except ServiceError as error:
            _LOG.warning("no return to the queue group %s yet: %s", self._group, error)
            self._moving = None
            self._review_in(_RETRY)
        else:
            self._moving = None
            self.review()

    def _subscribe(self) -> None:
        self._subscriptions = [
            self._transport.subscribe(subject, on_delivery, self._group)
            for subject, on_delivery in self._operations
        ]

    async def _leave(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, []
        await self._transport.unsubscribe(subscriptions)

    def _review_in(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if wait < math.inf:
            self._timer = asyncio.get_running_loop().call_later(wait, self.review)
