"""Cancellation of admitted calls by their callers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import travel
from testkit.waiting import settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats.admission import job as job_module
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import CancelledError, DeadlineExceededError, UnavailableError
from weenats.protocol.headers import DIGEST, MESSAGE_ID, encode
from weenats.transport import Delivery

if TYPE_CHECKING:
    from weenats.context import RequestContext


def cancel(admission: Admission, reply: str) -> None:
    """Cancel the call with this reply subject."""
    admission.on_cancel(Delivery("probe.cancel", reply, b""))


async def test_cancelling_running_call_frees_its_slot() -> None:
    """The caller is answered once, the task is cancelled, and the next call starts."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=1)
    given_up, after = worker.job(reply="a"), worker.job(reply="b")
    admission.submit(given_up)
    admission.submit(after)
    await until(lambda: worker.started)
    task = given_up.task
    cancel(admission, "a")
    assert (worker.reasons, given_up.answered) == ([CancelledError], True)
    await until(lambda: after in worker.started)
    assert task is not None
    assert task.cancelled()
    worker.gate.set()
    await admission.drain(1)
    assert (worker.reasons, worker.finished) == ([CancelledError], [after])


async def test_cancelling_queued_call_frees_its_queue_slot() -> None:
    """A cancelled queued call never starts, and another call takes its place in the queue."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=1)
    running, given_up, after = (worker.job(reply=reply) for reply in "abc")
    admission.submit(running)
    admission.submit(given_up)
    cancel(admission, "b")
    admission.submit(after)
    assert worker.reasons == [CancelledError]
    worker.gate.set()
    await until(lambda: len(worker.finished) == 2)
    assert worker.started == [running, after]


@pytest.mark.parametrize(("name", "digest"), [("a" * 900, "0" * 64), ("a" * 26, "0" * 900)])
async def test_large_names_of_calls_are_not_kept(name: str, digest: str) -> None:
    """What cannot name a call is not remembered while calls wait, so it takes no memory."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=1)
    for reply in "ab":
        admission.submit(worker.job(reply=reply))
    for headers in ((name, digest), ("a" * 26, "1" * 64)):
        lines = encode(dict(zip((MESSAGE_ID, DIGEST), headers, strict=True)))
        admission.on_cancel(Delivery("probe.cancel", "", b"", b"NATS/1.0\r\n" + lines + b"\r\n"))
    assert admission.cancelled == {"a" * 26: "1" * 64}
    worker.gate.set()
    await admission.drain(1)


async def test_cancelling_call_before_its_first_step() -> None:
    """A call cancelled before its task has run never starts, and the next call does."""
    worker, admission = FakeWorker(), Admission(max_concurrency=1, max_queue=1)
    given_up, after = worker.job(reply="a"), worker.job(reply="b")
    admission.submit(given_up)
    admission.submit(after)
    cancel(admission, "a")
    worker.gate.set()
    await admission.drain(1)
    assert (worker.started, worker.reasons) == ([after], [CancelledError])


async def test_cancelling_unknown_or_finished_call_is_ignored() -> None:
    """Unknown, answered, rejected and expired calls, and calls without a reply, are ignored."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=2, max_queue=0, clock=clock)
    for reply in ("a", ""):
        admission.submit(worker.job(reply=reply))
    admission.submit(worker.job(reply="refused"))
    worker.refused.clear()
    for reply in ("", "b", "refused", "_INBOX.>", "*", "\ud800", "a" * 10_000):
        cancel(admission, reply)
    worker.gate.set()
    await until(lambda: len(worker.finished) == 2)
    cancel(admission, "a")
    assert worker.refused == []
    worker.gate.clear()
    admission.submit(worker.job(deadline=clock() + 1, reply="late"))
    await until(lambda: len(worker.started) == 3)
    clock.advance(2)
    await until(lambda: worker.refused)
    cancel(admission, "late")
    assert worker.reasons == [DeadlineExceededError]
    await admission.drain(1)
    assert (admission._calls, admission._timer.deadlines) == ({}, {})


async def test_handler_cleanup_is_cancelled_only_once() -> None:
    """Neither a second cancel message nor the deadline interrupts the cleanup of a handler."""
    cleaned, clock = asyncio.Event(), travel()
    ended: list[Job] = []

    async def tidy(job: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await cleaned.wait()
            ended.append(job)

    worker = ScriptedWorker(tidy)
    admission = Admission(max_concurrency=2, max_queue=0, clock=clock)
    for reply in "ab":
        admission.submit(worker.job(deadline=clock() + 5, reply=reply))
    await until(lambda: len(worker.started) == 2)
    cancel(admission, "a")
    await settle()
    clock.advance(6)
    await until(lambda: len(worker.refused) == 2)
    for reply in "abab":
        cancel(admission, reply)
    await settle()
    assert ended == []
    cleaned.set()
    await until(lambda: len(ended) == 2)
    assert worker.reasons == [CancelledError, DeadlineExceededError]


async def test_caller_is_answered_if_handler_ignores_cancellation() -> None:
    """The caller gets one answer; the slot is freed when the handler ends or the drain cuts it."""
    hold = asyncio.Event()

    async def stubborn(job: Job) -> None:
        try:
            await hold.wait()
        except asyncio.CancelledError:
            await hold.wait()

    worker, admission = ScriptedWorker(stubborn), Admission(max_concurrency=1, max_queue=1)
    admission.submit(worker.job(reply="a"))
    await until(lambda: worker.started)
    task = worker.started[0].task
    cancel(admission, "a")
    await settle()
    admission.submit(worker.job(reply="b"))
    await settle()
    assert len(worker.started) == 1
    await admission.drain(0)
    assert worker.reasons == [CancelledError, UnavailableError]
    await until(lambda: task is not None and task.cancelled())


async def test_cancel_after_deadline_reports_deadline_exceeded() -> None:
    """A cancel message that arrives before the local timer fires counts as an expired deadline."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=0, clock=clock)
    admission.submit(worker.job(deadline=clock() + 5, reply="a"))
    await until(lambda: worker.started)
    clock.advance(5)
    cancel(admission, "a")
    assert worker.reasons == [DeadlineExceededError]
    await admission.drain(1)


async def test_cancel_affects_latest_call_of_a_reply_subject() -> None:
    """Of several calls with one reply subject only the latest is cancelled; each ends once."""
    worker, admission = FakeWorker(), Admission(max_concurrency=2, max_queue=1)
    jobs = [worker.job(reply="same") for _ in range(3)]
    for job in jobs:
        admission.submit(job)
    await settle()
    cancel(admission, "same")
    cancel(admission, "same")
    assert [job for job, _ in worker.refused] == [jobs[2]]
    worker.gate.set()
    await admission.drain(1)
    assert worker.finished == jobs[:2]
    assert admission._calls == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.integers(0, 3), st.booleans(), st.sampled_from("abcd")
        ),
        max_size=15,
    ),
    st.integers(1, 2),
)
def test_every_call_ends_once_under_random_cancellation(
    calls: list[tuple[str, int, bool, str]], concurrency: int
) -> None:
    """With shared reply subjects and random cancellation each call ends once and frees its slot."""

    async def play() -> None:
        async def work(job: Job) -> None:
            for _ in range(turns[job]):
                await asyncio.sleep(0)
            if not job.answered:
                job.answered = True
                worker.finished.append(job)

        worker, turns = ScriptedWorker(work), dict[Job, int]()
        admission = Admission(max_concurrency=concurrency, max_queue=20)
        for reply, length, pauses, given_up in calls:
            job = worker.job(reply=reply)
            turns[job] = length
            admission.submit(job)
            if pauses:
                await asyncio.sleep(0)
            cancel(admission, given_up)
        await admission.drain(5)
        ended = [*worker.finished, *(job for job, _ in worker.refused)]
        assert len(ended) == len(set(ended)) == len(calls)
        assert (admission._calls, len(admission._queue), admission._running) == ({}, 0, set())

    asyncio.run(play())


@pytest.mark.parametrize("number", [10_000])
async def test_cancelled_calls_leave_no_state(number: int) -> None:
    """Calls that come and are cancelled while all slots are taken leave no state behind."""
    worker, clock = FakeWorker(), travel()
    admission = Admission(max_concurrency=1, max_queue=10, max_queue_time=5, clock=clock)
    admission.submit(worker.job(reply="busy"))
    for each in range(number):
        admission.submit(worker.job(deadline=clock() + 5, reply=f"{each}"))
        cancel(admission, f"{each}")
    assert worker.reasons == [CancelledError] * number
    assert (len(admission._queue), len(admission._queue.items)) == (0, 0)
    assert (list(admission._calls), admission._timer.deadlines) == (["busy"], {})
    worker.gate.set()
    await admission.drain(1)


async def test_digest_of_a_call_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many cancellations with a wrong digest do not read a large payload each time."""
    read: list[bytes] = []

    def digest_of(payload: bytes) -> str:
        read.append(payload)
        return "a" * 64

    monkeypatch.setattr(job_module, "digest_of", digest_of)
    worker = FakeWorker()
    admission = Admission(max_concurrency=1, max_queue=0)
    job = worker.job(reply="a")
    admission.submit(job)
    job.context = cast("RequestContext", SimpleNamespace(message_id="1" * 26))
    for digest in ("b" * 64, "c" * 64, "a" * 64):
        headers = encode({MESSAGE_ID: "1" * 26, DIGEST: digest})
        admission.on_cancel(Delivery("probe.cancel", "", b"", b"NATS/1.0\r\n" + headers))
    assert worker.reasons == [CancelledError]
    assert len(read) == 1
    await admission.drain(1)
