"""The membership of an instance in its queue group: it leaves while it is not ready."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import start_task
from weenats.errors import ServiceError
from weenats.transport.base import OnDelivery, Subscription, Transport

__all__ = ["Condition", "QueueMembership"]
_LOG: Final = LimitedLogger("weenats.service.queue_group")
_RETRY: Final = 1.0

Condition = Callable[[], float]
"""Returns the seconds until an instance is ready for requests: 0 when it is, infinity if unknown.

When the time changes, `QueueMembership.review` is to be called.
"""


@dataclass(slots=True, eq=False)
class QueueMembership:
    """Joins and leaves a queue group with all operations of an instance, one change at a time.

    It leaves behind a fence, so that requests which the server has delivered are not lost.

    Args:
        transport: the connection.
        operations: the subjects, each with the function that takes its requests.
        group: the queue group.
        conditions: the instance is a member while all of them return 0.
    """

    transport: Transport
    operations: Sequence[tuple[str, OnDelivery]]
    group: str
    conditions: Sequence[Condition] = ()
    _subscriptions: list[Subscription] = field(default_factory=list["Subscription"], init=False)
    _is_member: bool = field(default=False, init=False)
    _serves: bool = field(default=False, init=False)
    _moving: asyncio.Task[None] | None = field(default=None, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def is_member(self) -> bool:
        """Whether new requests reach this instance, if it has operations."""
        return self._is_member

    @property
    def denied(self) -> list[str]:
        """The subjects of operations that the server denies, so that no requests arrive."""
        return sorted(each.subject for each in self._subscriptions if each.denied)

    def join(self) -> None:
        """Join; after the next fence of the transport the server has the subscriptions.

        Raises:
            ConnectionClosedError: the connection was closed.
        """
        self._serves = True
        self._subscribe()

    def review(self) -> None:
        """Check the conditions, and begin to join or leave accordingly."""
        if not self._serves or self._moving is not None:  # a change ends with another review
            return
        wait = max((condition() for condition in self.conditions), default=0.0)
        if self.is_member == (wait > 0):
            # The task must not inherit the context of the request that caused it.
            self._moving = start_task(self._move(), context=Context())
        elif wait > 0:
            self._review_in(wait)

    async def close(self, timeout: float | None = None) -> None:
        """Leave for good, after a change that has begun.

        Args:
            timeout: how long to wait for the server, in seconds; None for as long as it takes.
        """
        self._serves = False
        end = math.inf if timeout is None else monotonic() + timeout
        if (moving := self._moving) is not None:
            await asyncio.wait([moving], timeout=timeout)
            moving.cancel()
        if self._timer is not None:
            self._timer.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if timeout is None else max(end - monotonic(), 0)):
                await self._leave()

    async def _move(self) -> None:
        try:
            if self.is_member:
                _LOG.warning("leaving the queue group %s for now", self.group)
                await self._leave()
            else:
                self._subscribe()
                await self.transport.fence()
                _LOG.info("back in the queue group %s", self.group)
        except ServiceError as error:
            _LOG.warning("cannot return to the queue group %s yet: %s", self.group, error)
            self._moving = None
            self._review_in(_RETRY)
        else:
            self._moving = None
            self.review()

    def _subscribe(self) -> None:
        self._subscriptions = [
            self.transport.subscribe(subject, on_delivery, self.group)
            for subject, on_delivery in self.operations
        ]
        self._is_member = True

    async def _leave(self) -> None:
        self._is_member = False
        subscriptions, self._subscriptions = self._subscriptions, []
        if subscriptions:
            await self.transport.unsubscribe(subscriptions)

    def _review_in(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if wait < math.inf:
            self._timer = asyncio.get_running_loop().call_later(
                wait, self.review, context=Context()
            )
