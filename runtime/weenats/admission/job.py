"""One message on its way through a service, and whoever does its work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio

    from weenats.context import OnAnswer, RequestContext
    from weenats.errors import ServiceError
    from weenats.transport.base import Delivery


_LOG: Final = logging.getLogger("weenats.admission")


class Worker(Protocol):
    """Whoever does the work of jobs."""

    async def run(self, job: Job) -> None:
        """Do the work; it settles the job and does not raise."""
        ...

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Settle a job that cannot be run or finished."""
        ...


class Job:
    """One delivered message on its way through the service.

    Attributes:
        deadline: when its caller gives up, on the monotonic clock; None when it never does.
        settled: True once it was answered or dropped; whatever ends later changes nothing.
        begun: when its work began, on the monotonic clock; None before.
        task: what does its work, while that lasts.
        received: when it arrived, ns since the epoch; 0 for events.
        context: the context of the request while it is served, None before and after.
        on_answer: functions to call once the request has been answered.
    """

    __slots__ = (
        "_interrupted",
        "_shields",
        "begun",
        "context",
        "deadline",
        "delivery",
        "on_answer",
        "received",
        "settled",
        "task",
        "worker",
    )

    def __init__(
        self,
        worker: Worker,
        delivery: Delivery,
        deadline: float | None = None,
        received: int = 0,
    ) -> None:
        self.worker = worker
        self.delivery = delivery
        self.deadline = deadline
        self.settled = False
        self.begun: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.received = received
        self.context: RequestContext | None = None
        self.on_answer: list[OnAnswer] = []
        self._shields = 0
        self._interrupted = False

    @property
    def size(self) -> int:
        """The size of the message's payload in bytes."""
        return len(self.delivery.payload)

    def notify(self, context: RequestContext, error: ServiceError | None) -> None:
        """Call the functions that wait for the answer; one that raises is logged."""
        for callback in self.on_answer:
            try:
                callback(context, error)
            except Exception:  # noqa: BLE001 - the request has been answered; the others must run
                _LOG.exception("an on_answer callback of %s failed", self.delivery.subject)
        self.on_answer.clear()  # or job, callback and context would keep each other alive

    @property
    def is_shielded(self) -> bool:
        """Say whether an interruption has to wait."""
        return self._shields > 0

    def shield(self) -> None:
        """Let interruptions wait until as many `unshield` have come."""
        self._shields += 1

    def unshield(self) -> None:
        """Undo one `shield`; an interruption that waited for the last one cancels the task."""
        self._shields -= 1
        if self._interrupted and not self._shields:
            self.cancel()

    def interrupt(self) -> None:
        """Cancel the task, once nothing shields it."""
        if self._shields:
            self._interrupted = True
        else:
            self.cancel()

    def cancel(self) -> None:
        """Cancel the task, shielded or not."""
        self._interrupted = False
        if self.task is not None:
            self.task.cancel()
