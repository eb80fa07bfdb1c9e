"""Tasks of jobs: those that do not wait share one, and do not notice each other."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar, copy_context
from typing import Any, Final, cast

import pytest

from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.context import CURRENT, MessageContext

_LEFT: Final[ContextVar[str]] = ContextVar("left", default="")


class _Watched(ScriptedWorker):
    """A worker that notes the task of each job, and runs a function in it."""

    def __init__(self, behaviour: Any) -> None:
        super().__init__(behaviour)
        self.tasks: list[asyncio.Task[Any] | None] = []

    async def run(self, job: Job) -> None:
        """Note the task, and run the function."""
        self.tasks.append(asyncio.current_task())
        await super().run(job)
        self.finished.append(job)


class _Incomparable:
    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")

    __hash__ = None  # type: ignore[assignment]


async def _run(worker: FakeWorker, count: int, max_concurrency: int = 100) -> Admission:
    """Run jobs that arrive at the same time."""
    admission = Admission(max_concurrency=max_concurrency, max_queue=count)
    for _ in range(count):
        admission.submit(worker.job())
    await until(lambda: len(worker.finished) == count)
    return admission


async def _nothing(_: Job) -> None:
    """Return without waiting."""


async def _wait(_: Job) -> None:
    await asyncio.sleep(0)


async def test_jobs_that_do_not_wait_share_a_task() -> None:
    """Jobs that arrive together and do not wait are run by fewer tasks than jobs, in order."""
    worker = _Watched(_nothing)
    await _run(worker, 100)
    assert len(set(worker.tasks)) < 50
    assert worker.finished == worker.started


async def test_job_that_waits_has_a_task_of_its_own() -> None:
    """Jobs that wait run at the same time, each in a task that no other job has."""
    worker = FakeWorker()
    admission = Admission(max_concurrency=20, max_queue=0)
    jobs = [worker.job() for _ in range(20)]
    for job in jobs:
        admission.submit(job)
    await until(lambda: len(worker.started) == 20)
    assert len({job.task for job in jobs}) == 20
    worker.gate.set()
    await admission.drain(30)


async def test_jobs_that_wait_begin_in_one_iteration() -> None:
    """Once jobs of a worker have waited, its next ones begin in one iteration of the loop."""
    worker = FakeWorker()
    worker.gate.set()
    scripted = _Watched(_wait)
    admission = await _run(scripted, 3)
    for _ in range(50):
        admission.submit(scripted.job())
    await asyncio.sleep(0)
    assert len(scripted.started) == 53
    await admission.drain(30)


async def test_job_does_not_see_the_context_variables_of_another() -> None:
    """What a job leaves in a context variable is gone for all others that arrived with it."""
    seen: list[str] = []

    async def leave(_: Job) -> None:
        seen.append(_LEFT.get())
        _LEFT.set("secret")

    await _run(_Watched(leave), 20)
    assert seen == [""] * 20


async def test_values_that_cannot_be_compared() -> None:
    """A context variable whose value cannot be compared disturbs no other job."""
    seen: list[object] = []

    async def leave(_: Job) -> None:
        seen.append(_LEFT.get())
        _LEFT.set(cast("str", _Incomparable()))

    _LEFT.set(cast("str", _Incomparable()))
    variables = copy_context()
    worker = _Watched(leave)
    admission = Admission(max_concurrency=100, max_queue=20, variables=variables)
    for _ in range(20):
        admission.submit(worker.job())
    await until(lambda: len(worker.finished) == 20)
    assert seen == [variables[_LEFT]] * 20


async def test_job_does_not_see_the_message_of_another() -> None:
    """A job begins without a current message, and what telemetry has set for the last is undone."""
    seen: list[MessageContext | None] = []
    left: list[int] = []

    async def serve(_: Job) -> None:
        seen.append(CURRENT.get())
        message = MessageContext("id", "id")
        token = _LEFT.set("a span")
        message.leave = lambda: left.append(0) or _LEFT.reset(token)  # type: ignore[func-returns-value]
        CURRENT.set(message)

    worker = _Watched(serve)
    await _run(worker, 20)
    assert seen == [None] * 20
    assert left  # the task went on with the next job
    assert len(set(worker.tasks)) < 10


async def test_cancellation_of_a_task_does_not_reach_the_next_job() -> None:
    """A job that cancels its task and returns ends alone."""

    async def cancel(job: Job) -> None:
        if job is worker.started[0]:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        else:
            await asyncio.sleep(0)

    worker = _Watched(cancel)
    await _run(worker, 5)
    assert len(worker.finished) == 5


async def test_tasks_that_are_cancelled_before_they_begin_block_no_job() -> None:
    """After all tasks of a program were cancelled, the next jobs are run."""
    worker = _Watched(_nothing)
    admission = Admission(max_concurrency=100, max_queue=0)
    admission.submit(worker.job())
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await settle()
    admission.submit(worker.job())
    await until(lambda: len(worker.finished) == 2)


async def test_jobs_that_take_long_let_the_loop_do_other_work() -> None:
    """After as many long jobs as may run at once, the event loop runs what else is there."""
    now = 0.0
    others: list[int] = []

    async def compute(_: Job) -> None:
        nonlocal now
        now += 1
        others.append(turns)

    turns = 0
    worker = _Watched(compute)
    admission = Admission(max_concurrency=2, max_queue=8, clock=lambda: now)
    for _ in range(10):
        admission.submit(worker.job())
    while len(worker.finished) < 10:
        await asyncio.sleep(0)
        turns += 1
    assert [others.count(each) for each in sorted(set(others))] == [2] * 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_eager_tasks() -> None:
    """Jobs run where tasks begin at once, too."""
    factory: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009 - type checkers know 3.11
    asyncio.get_running_loop().set_task_factory(factory)
    for behaviour in (_nothing, _wait):
        worker = _Watched(behaviour)
        await _run(worker, 20, max_concurrency=3)
        assert len(worker.finished) == 20
