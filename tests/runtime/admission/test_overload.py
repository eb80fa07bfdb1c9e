"""Overload: maximum queue time, and jobs that cannot finish before their deadline."""

from __future__ import annotations

import pytest

from testkit.clocks import travel
from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission import controller
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import DeadlineExceededError, ResourceExhaustedError
from weenats.transport import Delivery


async def test_job_past_max_queue_time_is_rejected() -> None:
    """Each job is rejected at its own time, the oldest first, and its queue slot is freed."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=2, max_queue_time=5, clock=clock)
    running, first, second, third = (worker.job(deadline=clock() + 60) for _ in range(4))
    admission.submit(running)
    admission.submit(first)
    clock.advance(3)
    admission.submit(second)
    clock.advance(3)
    await until(lambda: worker.refused)
    assert ([job for job, _ in worker.refused], worker.reasons) == (
        [first],
        [ResourceExhaustedError],
    )
    assert "waited too long" in str(worker.refused[0][1])
    admission.submit(third)
    worker.gate.set()
    await until(lambda: len(worker.finished) == 3)
    assert worker.started == [running, second, third]
    clock.advance(100)
    await settle()
    assert len(worker.refused) == 1


async def test_large_messages_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that wait are limited in size; headers count like payloads."""
    monkeypatch.setattr(controller, "_MAX_QUEUED_BYTES", 1000)
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=100)
    admission.submit(worker.job())
    large = [
        Job(worker, Delivery("probe", "", b"x" * 400, b"NATS/1.0\r\n" + b"y" * 400))
        for _ in range(2)
    ]
    for job in large:
        admission.submit(job)
    assert worker.refused[0][0] is large[1]
    assert (worker.reasons, admission.queued) == ([ResourceExhaustedError], 1)
    worker.gate.set()
    await admission.drain(1)


async def test_max_queue_time_does_not_limit_running_jobs() -> None:
    """A running job may take longer than max_queue_time."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=1, max_queue_time=5, clock=clock)
    admission.submit(worker.job())
    await until(lambda: worker.started)
    clock.advance(60)
    await settle()
    assert worker.refused == []
    worker.gate.set()
    await admission.drain(1)


class Timed(ScriptedWorker):
    """A worker whose jobs take `takes` seconds on a clock that it advances."""

    def __init__(self) -> None:
        super().__init__(self._work)
        self.clock = travel()
        self.takes = 0.1

    async def _work(self, job: Job) -> None:
        await self.gate.wait()
        self.clock.advance(self.takes)
        job.answered = True
        self.finished.append(job)


async def learn_service_time(worker: Timed, admission: Admission, jobs: int = 100) -> None:
    """Let the controller learn how long the jobs take."""
    worker.gate.set()
    for _ in range(jobs):
        admission.submit(job := worker.job())
        await until(lambda job=job: job.answered)  # type: ignore[misc]
    worker.gate.clear()
    worker.started.clear()
    worker.finished.clear()


async def test_job_that_cannot_meet_its_deadline_is_not_started() -> None:
    """A job whose remaining time is shorter than the service time is rejected, not started."""
    worker = Timed()
    admission = Admission(max_concurrency=1, max_queue=5, clock=worker.clock)
    await learn_service_time(worker, admission)
    running, short, enough = (worker.job(worker.clock() + each) for each in (60, 0.15, 0.25))
    for job in (running, short, enough):
        admission.submit(job)
    worker.gate.set()
    await until(lambda: len(worker.finished) == 2)
    assert (worker.started, worker.reasons) == ([running, enough], [DeadlineExceededError])
    assert worker.refused[0][0] is short


async def test_cancelled_jobs_do_not_lower_the_service_time() -> None:
    """Jobs that are cancelled early do not reduce the learned service time."""
    worker = Timed()
    admission = Admission(max_concurrency=1, max_queue=5, clock=worker.clock)
    await learn_service_time(worker, admission)
    for _ in range(100):
        admission.submit(job := worker.job(reply="a"))
        await until(lambda job=job: job.started)  # type: ignore[misc]
        admission.on_cancel(Delivery("probe.cancel", "a", b""))
        await until(lambda job=job: job.task is None)  # type: ignore[misc]
    assert admission._service_times.least(worker) == pytest.approx(0.1, rel=0.1)


async def test_free_slot_is_used_whatever_the_deadline() -> None:
    """With a free slot a job starts even if its deadline is probably too short."""
    worker = Timed()
    admission = Admission(max_concurrency=1, max_queue=5, clock=worker.clock)
    await learn_service_time(worker, admission)
    worker.gate.set()
    admission.submit(worker.job(worker.clock() + 0.05))
    await until(lambda: worker.finished)
    assert worker.refused == []


async def test_one_slow_job_does_not_shed_later_jobs() -> None:
    """After one very slow job, even the first, the following jobs still start."""
    for practice in (0, 100):
        worker = Timed()
        admission = Admission(max_concurrency=1, max_queue=20, clock=worker.clock)
        await learn_service_time(worker, admission, practice)
        worker.takes = 60
        admission.submit(worker.job())
        await until(lambda worker=worker: worker.started)  # type: ignore[misc]
        worker.gate.set()
        for _ in range(10):
            admission.submit(worker.job(worker.clock() + 60 + 0.15))
        await until(lambda worker=worker: worker.finished)  # type: ignore[misc]
        worker.takes = 0.0
        await admission.drain(5)
        assert (len(worker.finished), worker.refused) == (11, [])


async def test_thousands_of_hopeless_jobs_are_shed_at_once() -> None:
    """A long queue of hopeless jobs is shed without deep recursion, and the next job starts."""
    worker = Timed()
    admission = Admission(max_concurrency=1, max_queue=5001, clock=worker.clock)
    await learn_service_time(worker, admission)
    admission.submit(worker.job())
    for _ in range(5000):
        admission.submit(worker.job(worker.clock() + 0.15))
    admission.submit(last := worker.job())
    worker.gate.set()
    await until(lambda: last.answered)
    assert worker.reasons == [DeadlineExceededError] * 5000
    assert len(worker.finished) == 2
