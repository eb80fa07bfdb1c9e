"""Many requests behind one inbox subscription: each waits on a future under its own token."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING

from weenats.errors import DeadlineExceededError, NoRespondersError, ServiceError
from weenats.protocol.deadline import Clock, DeadlineTimer
from weenats.transport.base import NO_RESPONDERS, Accepts, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable


class _Pending:
    __slots__ = ("accepts", "foreign", "future", "subject")

    def __init__(
        self, subject: str, future: asyncio.Future[Delivery], accepts: Accepts | None
    ) -> None:
        self.subject = subject
        self.future = future
        self.accepts = accepts
        self.foreign = 0


class RequestMux:
    """Matches replies to requests, and ends those whose time or connection is gone."""

    def __init__(self, inbox: str, clock: Clock = monotonic) -> None:
        self.wildcard = f"{inbox}.*"
        self._prefix = f"{inbox}."
        self._count = 0
        self._pending: dict[str, _Pending] = {}
        self._timer = DeadlineTimer[str](self._expire, clock)

    def open(
        self, subject: str, deadline: float, accepts: Accepts | None
    ) -> tuple[str, asyncio.Future[Delivery]]:
        """Return the reply subject of a new request, and the future of its reply."""
        self._count += 1
        reply = f"{self._prefix}{self._count}"
        future = asyncio.get_running_loop().create_future()
        self._pending[reply] = _Pending(subject, future, accepts)
        self._timer.add(reply, deadline)
        return reply, future

    def discard(self, reply: str) -> None:
        """Forget a request that nobody waits for any more."""
        if self._pending.pop(reply, None) is not None:
            self._timer.discard(reply)

    def on_delivery(self, delivery: Delivery) -> None:
        """Hand a reply to the request that waits for it; late and foreign ones are dropped."""
        pending = self._pending.get(delivery.subject)
        if pending is None or pending.future.done():
            return
        if not delivery.payload and delivery.status == NO_RESPONDERS:
            pending.future.set_exception(NoRespondersError(f"nobody listens on {pending.subject}"))
        elif pending.accepts is None or pending.accepts(delivery):
            pending.future.set_result(delivery)
        else:
            # Somebody else who listens on the subject, a stream for instance, answered first.
            pending.foreign += 1
            return
        self.discard(delivery.subject)

    def fail(self, error: Callable[[str], ServiceError], subject: str | None = None) -> None:
        """End all requests that wait, or those to one subject."""
        for reply, pending in list(self._pending.items()):
            if subject is None or subject in (pending.subject, reply):
                self.discard(reply)
                _end(pending, error(pending.subject))

    async def answered(self, timeout: float) -> None:
        """Wait until the requests that wait now have ended, so many seconds at most."""
        if waiting := [pending.future for pending in self._pending.values()]:
            await asyncio.wait(waiting, timeout=timeout)

    def close(self) -> None:
        """Stop watching deadlines."""
        self._timer.close()

    def _expire(self, reply: str) -> None:
        pending = self._pending.pop(reply)
        text = f"no reply from {pending.subject} in time"
        if pending.foreign:
            text += f"; {pending.foreign} message(s) came that are no reply of a service"
        _end(pending, DeadlineExceededError(text))


Arrivals = asyncio.Queue[Delivery | ServiceError]
"""Replies of many to one message, or the error that ends the waiting for them."""


async def gather_replies(arrived: Arrivals, *, timeout: float, quiet: float) -> list[Delivery]:
    """Return what arrives until nothing came for `quiet` seconds, `timeout` at most.

    Raises:
        ServiceError: it arrived, since the connection is gone.
    """
    replies: list[Delivery] = []
    end = monotonic() + timeout
    pause = timeout
    with contextlib.suppress(TimeoutError):
        while (pause := min(pause, end - monotonic())) > 0:
            async with asyncio.timeout(pause):
                delivery = await arrived.get()
            if isinstance(delivery, ServiceError):
                raise delivery
            if delivery.status == NO_RESPONDERS:
                break
            replies.append(delivery)
            pause = quiet
    return replies


def _end(pending: _Pending, error: ServiceError) -> None:
    if not pending.future.done():
        pending.future.set_exception(error)
