"""Concurrency limit, queue limit and drain of the admission controller."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import travel
from testkit.waiting import LIMIT, settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import CancelledError, InternalError, ResourceExhaustedError, UnavailableError


async def test_max_concurrency_jobs_run_and_others_queue_in_order() -> None:
    """At most max_concurrency jobs run at once; the others start in order of arrival."""
    worker, admission = FakeWorker(), Admission(max_concurrency=3, max_queue=10)
    jobs = [worker.job() for _ in range(10)]
    for job in jobs:
        admission.submit(job)
    await settle()
    assert worker.started == jobs[:3]
    worker.gate.set()
    await until(lambda: len(worker.finished) == 10)
    assert worker.started == jobs
    assert worker.refused == []


async def test_full_queue_rejects_immediately() -> None:
    """A job beyond the queue limit is rejected synchronously; a freed slot is used again."""
    worker, admission = FakeWorker(), Admission(max_concurrency=2, max_queue=3)
    for _ in range(5):
        admission.submit(worker.job())
    assert worker.refused == []
    admission.submit(worker.job())
    assert worker.reasons == [ResourceExhaustedError]
    worker.gate.set()
    await until(lambda: len(worker.finished) == 5)
    admission.submit(worker.job())
    await until(lambda: len(worker.finished) == 6)


async def test_queue_of_zero_rejects_jobs_that_cannot_run() -> None:
    """With max_queue=0 every job that cannot start immediately is rejected."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=0)
    admission.submit(worker.job())
    admission.submit(worker.job())
    assert worker.reasons == [ResourceExhaustedError]
    worker.gate.set()
    await admission.drain(1)


async def test_worker_exception_is_logged_and_frees_the_slot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception of a worker is logged with its traceback, answered, and the next job starts."""

    async def broken(job: Job) -> None:
        raise LookupError(job.delivery.subject)

    worker, admission = ScriptedWorker(broken), Admission(max_concurrency=1, max_queue=5)
    for _ in range(3):
        admission.submit(worker.job())
    await admission.drain(5)
    assert len(worker.started) == 3
    assert worker.reasons == [InternalError] * 3
    assert [record.exc_info is not None for record in caplog.records] == [True] * 3
    assert "unexpected error while handling" in caplog.text


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 3), st.integers(0, 4))
def test_every_job_ends_once(turns: list[int], concurrency: int, queue: int) -> None:
    """Whatever its duration, each job is finished or rejected once, within the limits."""

    async def play() -> None:
        running = most = 0

        async def work(job: Job) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(turns[jobs.index(job)]):
                await asyncio.sleep(0)
            running -= 1
            worker.finished.append(job)

        worker, admission = (
            ScriptedWorker(work),
            Admission(max_concurrency=concurrency, max_queue=queue),
        )
        jobs = [worker.job() for _ in turns]
        for job in jobs:
            admission.submit(job)
        await admission.drain(5)
        assert most <= concurrency
        assert len(worker.finished) == min(len(turns), concurrency + queue)
        assert worker.started == jobs[: concurrency + queue]
        assert [job for job, _ in worker.refused] == jobs[concurrency + queue :]

    asyncio.run(play())


async def test_drain_waits_for_running_and_queued_jobs() -> None:
    """All admitted jobs finish, queued ones included; an idle controller drains immediately."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=5)
    for _ in range(4):
        admission.submit(worker.job())
    draining = asyncio.create_task(admission.drain(30))
    await settle()
    assert not draining.done()
    worker.gate.set()
    await draining
    assert (len(worker.finished), worker.refused) == (4, [])
    await Admission(max_concurrency=1, max_queue=0).drain(0)


async def test_jobs_may_drain_together() -> None:
    """Drains of two jobs and of other code all end when no job is left that does not drain."""
    is_draining = asyncio.Event()

    async def drain(job: Job) -> None:
        if len(worker.started) == 2:
            is_draining.set()
        await is_draining.wait()
        await admission.drain(LIMIT * 10)
        worker.finished.append(job)

    worker, admission = ScriptedWorker(drain), Admission(max_concurrency=2, max_queue=0)
    for _ in range(2):
        admission.submit(worker.job())
    await asyncio.wait_for(admission.drain(LIMIT * 10), LIMIT)
    await until(lambda: len(worker.finished) == 2)
    assert worker.refused == []


@pytest.mark.parametrize("is_draining", [False, True])
async def test_drain_and_tasks_that_others_cancel_before_they_begin(is_draining: bool) -> None:
    """What cancels all tasks, such as the end of `asyncio.run`, keeps no drain waiting."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=5)
    first, second = worker.job(), worker.job()
    draining = asyncio.create_task(admission.drain(LIMIT * 10))
    if is_draining:
        await settle()
    for job in (first, second):
        admission.submit(job)
    assert first.task is not None
    first.task.cancel()
    worker.gate.set()
    await asyncio.wait_for(draining, LIMIT)
    await until(lambda: worker.finished)
    assert (worker.started, worker.reasons) == ([second], [CancelledError])


async def test_spent_drain_budget_rejects_remaining_jobs() -> None:
    """Once the budget is spent, running and queued jobs are rejected once and cancelled."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=2, max_queue=5, clock=clock)
    jobs = [worker.job(deadline=clock() + 100) for _ in range(5)]
    for job in jobs:
        admission.submit(job)
    draining = asyncio.create_task(admission.drain(10))
    await settle()
    tasks = [job.task for job in jobs if job.task]
    clock.advance(11)
    await draining
    assert worker.reasons == [UnavailableError] * 5
    await until(lambda: len(tasks) == 2 and all(task.cancelled() for task in tasks))
    assert (len(worker.started), worker.finished) == (2, [])
    clock.advance(1000)
    await settle()
    assert len(worker.refused) == 5


async def test_abort_ends_a_drain_immediately() -> None:
    """abort() ends the wait at once, also for jobs that have not started."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=5)
    admission.submit(worker.job())
    await settle()
    draining = asyncio.create_task(admission.drain(30))
    await settle()
    admission.submit(worker.job())
    admission.abort()
    admission.abort()
    await draining
    fresh, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=5)
    admission.submit(fresh.job())
    admission.abort()
    await admission.drain(30)
    assert (worker.reasons, fresh.reasons) == ([UnavailableError] * 2, [UnavailableError])
    assert fresh.started == []


async def test_load_is_counted_per_worker() -> None:
    """load() returns the running and queued jobs of one worker only."""
    one, other = FakeWorker(), FakeWorker()
    admission = Admission(max_concurrency=2, max_queue=10)
    for worker in (one, other, one, one, other):
        admission.submit(worker.job())
    assert (admission.load(one), admission.load(other)) == ((1, 2), (1, 1))
    one.gate.set()
    other.gate.set()
    await admission.drain(5)
    assert (admission.load(one), admission.load(other)) == ((0, 0), (0, 0))


async def test_jobs_do_not_share_context_variables() -> None:
    """A job has neither the variables of another job nor those of the controller's creator."""
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    variable.set("of a request")
    seen: list[str] = []

    async def look(_: Job) -> None:
        seen.append(variable.get())
        variable.set("of another job")
        await asyncio.sleep(0)

    worker = ScriptedWorker(look)
    admission = Admission(max_concurrency=1, max_queue=5)
    for _ in range(3):
        admission.submit(worker.job())
    assert (len(admission.running), admission.queued) == (1, 2)
    await admission.drain(5)
    assert seen == ["nothing"] * 3
    assert (admission.running, admission.queued) == ((), 0)
