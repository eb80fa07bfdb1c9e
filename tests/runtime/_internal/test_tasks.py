"""Which exceptions end a task, and work that its caller does not end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from weenats._internal.periodic import Periodic
from weenats._internal.tasks import ends_task, finish, with_own_variables
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


async def test_own_variables_end_with_the_work() -> None:
    """Work sees the variables of its caller and its own after each wait; the caller never does."""
    variable = ContextVar("variable", default="none")
    caller = asyncio.current_task()

    async def work(value: str) -> str:
        before = variable.get()
        token = variable.set(value)
        for pause in (0, 0.001):
            await asyncio.sleep(pause)
            assert (variable.get(), asyncio.current_task()) == (value, caller)
        if value == "reset":
            variable.reset(token)
        return before

    variable.set("caller")
    for value in ("one", "reset", "two"):
        assert await with_own_variables(work(value)) == "caller"
        assert variable.get() == "caller"


async def test_exceptions_reach_work_with_own_variables() -> None:
    """What work raises is raised; a timeout and a cancellation reach it where it waits."""
    ended: list[str] = []

    async def work(error: BaseException | None) -> None:
        try:
            if error is not None:
                raise error  # noqa: TRY301 - it is caught here
            await asyncio.Event().wait()
        except BaseException as raised:
            ended.append(type(raised).__name__)
            await asyncio.sleep(0)
            raise

    for error in (KeyError("x"), asyncio.CancelledError(), GeneratorExit()):
        with pytest.raises(type(error)):
            await with_own_variables(work(error))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await with_own_variables(work(None))
    task = asyncio.ensure_future(with_own_variables(work(None)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    names = ["KeyError", "CancelledError", "GeneratorExit", "CancelledError", "CancelledError"]
    assert ended == names
