"""Deadlines of admitted messages: before, while and after they run."""

from __future__ import annotations

import asyncio

from testkit.clocks import travel
from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import DeadlineExceededError


async def test_expired_job_is_rejected_on_arrival() -> None:
    """A job whose deadline has passed takes no slot."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=0, clock=clock)
    admission.submit(worker.job(deadline=clock() - 1))
    admission.submit(worker.job(deadline=clock()))
    assert worker.reasons == [DeadlineExceededError] * 2
    admission.submit(worker.job(deadline=clock() + 1))
    await settle()
    assert len(worker.started) == 1
    worker.gate.set()
    await admission.drain(1)


async def test_expiry_in_the_queue_frees_the_queue_slot() -> None:
    """A job that expires in the queue is rejected and never starts; the next takes its slot."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=1, clock=clock)
    running, late, after = worker.job(), worker.job(deadline=clock() + 5), worker.job()
    admission.submit(running)
    admission.submit(late)
    clock.advance(6)
    await until(lambda: worker.refused)
    assert (worker.reasons, late.answered) == ([DeadlineExceededError], True)
    admission.submit(after)
    worker.gate.set()
    await until(lambda: len(worker.finished) == 2)
    assert worker.started == [running, after]


async def test_job_that_expired_in_a_busy_loop_does_not_start() -> None:
    """A job that expired while a handler blocked the event loop is not started afterwards."""
    clock = travel()

    async def block_event_loop(job: Job) -> None:
        if job is running:
            clock.advance(6)
        worker.finished.append(job)

    worker = ScriptedWorker(block_event_loop)
    admission = Admission(max_concurrency=1, max_queue=2, clock=clock)
    running, late, after = worker.job(), worker.job(deadline=clock() + 5), worker.job()
    for job in (running, late, after):
        admission.submit(job)
    await until(lambda: len(worker.finished) == 2)
    assert (worker.started, worker.reasons) == ([running, after], [DeadlineExceededError])
    await admission.drain(1)
    await settle()
    assert worker.reasons == [DeadlineExceededError]


async def test_expiry_of_running_job_cancels_and_settles_once() -> None:
    """The caller is answered at once, the task is cancelled, and its slot is freed."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=1, clock=clock)
    late, after = worker.job(deadline=clock() + 5), worker.job()
    admission.submit(late)
    admission.submit(after)
    await until(lambda: worker.started)
    task = late.task
    clock.advance(6)
    await until(lambda: after in worker.started)
    assert task is not None
    assert task.cancelled()
    worker.gate.set()
    await admission.drain(1)
    assert (worker.reasons, worker.finished) == ([DeadlineExceededError], [after])


async def test_handler_that_ignores_cancellation_keeps_its_slot() -> None:
    """The caller is answered at the deadline; the slot is freed when the handler ends."""
    gate = asyncio.Event()

    async def stubborn(job: Job) -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        answered.append(job.answered)

    answered: list[bool] = []
    worker, clock = ScriptedWorker(stubborn), travel()
    admission = Admission(max_concurrency=1, max_queue=5, clock=clock)
    admission.submit(worker.job(deadline=clock() + 5))
    admission.submit(worker.job())
    await until(lambda: worker.started)
    clock.advance(6)
    await until(lambda: worker.refused)
    await settle()
    assert len(worker.started) == 1
    gate.set()
    await until(lambda: len(answered) == 2)
    assert answered == [True, False]
    assert worker.reasons == [DeadlineExceededError]


async def test_task_cancelled_before_its_first_step_frees_its_slot() -> None:
    """A job that expires before its task has run is answered, and the next job starts."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=1, clock=clock)
    late, after = worker.job(deadline=clock() + 5), worker.job()
    admission.submit(late)
    admission.submit(after)
    admission._on_deadline(late)
    worker.gate.set()
    await until(lambda: worker.finished)
    assert (worker.started, worker.reasons) == ([after], [DeadlineExceededError])
    await admission.drain(1)
