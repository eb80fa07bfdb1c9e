"""How many messages are handled at once, how many wait, and when they are ended."""

import asyncio
import math
from contextvars import Context
from functools import partial
from time import monotonic
from typing import Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, retrieve
from weenats._internal.validation import check_integer
from weenats.admission.job import Job, Worker
from weenats.admission.queue import BoundedQueue
from weenats.context import CURRENT
from weenats.errors import (
    CancelledError,
    DeadlineExceededError,
    InternalError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from weenats.protocol.headers import DIGEST, MESSAGE_ID, Headers
from weenats.protocol.timeouts import Clock, DeadlineTimer
from weenats.transport.base import Delivery

__all__ = ["Admission", "ServiceTimes", "check_concurrency"]
_LOG: Final = LimitedLogger("weenats.admission")
_GROWTH: Final = 1.1
_STEP: Final = 0.001
_MAX_CONCURRENCY: Final = 1000
_MAX_CANCELLED: Final = 1000
_MAX_QUEUED_BYTES: Final = 128 * 1024 * 1024
_ID_LENGTH: Final = 26
_DIGEST_LENGTH: Final = 64


def check_concurrency(max_concurrency: int) -> None:
    """Check how many messages may run at once.

    Args:
        max_concurrency: the number.

    Raises:
        ValueError: it is not a whole number from 1 to 1000.
    """
    check_integer("max_concurrency", max_concurrency, 1, _MAX_CONCURRENCY)


class Admission:
    """Runs each job in a task, up to `max_concurrency` at once; others wait in a queue.

    A job is refused immediately when the queue is full, when it waited too long, when its deadline
    passed or would pass before it could be finished, when its caller cancels it, or when the drain
    budget is spent. If it runs already, its task is cancelled. Tasks run on the event loop that is
    running when the controller is created.

    Args:
        max_concurrency: how many jobs run at once.
        max_queue: how many jobs wait; their messages have at most 128 MiB together.
        max_queue_time: how long a job waits, in seconds.
        clock: returns monotonic seconds.
        variables: the context variables of all jobs, none by default. A job never inherits those of
            the code that created the controller, nor those of another job.

    Attributes:
        cancelled: message ids of calls that may wait and were cancelled by message id, each with
            the digest of its payload; see `check_cancelled`.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_queue: int,
        max_queue_time: float = math.inf,
        clock: Clock = monotonic,
        variables: Context | None = None,
    ) -> None:
        self._max_concurrency = max_concurrency
        self._clock = clock
        # As `start_task`, without a call of Python: all messages take this way.
        self._create_task = partial(asyncio.Task, loop=asyncio.get_running_loop())
        self._variables = Context() if variables is None else variables
        self._running: set[Job] = set()
        self._queue = BoundedQueue[Job](
            max_queue,
            max_queue_time,
            self._refuse_expired,
            clock,
            lambda job: job.delivery.size,
            _MAX_QUEUED_BYTES,
        )
        self._calls: dict[str, Job] = {}
        self.cancelled: dict[str, str] = {}
        self._timer = DeadlineTimer[Job](self._on_deadline, clock)
        self._service_times = ServiceTimes()
        self._idle: asyncio.Future[None] | None = None

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that run."""
        return tuple(self._running)

    @property
    def queued(self) -> int:
        """The number of jobs that wait."""
        return len(self._queue)

    def submit(self, job: Job, now: float | None = None) -> None:
        """Run a job now, put it into the queue, or refuse it.

        Args:
            job: the job.
            now: the present time, monotonic seconds, if it is known already.
        """
        deadline = job.deadline
        if deadline is not None and deadline <= (self._clock() if now is None else now):
            self._refuse(job, DeadlineExceededError("the deadline passed before admission"))
            return
        if len(self._running) < self._max_concurrency:
            self._start(job)
        elif not self._queue.put(job):
            self._refuse(job, ResourceExhaustedError("the service's queue is full"))
            return
        if deadline is not None:
            self._timer.add(job, deadline)
        reply = job.delivery.reply
        if reply:
            self._calls[reply] = job

    def on_cancel(self, delivery: Delivery) -> None:
        """End the call that a message names, because its caller cancelled it.

        The message has the reply subject of the call. Between accounts that is replaced; then the
        headers of the message name it. Unknown and answered calls are ignored. If several calls
        have the reply subject, the latest one is ended.

        Args:
            delivery: the message.
        """
        job = self._calls.get(delivery.reply) or self._named_by(delivery.headers)
        if job is None:
            return
        if job.deadline is not None and job.deadline <= self._clock():
            self._on_deadline(job)  # the timer has not fired yet
        else:
            self._cancel_job(job, CancelledError("the caller cancelled the call"))

    def check_cancelled(self, job: Job) -> None:
        """Check that a job was not cancelled before its message was decoded.

        Args:
            job: the job, whose context is known by now.

        Raises:
            CancelledError: its caller cancelled it.
        """
        message_id = "" if job.context is None else job.context.message_id
        digest = self.cancelled.get(message_id)
        if digest is not None and digest == job.digest:
            raise CancelledError("the caller cancelled the call")

    def load(self, worker: Worker) -> tuple[int, int]:
        """Return how many jobs of a worker run, and how many wait.

        Args:
            worker: the worker.
        """
        running = sum(job.worker is worker for job in self._running)
        return running, sum(job.worker is worker for job in self._queue)

    async def drain(self, budget: float) -> None:
        """Wait until all jobs are finished; then abort those that are left.

        Args:
            budget: the time limit in seconds.
        """
        self._running -= {job for job in self._running if _is_current(job)}
        if self._idle is None or self._idle.done():  # else another one drains as well
            self._idle = asyncio.get_running_loop().create_future()
        for job in self._running:
            self._watch(job)
        self._start_next()
        try:
            async with asyncio.timeout(budget):
                await asyncio.shield(self._idle)
        except TimeoutError:
            self.abort()
        finally:
            self._timer.close()
            self._queue.close()

    def abort(self) -> None:
        """Refuse all jobs as UNAVAILABLE and cancel their tasks, shielded or not."""
        for job in (*self._queue, *self._running):
            self._refuse(job, UnavailableError("the service is stopping"))
            job.cancel()
            self._free_slot(job)
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _named_by(self, headers: Headers) -> Job | None:
        """Return the running call that headers name; remember the name while calls wait."""
        message_id, digest = headers.get(MESSAGE_ID, ""), headers.get(DIGEST, "")
        if len(message_id) != _ID_LENGTH or len(digest) != _DIGEST_LENGTH:
            return None  # any user may send them, and they are kept
        is_decoded = not self._queue
        for job in self._running:
            if job.context is None:
                is_decoded = False
            elif job.context.message_id == message_id and job.digest == digest:
                return job
        if not is_decoded:
            self.cancelled[message_id] = digest
            if len(self.cancelled) > _MAX_CANCELLED:
                del self.cancelled[next(iter(self.cancelled))]
        return None

    def _start(self, job: Job) -> None:
        self._running.add(job)
        variables = job.variables = self._variables.copy()
        name = job.delivery.subject  # asyncio would format a number
        job.task = self._create_task(self._run(job), name=name, context=variables)
        if self._idle is not None:
            self._watch(job)

    def _watch(self, job: Job) -> None:
        """Note the end of a task that others, such as `asyncio.run`, cancel before its first step.

        Only a drain waits for it: all messages would pay for the callback.
        """
        if job.started is None and job.task is not None:
            job.task.add_done_callback(lambda _: self._on_unstarted(job), context=Context())

    def _on_unstarted(self, job: Job) -> None:
        if job.started is None and job in self._running:
            self._refuse(job, CancelledError("the service cancelled the request"))
            self._on_task_done(job)

    async def _run(self, job: Job) -> None:
        clock = self._clock
        started = job.started = clock()
        try:
            await job.worker.run(job)
        except BaseException as error:
            task = job.task
            if ends_task(error, task):
                if task is not None:  # SystemExit has reached the event loop: it needs no log
                    task.add_done_callback(retrieve)
                raise
            self._refuse(job, InternalError())  # unless it was answered before
            _LOG.exception("unexpected error while handling a message on %s", job.delivery.subject)
        finally:
            task = job.task
            cut_short = task is not None and task.cancelling() > 0
            self._service_times.add(job.worker, clock() - started, cut_short)
            self._on_task_done(job)

    def _on_task_done(self, job: Job) -> None:
        # As `_untrack`, without calls: all messages take this way.
        self._timer.deadlines.pop(job, None)
        reply = job.delivery.reply
        if self._calls.get(reply) is job:
            del self._calls[reply]
        self._running.discard(job)
        job.task = job.variables = None  # breaks the reference cycle of job, task and context
        if self._idle is not None or self._queue.items:
            self._start_next()

    def _start_next(self) -> None:
        while len(self._running) < self._max_concurrency:
            job = self._queue.get()
            if job is None:
                break
            deadline = job.deadline
            least = 0.0 if deadline is None else self._service_times.least(job.worker)
            if deadline is not None and deadline - self._clock() <= least:
                self._cancel_job(
                    job, DeadlineExceededError("too little time is left for the request")
                )
            else:
                self._start(job)
        if self._idle is not None and not self._running and not self._idle.done():
            self._idle.set_result(None)

    def _on_deadline(self, job: Job) -> None:
        self._cancel_job(
            job, DeadlineExceededError("the deadline passed before the request finished")
        )

    def _refuse_expired(self, job: Job) -> None:
        self._cancel_job(job, ResourceExhaustedError("the request waited too long in the queue"))

    def _cancel_job(self, job: Job, error: ServiceError) -> None:
        """Refuse a job that waits or runs, unless it was answered."""
        if not job.answered:
            self._refuse(job, error)
            job.interrupt()
            self._free_slot(job)

    def _free_slot(self, job: Job) -> None:
        """Release the place of a job whose task has not started; others release it at their end."""
        if job.task is None:
            self._queue.remove(job)
            self._untrack(job)
        elif job.started is None:
            # A task that is cancelled before its first step never runs its `finally`.
            self._on_task_done(job)

    def _refuse(self, job: Job, error: ServiceError) -> None:
        if not job.answered:
            job.answered = True
            # Not in the context of the timer, of the stop or of another job that leads here.
            variables = self._variables if job.variables is None else job.variables
            variables.copy().run(job.worker.refuse, job, error)

    def _untrack(self, job: Job) -> None:
        if job.deadline is not None:
            self._timer.discard(job)
        reply = job.delivery.reply
        if self._calls.get(reply) is job:
            del self._calls[reply]


def _is_current(job: Job) -> bool:
    """Return whether the caller is a job's handler, in a task or thread of its own or not.

    A drain would wait for itself.
    """
    if job.task is asyncio.current_task():
        return True
    message = CURRENT.get()
    return (
        message is not None and job.variables is not None and job.variables.get(CURRENT) is message
    )


class ServiceTimes:
    """The least time that the jobs of each worker take, estimated from finished jobs.

    A quicker job lowers the estimate at once. A slower one raises it by at most a tenth and a
    millisecond, so only many slow jobs in a row raise it much.
    """

    def __init__(self) -> None:
        self._least: dict[Worker, float] = {}

    def add(self, worker: Worker, duration: float, cut_short: bool) -> None:  # noqa: FBT001 - each job
        """Count a job.

        Args:
            worker: the worker that handled it.
            duration: how long it ran, in seconds.
            cut_short: whether it was cancelled, so that it would have run longer.
        """
        known = self._least.get(worker, 0.0)
        if cut_short:
            duration = max(duration, known)
        most = known * _GROWTH + _STEP
        self._least[worker] = duration if duration < most else most  # noqa: FURB136 - each job

    def least(self, worker: Worker) -> float:
        """Return the least time of a worker's jobs in seconds, 0 while it is unknown.

        Args:
            worker: the worker.
        """
        return self._least.get(worker, 0.0)
