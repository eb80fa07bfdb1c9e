"""One message on its way through a service, and the worker that handles it."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Final, Protocol, cast

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.protocol.headers import digest_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextvars import Context

    from weenats.context import OnAnswer, RequestContext
    from weenats.errors import ServiceError
    from weenats.protocol.headers import Headers
    from weenats.transport.base import Delivery

__all__ = ["Job", "Worker"]
_LOG: Final = LimitedLogger("weenats.admission")


class Worker(Protocol):
    """Handles jobs: the endpoint of an operation, or a subscription to events."""

    async def run(self, job: Job) -> None:
        """Handle a job and mark it as answered; it must not raise.

        Args:
            job: the job.
        """
        ...

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Answer a job that cannot be run or finished.

        Args:
            job: the job.
            error: the error to answer with.
        """
        ...


class Job:
    """One received message.

    Args:
        worker: handles the message.
        delivery: the message.
        deadline: when its caller stops waiting, on the monotonic clock; None for never.
        received: when it arrived, nanoseconds of the monotonic clock; 0 for events.

    Attributes:
        answered: whether it was answered or dropped; later outcomes are ignored.
        executed: whether the handler of its request has begun.
        started: when its task started, on the monotonic clock; None before.
        task: the task that handles it, while it runs.
        variables: the context variables of that task.
        context: the context of the request while it is served, None before and after.
        on_answer: functions to call once the request has been answered.
    """

    # Slots: with defaults in the class, a job is made in a fifth less time, but reading and setting
    # what it does not have yet takes far longer than that.
    __slots__ = (
        "_digest",
        "_interrupted",
        "_shields",
        "answered",
        "context",
        "deadline",
        "delivery",
        "executed",
        "on_answer",
        "received",
        "started",
        "task",
        "variables",
        "worker",
    )

    def __init__(
        self, worker: Worker, delivery: Delivery, deadline: float | None = None, received: int = 0
    ) -> None:
        self.worker = worker
        self.delivery = delivery
        self.deadline = deadline
        self.received = received
        self.answered = self.executed = self._interrupted = False
        self.started: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.variables: Context | None = None
        self.context: RequestContext | None = None
        self.on_answer: tuple[OnAnswer, ...] = ()
        self._shields = 0
        self._digest = ""

    @property
    def headers(self) -> Headers:
        """The headers of the message."""
        return self.delivery.headers

    @property
    def size(self) -> int:
        """The size of the message's payload in bytes."""
        return len(self.delivery.payload)

    @property
    def envelope(self) -> bytes:
        """The payload of the message."""
        return self.delivery.payload

    @property
    def digest(self) -> str:
        """The digest of the message's payload, computed once however often others name it."""
        self._digest = self._digest or digest_of(self.delivery.payload)
        return self._digest

    def notify(self, context: RequestContext, error: ServiceError | None) -> None:
        """Call the functions that wait for the answer; log one that raises or is async.

        Args:
            context: the context of the request.
            error: the error that the request was answered with, None if it succeeded.
        """
        for callback in self.on_answer:
            try:
                _call(callback, context, error)
            except BaseException as raised:  # the request has been answered; the others must run
                if ends_task(raised):
                    raise
                _LOG.exception("an on_answer callback of %s failed", self.delivery.subject)
        self.on_answer = ()  # or job, callback and context would keep each other alive

    @property
    def is_shielded(self) -> bool:
        """Whether an interruption has to wait."""
        return self._shields > 0

    def shield(self) -> None:
        """Delay interruptions until `unshield` was called as often as `shield`."""
        self._shields += 1

    def unshield(self) -> None:
        """Undo one `shield`; after the last one, a delayed interruption cancels the task."""
        self._shields -= 1
        if self._interrupted and not self._shields:
            self.cancel()

    def interrupt(self) -> None:
        """Cancel the task, as soon as it is not shielded."""
        if self._shields:
            self._interrupted = True
        else:
            self.cancel()

    def cancel(self) -> None:
        """Cancel the task, shielded or not."""
        self._interrupted = False
        if self.task is not None:
            self.task.cancel()


def _call(callback: OnAnswer, context: RequestContext, error: ServiceError | None) -> None:
    returned = cast("Callable[..., object]", callback)(context, error)
    if iscoroutine(returned):
        returned.close()  # or Python warns that nobody has awaited it
        raise TypeError("on_answer takes a plain function, and this one returned a coroutine")
