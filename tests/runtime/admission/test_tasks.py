"""Tasks of jobs: each has its own, and does not notice the others."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from typing import Any, Final

import pytest

from testkit.waiting import until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.context import CURRENT, MessageContext

_LEFT: Final[ContextVar[str]] = ContextVar("left", default="")


class _Watched(ScriptedWorker):
    """A worker that notes the task of each job, and runs a function in it."""

    def __init__(self, behaviour: Any) -> None:
        super().__init__(behaviour)
        self.tasks: list[asyncio.Task[Any]] = []

    async def run(self, job: Job) -> None:
        """Note the task, and run the function."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        await super().run(job)
        self.finished.append(job)


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


@pytest.mark.parametrize("behaviour", [_nothing, _wait])
async def test_each_job_has_a_task_of_its_own(behaviour: Any) -> None:
    """No two jobs run in one task, whether they wait or not; they begin in order of arrival."""
    worker = _Watched(behaviour)
    await _run(worker, 100)
    assert len(set(worker.tasks)) == 100
    assert worker.finished == worker.started


async def test_job_does_not_see_what_another_leaves_behind() -> None:
    """What a job leaves in a context variable, or as the current message, no other job sees."""
    seen: list[tuple[str, MessageContext | None]] = []

    async def leave(_: Job) -> None:
        seen.append((_LEFT.get(), CURRENT.get()))
        _LEFT.set("secret")
        CURRENT.set(MessageContext("id", "id"))

    await _run(_Watched(leave), 20)
    assert seen == [("", None)] * 20


async def test_job_that_cancels_tasks_of_earlier_jobs_ends_well() -> None:
    """A job may cancel the task of a job that has ended, as handlers do that keep the latest."""

    async def cancel(_: Job) -> None:
        for task in worker.tasks[:-1]:
            task.cancel()
        await asyncio.sleep(0)

    worker = _Watched(cancel)
    for _ in range(5):
        await _run(worker, 1)
        worker.finished.clear()


async def test_job_that_cancels_its_own_task_ends_alone() -> None:
    """The others that arrived with it go on."""

    async def cancel(job: Job) -> None:
        if job is worker.started[0]:
            worker.tasks[0].cancel()
        else:
            await asyncio.sleep(0)

    worker = _Watched(cancel)
    await _run(worker, 5)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_eager_tasks() -> None:
    """Jobs run where tasks begin at once, too."""
    factory: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009 - type checkers know 3.11
    asyncio.get_running_loop().set_task_factory(factory)
    for behaviour in (_nothing, _wait):
        worker = _Watched(behaviour)
        await _run(worker, 20, max_concurrency=3)
        assert len(worker.finished) == 20
