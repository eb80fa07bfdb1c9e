"""Which exceptions end a task, work that its caller does not end, and coroutines in a context."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any
from weakref import WeakSet

import pytest

from weenats._internal.periodic import Periodic
from weenats._internal.tasks import ends_task, finish, in_context
from weenats.client import CachedToken


def call(error: BaseException) -> None:
    """Raise an error as a function that is only called."""
    raise error


async def test_what_called_code_raises_ends_no_task() -> None:
    """CancelledError and GeneratorExit of a called function end no task, not a cancelled one."""
    verdicts: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for error in (asyncio.CancelledError(), GeneratorExit(), BaseException()):
                try:
                    call(error)
                except BaseException as raised:  # noqa: BLE001 - of the function
                    verdicts.append(ends_task(raised))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert verdicts == [False] * 3


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt()])
async def test_exit_of_the_process_ends_each_task(error: BaseException) -> None:
    """SystemExit and KeyboardInterrupt end each task, wherever they are raised."""
    assert ends_task(error)
    assert ends_task(error, asyncio.current_task())


async def test_cancelled_error_ends_a_task_that_is_cancelled() -> None:
    """CancelledError ends a task that was cancelled, and no task whose code raises it itself."""
    assert not ends_task(asyncio.CancelledError(), asyncio.current_task())
    assert not ends_task(GeneratorExit(), asyncio.current_task())
    verdicts: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            verdicts.append(ends_task(error, asyncio.current_task()))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert verdicts == [True]


async def run_nothing() -> None:
    """Collect garbage in a task of another loop."""
    gc.collect()


@pytest.mark.parametrize("collect", [gc.collect, lambda: asyncio.run(run_nothing())])
def test_coroutines_that_are_closed_end(
    collect: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A task whose loop was closed ends as garbage, without a word, whatever runs meanwhile."""

    async def forever() -> Any:
        await asyncio.Event().wait()

    async def begin() -> list[object]:
        periodic, token = Periodic(forever, 0), CachedToken(forever)
        periodic.start()
        call = asyncio.ensure_future(token())
        for _ in range(3):
            await asyncio.sleep(0)
        return [periodic, token, call]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin()).clear()
    loop.close()
    del loop
    collect()
    # Python says that the task was destroyed; weenats adds nothing.
    assert {each.name for each in caplog.records} <= {"asyncio"}


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("error", [TimeoutError("of the work"), ValueError("of the work")])
async def test_failure_of_work_that_finishes_is_raised(
    timeout: float | None, error: Exception
) -> None:
    """A time limit of the work itself is not that of its caller."""

    async def fail() -> None:
        raise error

    with pytest.raises(type(error), match="of the work"):
        await finish(fail(), timeout=timeout)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_work_goes_on_without_its_caller(
    *, is_cancelled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """When the caller is cancelled or has waited long enough; then nobody gets its exception."""
    begun, gate, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await gate.wait()
        ended.set()
        raise ValueError

    caller = asyncio.create_task(finish(work(), timeout=None if is_cancelled else 0.01))
    await begun.wait()
    if is_cancelled:
        caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled() == is_cancelled
    assert not ended.is_set()
    gate.set()
    await ended.wait()
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="outside")


async def test_coroutine_in_a_context() -> None:
    """What it sets stays there, also after it has waited; its task is that of the caller."""
    context = copy_context()

    async def work() -> asyncio.Task[Any] | None:
        VARIABLE.set("inside")
        await asyncio.sleep(0)
        assert VARIABLE.get() == "inside"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        return asyncio.current_task()

    assert await in_context(context, work()) is asyncio.current_task()
    assert VARIABLE.get() == "outside"
    assert context[VARIABLE] == "inside"


async def test_coroutine_in_a_context_that_fails() -> None:
    """Its exception is raised, and a cancellation reaches it."""
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(VARIABLE.get())
            raise

    with pytest.raises(KeyError):
        await in_context(copy_context(), fail())
    context = copy_context()
    context.run(VARIABLE.set, "inside")

    async def waiting() -> None:
        await in_context(context, wait())

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["inside"]


async def test_cancelled_coroutine_in_a_context_is_freed_at_once() -> None:
    """What it had needs no garbage collection: the exception that ended it refers to it no more."""
    held: WeakSet[asyncio.Event] = WeakSet()

    async def wait() -> None:
        event = asyncio.Event()
        held.add(event)
        await event.wait()

    async def waiting() -> None:
        await in_context(copy_context(), wait())

    gc.disable()
    try:
        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task
        await asyncio.sleep(0)
        assert not held
    finally:
        gc.enable()
