"""How many messages run at once, how many wait, and when they end.

Each one is a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats.admission.job import Job, Worker
from weenats.admission.queue import WaitingLine
from weenats.admission.service_times import ServiceTimes
from weenats.errors import (
    CancelledError,
    DeadlineExceededError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from weenats.protocol.deadline import Clock, DeadlineTimer

if TYPE_CHECKING:
    from weenats.transport.base import Delivery

_LOG: Final = logging.getLogger("weenats.admission")
_MAX_CONCURRENCY: Final = 1000


def check_concurrency(max_concurrency: int) -> None:
    """Check how many messages may run at once.

    Raises:
        ValueError: it is not a whole number from 1 to 1000.
    """
    if type(max_concurrency) is not int or not 1 <= max_concurrency <= _MAX_CONCURRENCY:
        raise ValueError(
            f"max_concurrency is from 1 to {_MAX_CONCURRENCY}, not {max_concurrency!r}"
        )


class Admission:
    """Runs jobs, at most `max_concurrency` at once; the others wait in order of arrival.

    A job that cannot be run or finished is refused at once: `max_queue` wait already, it has waited
    for `max_queue_time` seconds, its deadline has passed or will before it can be done, its caller
    gives it up, or the drain budget is spent. The task of a job that runs already is cancelled.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_queue: int,
        max_queue_time: float = math.inf,
        clock: Clock = monotonic,
    ) -> None:
        self._max_concurrency = max_concurrency
        self._clock = clock
        # A job belongs to no other: not to the one whose end let it begin.
        self._context = copy_context()
        self._running: set[Job] = set()
        self._waiting = WaitingLine[Job](max_queue, max_queue_time, self._refuse_aged, clock)
        self._calls: dict[str, Job] = {}
        self._timer = DeadlineTimer[Job](self._expire, clock)
        self._service_times = ServiceTimes[Worker]()
        self._idle: asyncio.Future[None] | None = None

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that run."""
        return tuple(self._running)

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def offer(self, job: Job) -> None:
        """Run the job now, let it wait, or refuse it at once."""
        if job.deadline is not None and job.deadline <= self._clock():
            self._settle(
                job,
                DeadlineExceededError("the deadline had passed before the request was admitted"),
            )
            return
        if len(self._running) < self._max_concurrency:
            self._start(job)
        elif not self._waiting.add(job):
            self._settle(
                job, ResourceExhaustedError("the service works at its limit and its queue is full")
            )
            return
        if job.deadline is not None:
            self._timer.add(job, job.deadline)
        if job.delivery.reply:
            self._calls[job.delivery.reply] = job

    def on_cancel(self, delivery: Delivery) -> None:
        """End the call that its caller gives up: the one with the reply subject of this message.

        Calls that are unknown or answered are none of ours; of several with one reply subject it is
        the latest.
        """
        job = self._calls.get(delivery.reply)
        if job is None:
            return
        if job.deadline is not None and job.deadline <= self._clock():
            self._expire(job)  # the caller's time ran out, which the timer has yet to notice
        else:
            self._end(job, CancelledError("the caller gave the call up"))

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
            self._waiting.close()

    def abort(self) -> None:
        """Refuse all that waits or runs, now; no shield helps."""
        for job in (*self._waiting, *self._running):
            self._settle(job, UnavailableError("the service is stopping"))
            job.cancel()
            self._free(job)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _start(self, job: Job) -> None:
        self._running.add(job)
        job.task = asyncio.get_running_loop().create_task(
            self._work(job), context=self._context.copy()
        )

    async def _work(self, job: Job) -> None:
        begun = job.begun = self._clock()
        try:
            await job.worker.run(job)
        except Exception:  # noqa: BLE001 - a defect of a worker is logged whole and ends nothing
            _LOG.exception("a message on %s ended in a defect", job.delivery.subject)
        finally:
            cut_short = job.task is not None and job.task.cancelling() > 0
            self._service_times.note(job.worker, self._clock() - begun, cut_short=cut_short)
            self._done(job)

    def _done(self, job: Job) -> None:
        self._forget(job)
        self._running.discard(job)
        job.task = None  # else job, task and context would hold each other
        self._next()

    def _next(self) -> None:
        while len(self._running) < self._max_concurrency:
            job = self._waiting.next()
            if job is None:
                break
            if self._is_hopeless(job):
                self._end(
                    job,
                    DeadlineExceededError("the deadline would pass before the service was done"),
                )
            else:
                self._start(job)
        if self._idle is not None and not self._running and not self._idle.done():
            self._idle.set_result(None)

    def _is_hopeless(self, job: Job) -> bool:
        if job.deadline is None:
            return False
        return job.deadline - self._clock() <= self._service_times.least(job.worker)

    def _expire(self, job: Job) -> None:
        self._end(job, DeadlineExceededError("the deadline passed before the service was done"))

    def _refuse_aged(self, job: Job) -> None:
        self._end(job, ResourceExhaustedError("the request waited too long for its turn"))

    def _end(self, job: Job, error: ServiceError) -> None:
        """Refuse a job that waits or runs; one that has its answer already is left alone."""
        if not job.settled:
            self._settle(job, error)
            job.interrupt()
            self._free(job)

    def _free(self, job: Job) -> None:
        """Free the place of a job that has not begun; one that has frees it when it ends."""
        if job.task is None:
            self._waiting.leave(job)
            self._forget(job)
        elif job.begun is None:
            # A task that is cancelled before its first step never enters its body.
            self._done(job)

    def _settle(self, job: Job, error: ServiceError) -> None:
        if not job.settled:
            job.settled = True
            job.worker.refuse(job, error)

    def _forget(self, job: Job) -> None:
        if job.deadline is not None:
            self._timer.discard(job)
        if self._calls.get(job.delivery.reply) is job:
            del self._calls[job.delivery.reply]
