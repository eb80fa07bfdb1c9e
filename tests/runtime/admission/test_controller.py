"""How many run, how many wait, and how a drain ends them."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import travel
from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import ResourceExhaustedError, UnavailableError


async def test_exactly_max_concurrency_run_and_the_rest_wait_in_order() -> None:
    """Three run at once, never four; the others start in the order in which they came."""
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


async def test_a_full_queue_refuses_at_once() -> None:
    """The job after the last place is refused before the loop turns; a place that frees is used."""
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


async def test_without_a_queue_only_the_running_ones_are_taken() -> None:
    """A queue of no places refuses whatever cannot run now."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=0)
    admission.submit(worker.job())
    admission.submit(worker.job())
    assert worker.reasons == [ResourceExhaustedError]
    worker.gate.set()
    await admission.drain(1)


async def test_a_worker_that_raises_frees_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """A defect is logged with its traceback and ends nothing."""

    async def broken(job: Job) -> None:
        raise LookupError(job.delivery.subject)

    worker, admission = ScriptedWorker(broken), Admission(max_concurrency=1, max_queue=5)
    for _ in range(3):
        admission.submit(worker.job())
    await admission.drain(5)
    assert len(worker.started) == 3
    assert [record.exc_info is not None for record in caplog.records] == [True] * 3
    assert "unexpected error while handling" in caplog.text


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 3), st.integers(0, 4))
def test_every_job_ends_once(turns: list[int], concurrency: int, queue: int) -> None:
    """However long jobs take, each is finished or refused, once, within the limits."""

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


async def test_drain_waits_for_all_within_its_budget() -> None:
    """What was admitted is finished, what waits included; an empty service drains at once."""
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


async def test_what_the_budget_is_too_short_for_is_unavailable() -> None:
    """When the budget is spent, all that runs or waits is refused once and cancelled."""
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


async def test_abort_cuts_a_drain_short() -> None:
    """A second signal ends the wait now, also for jobs that have not begun."""
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


async def test_the_load_of_each_worker() -> None:
    """Of each worker the jobs that run and wait are told, and not those of others."""
    one, other = FakeWorker(), FakeWorker()
    admission = Admission(max_concurrency=2, max_queue=10)
    for worker in (one, other, one, one, other):
        admission.submit(worker.job())
    assert (admission.load(one), admission.load(other)) == ((1, 2), (1, 1))
    one.gate.set()
    other.gate.set()
    await admission.drain(5)
    assert (admission.load(one), admission.load(other)) == ((0, 0), (0, 0))


async def test_a_job_sees_nothing_of_the_one_whose_end_let_it_begin() -> None:
    """Each runs in a copy of the context that the admission was made in."""
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    variable.set("of the application")
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
    assert seen == ["of the application"] * 3
    assert (admission.running, admission.queued) == ((), 0)
