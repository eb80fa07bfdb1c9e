"""How many messages run at once, how many wait, and when they end.

Each one is a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from weenats.deadline import Clock, DeadlineTimer
from weenats.errors import (
    DeadlineExceededError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)

if TYPE_CHECKING:
    from weenats.transport import Delivery

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
    """

    __slots__ = ("begun", "deadline", "delivery", "settled", "task", "worker")

    def __init__(self, worker: Worker, delivery: Delivery, deadline: float | None = None) -> None:
        self.worker = worker
        self.delivery = delivery
        self.deadline = deadline
        self.settled = False
        self.begun = False
        self.task: asyncio.Task[None] | None = None


class Admission:
    """Runs jobs, at most `max_concurrency` at once and `max_queue` waiting in order of arrival.

    A job that cannot be run or finished is refused at once: the queue is full, its deadline has
    passed, or the drain budget is spent. The task of a job that runs already is cancelled.
    """

    def __init__(self, *, max_concurrency: int, max_queue: int, clock: Clock = monotonic) -> None:
        self._max_concurrency = max_concurrency
        self._max_queue = max_queue
        self._clock = clock
        self._running: set[Job] = set()
        self._waiting: deque[Job] = deque()
        self._timer = DeadlineTimer[Job](self._expire, clock)
        self._idle: asyncio.Future[None] | None = None

    def offer(self, job: Job) -> None:
        """Run the job now, let it wait, or refuse it at once."""
        if job.deadline is not None:
            if job.deadline <= self._clock():
                self._settle(
                    job,
                    DeadlineExceededError(
                        "the deadline had passed before the request was admitted"
                    ),
                )
                return
            self._timer.add(job, job.deadline)
        if len(self._running) < self._max_concurrency:
            self._start(job)
        elif len(self._waiting) < self._max_queue:
            self._waiting.append(job)
        else:
            self._timer.discard(job)
            self._settle(
                job, ResourceExhaustedError("the service works at its limit and its queue is full")
            )

    def load(self, worker: Worker) -> tuple[int, int]:
        """Return how many jobs of a worker run, and how many wait."""
        running = sum(job.worker is worker for job in self._running)
        return running, sum(job.worker is worker for job in self._waiting)

    async def drain(self, budget: float) -> None:
        """Wait until all is done, at most `budget` seconds.

        What is left is refused as UNAVAILABLE and cancelled.
        """
        # Whoever drains from inside a job would wait for itself.
        self._running -= {job for job in self._running if job.task is asyncio.current_task()}
        self._idle = asyncio.get_running_loop().create_future()
        self._next()
        try:
            async with asyncio.timeout(budget):
                await asyncio.shield(self._idle)
        except TimeoutError:
            self.abort()
        finally:
            self._timer.close()

    def abort(self) -> None:
        """Refuse all that waits or runs, now."""
        waiting, self._waiting = self._waiting, deque()
        for job in (*waiting, *self._running):
            self._settle(job, UnavailableError("the service is stopping"))
            self._cancel(job)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _start(self, job: Job) -> None:
        self._running.add(job)
        job.task = asyncio.get_running_loop().create_task(self._work(job))

    async def _work(self, job: Job) -> None:
        job.begun = True
        try:
            await job.worker.run(job)
        except Exception:  # noqa: BLE001 - a defect of a worker is logged whole and ends nothing
            _LOG.exception("a message on %s ended in a defect", job.delivery.subject)
        finally:
            self._done(job)

    def _done(self, job: Job) -> None:
        if job.deadline is not None:
            self._timer.discard(job)
        self._running.discard(job)
        self._next()

    def _next(self) -> None:
        while self._waiting and len(self._running) < self._max_concurrency:
            job = self._waiting.popleft()
            if job.deadline is not None and job.deadline <= self._clock():
                self._expire(job)  # its timer is due, but the loop was busy
            elif not job.settled:
                self._start(job)
        if self._idle is not None and not self._running and not self._idle.done():
            self._idle.set_result(None)

    def _expire(self, job: Job) -> None:
        self._settle(job, DeadlineExceededError("the deadline passed before the service was done"))
        if job.task is not None:
            self._cancel(job)
        else:
            with contextlib.suppress(ValueError):
                self._waiting.remove(job)

    def _cancel(self, job: Job) -> None:
        if job.task is None:
            return
        job.task.cancel()
        if not job.begun:
            # A task that is cancelled before its first step never enters its body.
            self._done(job)

    def _settle(self, job: Job, error: ServiceError) -> None:
        if not job.settled:
            job.settled = True
            job.worker.refuse(job, error)
