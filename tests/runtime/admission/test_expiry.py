"""Deadlines of admitted messages: before, while and after they run."""

from __future__ import annotations

import asyncio

from testkit.clocks import travel
from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import DeadlineExceededError


async def test_a_spent_deadline_is_refused_before_anything_runs() -> None:
    """What comes too late takes no place."""
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


async def test_expiry_while_waiting_frees_the_place() -> None:
    """A job that waited too long is refused, never started, and its place is taken by the next."""
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


async def test_a_job_whose_deadline_passed_while_it_waited_does_not_start() -> None:
    """A caller who left while a handler held up the loop is not served when the place frees."""
    clock = travel()

    async def hold_up_the_loop(job: Job) -> None:
        if job is running:
            clock.advance(6)
        worker.finished.append(job)

    worker = ScriptedWorker(hold_up_the_loop)
    admission = Admission(max_concurrency=1, max_queue=2, clock=clock)
    running, late, after = worker.job(), worker.job(deadline=clock() + 5), worker.job()
    for job in (running, late, after):
        admission.submit(job)
    await until(lambda: len(worker.finished) == 2)
    assert (worker.started, worker.reasons) == ([running, after], [DeadlineExceededError])
    await admission.drain(1)
    await settle()
    assert worker.reasons == [DeadlineExceededError]


async def test_expiry_while_running_cancels_and_settles_once() -> None:
    """The caller is told at once, the task is cancelled, its place is free."""
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


async def test_a_handler_that_swallows_cancellation_keeps_its_place_only() -> None:
    """It is answered for by the deadline; its place frees when it has ended."""
    gate = asyncio.Event()

    async def stubborn(job: Job) -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        assert job.answered

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
    await until(lambda: len(worker.started) == 2)
    assert worker.reasons == [DeadlineExceededError]


async def test_a_task_cancelled_before_its_first_step_frees_its_place() -> None:
    """A job that ends before it began is told so, and the next one starts."""
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
