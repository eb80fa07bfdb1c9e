"""Shielding handlers from their deadline and from cancellation by the caller."""

from __future__ import annotations

import asyncio

import pytest

from testkit.clocks import travel
from testkit.contexts import make_context
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import exceed_deadline, settle, until
from testkit.workers import FakeWorker, ScriptedWorker
from weenats import Interceptor, NatsServiceBuilder, RequestContext, Response
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.errors import (
    CancelledError,
    DeadlineExceededError,
    ServiceError,
    UnavailableError,
)
from weenats.testing import MemoryTransport
from weenats.transport import Delivery


class Shielded(ScriptedWorker):
    """A worker that waits for its gate inside nested shields, and then for ever."""

    def __init__(self, depth: int = 1) -> None:
        super().__init__(self._work)
        self._depth = depth
        self.passed = 0

    async def _work(self, job: Job) -> None:
        for _ in range(self._depth):
            job.shield()
        await self.gate.wait()
        for _ in range(self._depth):
            self.passed += 1
            job.unshield()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("by_caller", "reason"), [(True, CancelledError), (False, DeadlineExceededError)]
)
@pytest.mark.parametrize("depth", [1, 3])
async def test_pending_cancellation_is_delivered_after_the_shield(
    by_caller: bool,
    reason: type[ServiceError],
    depth: int,
) -> None:
    """The caller is answered at once; the task is cancelled when the last shield ends."""
    worker, clock = Shielded(depth), travel()
    admission = Admission(max_concurrency=1, max_queue=0, clock=clock)
    admission.submit(job := worker.job(deadline=clock() + 5, reply="a"))
    await until(lambda: worker.started)
    task = job.task
    assert task is not None
    if by_caller:
        admission.on_cancel(Delivery("probe.cancel", "a", b""))
    clock.advance(6)
    await until(lambda: worker.refused)
    await settle()
    assert not task.done()
    worker.gate.set()
    await until(task.done)
    assert (task.cancelled(), worker.passed, worker.reasons) == (True, depth, [reason])
    await admission.drain(0)


async def test_leaving_the_shield_without_pending_cancellation() -> None:
    """The task continues after the shield; a later cancellation works as usual."""
    worker, admission = Shielded(), Admission(max_concurrency=1, max_queue=0)
    worker.gate.set()
    admission.submit(job := worker.job(reply="a"))
    await settle()
    task = job.task
    assert task is not None
    assert not task.done()
    admission.on_cancel(Delivery("probe.cancel", "a", b""))
    await until(task.cancelled)


async def test_spent_drain_budget_cancels_inside_the_shield() -> None:
    """A stop does not wait for shields, and cancels a task only once while it unwinds."""
    cleaned = asyncio.Event()

    async def work(job: Job) -> None:
        job.shield()
        try:
            await asyncio.Event().wait()
        finally:
            job.unshield()
            await cleaned.wait()
            worker.finished.append(job)

    worker, clock = ScriptedWorker(work), travel()
    admission = Admission(max_concurrency=1, max_queue=0, clock=clock)
    admission.submit(worker.job(deadline=clock() + 5, reply="a"))
    await until(lambda: worker.started)
    clock.advance(6)
    await until(lambda: worker.refused)
    await admission.drain(0)
    cleaned.set()
    await until(lambda: worker.finished)
    assert worker.reasons == [DeadlineExceededError]
    unsettled = Shielded()
    admission = Admission(max_concurrency=1, max_queue=0)
    admission.submit(job := unsettled.job())
    await until(lambda: unsettled.started)
    task = job.task
    await admission.drain(0)
    await until(lambda: task is not None and task.cancelled())
    assert (unsettled.reasons, unsettled.passed) == ([UnavailableError], 0)


def test_shield_in_a_client_call_raises() -> None:
    """shield_from_deadline() in the context of an outgoing call raises RuntimeError."""
    with (
        pytest.raises(RuntimeError, match="works only in the handler of a request"),
        make_context(side="client").shield_from_deadline(),
    ):
        pytest.fail("shielded")


def test_shield_without_a_running_job_does_nothing() -> None:
    """In a handler that a test calls directly the shield has no effect on errors or deadlines."""
    context = make_context(side="server", deadline=5.0)
    with context.shield_from_deadline():
        assert context.inherited_deadline == 5.0
    with pytest.raises(KeyError), context.shield_from_deadline():
        raise KeyError


async def test_exception_ends_the_shield() -> None:
    """An exception passes through the shield unchanged and ends it."""
    worker = FakeWorker()
    context = make_context(side="server", work=(job := worker.job()))
    with context.shield_from_deadline():
        assert job.is_shielded
    with pytest.raises(KeyError), context.shield_from_deadline():
        raise KeyError
    assert not job.is_shielded


def make_service(
    handlers: Probe, *interceptors: Interceptor
) -> tuple[NatsServiceBuilder, ProbeClient]:
    """Return a builder for a probe service and a client, both in this process."""
    transport = MemoryTransport()
    builder = NatsServiceBuilder(handlers, transport=transport)
    for interceptor in interceptors:
        builder = builder.with_interceptor(interceptor)
    return builder, ProbeClient(transport)


@pytest.mark.parametrize("gives_up", [True, False])
async def test_shielded_block_of_a_handler_finishes(
    gives_up: bool,
) -> None:
    """The block and its nested calls finish; cancellation is delivered after the block."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    log: list[str] = []

    async def commit(key: str, command: Run, context: RequestContext) -> Outcome:
        with context.shield_from_deadline(), context.shield_from_deadline():
            inside.set()
            await go_on.wait()
            log.append((await client.run("k", Run(action="nested"))).text)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return Outcome(text="never")

    builder, client = make_service(handlers := Probe(commit=commit))
    async with builder.build():
        if gives_up:
            call = asyncio.create_task(client.run("k", Run(action="commit"), timeout=60))
            await inside.wait()
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
        else:
            await exceed_deadline(
                lambda timeout: client.run("k", Run(action="commit"), timeout=timeout),
                inside.is_set,
            )
        go_on.set()
        await until(lambda: log == ["nested", "cancelled"])
    outer, nested = handlers.seen
    assert None not in (nested.deadline, outer.deadline)
    if not gives_up:
        assert nested.deadline > outer.deadline  # type: ignore[operator]  # neither is None
        await until(lambda: outer.remaining == 0)  # a timer may be early by a tick of the clock


async def test_interceptor_shields_the_rest_of_the_chain() -> None:
    """The handler finishes after the caller cancelled, and its calls inherit no deadline."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    done: list[Response] = []

    async def audit(context: RequestContext, call_next: object) -> Response:
        with context.shield_from_deadline():
            response: Response = await call_next(context.replace(token=None))  # type: ignore[operator]
            done.append(response)
        return response

    async def slow(key: str, command: Run, context: RequestContext) -> Outcome:
        entered.set()
        await go_on.wait()
        assert context.inherited_deadline is None
        return Outcome(text="done")

    builder, client = make_service(Probe(slow=slow), audit)
    async with builder.build():
        call = asyncio.create_task(client.run("k", Run(action="slow")))
        await entered.wait()
        call.cancel()
        await asyncio.wait([call])
        go_on.set()
        await until(lambda: done)
    assert call.cancelled()
