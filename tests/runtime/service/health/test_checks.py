"""Health checks in the background: results, failures, timeouts and logging."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from testkit.clocks import travel
from testkit.waiting import LIMIT, settle, until
from weenats.service.health import HealthChecks, HealthSettings

INTERVAL = 30
TIMEOUT = 5
Make = Callable[..., HealthChecks]


@pytest.fixture
async def checks() -> AsyncIterator[Make]:
    """Create the health checks of a service from names and callables."""
    made: list[HealthChecks] = []

    def make(**named: Any) -> HealthChecks:
        settings = HealthSettings(
            enabled=True,
            interval=INTERVAL,
            timeout=TIMEOUT,
            checks=[{"name": name, "check": check} for name, check in named.items()],
        )
        made.append(HealthChecks(settings))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def results(checks: HealthChecks) -> dict[str, tuple[str, Any]]:
    """Return status and message of each check by name."""
    return {
        name: (each["status"], each.get("message"))
        for each in (entry.model_dump(mode="json") for entry in checks.entries)
        if (name := each["name"])
    }


class Panic(BaseException):
    """As extensions in Rust raise."""


async def forever() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


def returning(value: Any) -> Callable[[], Any]:
    """Return a plain check that returns a value."""
    return lambda: value


def awaiting(value: Any) -> Callable[[], Awaitable[Any]]:
    """Return an async check that returns a value."""

    async def check() -> Any:
        await asyncio.sleep(0)
        return value

    return check


def raising(error: BaseException) -> Callable[[], Any]:
    """Return a plain check that raises."""

    def check() -> None:
        raise error

    return check


def raising_later(error: BaseException) -> Callable[[], Awaitable[Any]]:
    """Return an async check that raises."""

    async def check() -> None:
        await asyncio.sleep(0)
        raise error

    return check


class Callables:
    """Checks that are neither functions nor coroutine functions."""

    async def __call__(self) -> bool:
        """Return True."""
        return True

    async def method(self) -> bool:
        """Return True."""
        return True


WELL = ("ok", None)


@pytest.mark.parametrize("how", [returning, awaiting])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, WELL),
        (None, WELL),
        (False, ("error", "the check returned False")),
        (0, ("error", "the check returned int, not True, False or None")),
        (1, ("error", "the check returned int, not True, False or None")),
        ("ok", ("error", "the check returned str, not True, False or None")),
        ([], ("error", "the check returned list, not True, False or None")),
        ({"secret": "hunter2"}, ("error", "the check returned dict, not True, False or None")),
    ],
)
async def test_return_value_gives_the_status(
    checks: Make, how: Any, value: Any, expected: Any
) -> None:
    """True and None are ok, anything else is an error that does not show the value."""
    made = checks(one=how(value))
    await made.start()
    assert results(made) == {"one": expected}


@pytest.mark.parametrize("how", [raising, raising_later])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("password=hunter2"), "ValueError"),
        (ConnectionError("db.internal"), "ConnectionError"),
        (TimeoutError(), "TimeoutError"),
        (MemoryError(), "MemoryError"),
        (Panic("hunter2"), "Panic"),
        (BaseExceptionGroup("two", [asyncio.CancelledError()]), "BaseExceptionGroup"),
    ],
)
async def test_exception_gives_an_error_status(
    checks: Make, how: Any, error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The message has the class of the exception only; the log has all of it."""
    made = checks(one=how(error))
    await made.start()
    assert results(made) == {"one": ("error", f"the check raised {kind}")}
    (record,) = caplog.records
    assert (record.levelname, record.exc_info and record.exc_info[1]) == ("WARNING", error)


async def test_every_kind_of_callable_is_supported(checks: Make) -> None:
    """Async methods, callable objects, partials and functions that return coroutines work."""
    later = awaiting("d")
    made = checks(
        a=Callables(),
        b=Callables().method,
        c=functools.partial(awaiting("c")),
        d=lambda: later(),  # noqa: PLW0108 - a function that returns a coroutine
        e=functools.partial(returning(None)),
    )
    await made.start()
    told = ("error", "the check returned str, not True, False or None")
    assert results(made) == {"a": WELL, "b": WELL, "c": told, "d": told, "e": WELL}


async def test_checks_run_concurrently(checks: Make) -> None:
    """No check waits for another one to finish."""
    ready, barrier = asyncio.Event(), threading.Barrier(2, timeout=LIMIT)

    async def first() -> None:
        await ready.wait()

    async def second() -> None:
        ready.set()

    def third() -> None:
        barrier.wait()

    made = checks(a=first, b=second, c=third, d=third)
    await made.start()
    assert set(results(made).values()) == {WELL}


async def test_hanging_check_times_out(checks: Make) -> None:
    """Only the hanging check is an error after the timeout, and the start continues."""
    clock = travel()
    made = checks(hangs=forever, fine=awaiting(None))
    assert results(made)["hangs"] == results(made)["fine"] == ("error", "the check has not run yet")
    starting = asyncio.create_task(made.start())
    await settle()
    clock.advance(TIMEOUT - 0.5)
    await settle()
    assert not starting.done()
    clock.advance(0.6)
    await starting
    assert results(made) == {"hangs": ("error", "the check took longer than 5 s"), "fine": WELL}


async def test_hanging_sync_check_uses_one_thread(checks: Make) -> None:
    """A blocked sync check is not started again and does not block the event loop."""
    clock, released, rounds = travel(), threading.Event(), []
    calls: list[threading.Thread] = []

    def block() -> None:
        calls.append(threading.current_thread())
        released.wait(LIMIT)

    async def count() -> None:
        rounds.append(results(made)["blocks"])

    made = checks(blocks=block, counts=count)
    starting = asyncio.create_task(made.start())
    await until(lambda: calls and rounds)
    clock.advance(TIMEOUT + 0.1)
    await starting
    for number in range(2, 7):
        await settle()
        clock.advance(INTERVAL + 0.1)
        await until(lambda number=number: len(rounds) == number)
    assert rounds[1] == ("error", "the check took longer than 5 s")
    assert set(rounds[2:]) == {("error", "an earlier run of the check has not ended")}
    assert len(calls) == 1
    assert calls[0].daemon
    released.set()
    await until(lambda: not calls[0].is_alive())
    await settle()
    clock.advance(INTERVAL + 0.1)
    await until(lambda: results(made)["blocks"] == WELL)
    assert len(calls) == 2


async def test_async_check_ignoring_cancellation_runs_once(checks: Make) -> None:
    """A check that swallows its cancellation is started again only after it has ended."""
    clock, released, begun = travel(), asyncio.Event(), []

    async def stubborn() -> None:
        begun.append(None)
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    made = checks(stubborn=stubborn)
    starting = asyncio.create_task(made.start())
    await settle()
    clock.advance(TIMEOUT + 0.1)
    await starting
    clock.advance(INTERVAL + 0.1)
    await until(lambda: results(made)["stubborn"][1] == "an earlier run of the check has not ended")
    assert len(begun) == 1
    released.set()
    await settle()
    clock.advance(INTERVAL + 0.1)
    await until(lambda: results(made)["stubborn"] == WELL)
    assert len(begun) == 2


async def test_result_after_the_timeout_is_ignored(checks: Make) -> None:
    """A result after the timeout does not change the status."""
    clock, entered, released = travel(), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def late() -> bool:
        threads.append(threading.current_thread())
        entered.set()
        return released.wait(LIMIT)

    made = checks(late=late)
    starting = asyncio.create_task(made.start())
    await until(entered.is_set)
    clock.advance(TIMEOUT + 0.1)
    await starting
    released.set()
    await until(lambda: not threads[0].is_alive())
    await settle()
    assert results(made) == {"late": ("error", "the check took longer than 5 s")}


async def test_status_changes_are_logged(checks: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Each change is logged once; a first successful run is not a change."""
    caplog.set_level(logging.INFO)
    clock = travel()
    answers: list[Any] = [True, False, False, True, True]
    asked = iter(answers)
    runs: list[Any] = []

    async def check() -> Any:
        runs.append(None)
        return next(asked)

    made = checks(one=check)
    await made.start()
    for number in range(2, len(answers) + 1):
        await settle()
        clock.advance(INTERVAL + 0.1)
        await until(lambda number=number: len(runs) == number)
        await settle()
    assert [record.getMessage() for record in caplog.records] == [
        "the health check one failed: the check returned False",
        "the health check one is ok again",
    ]


async def test_checks_do_not_inherit_context_variables(checks: Make) -> None:
    """Checks do not see the context in which the service was started."""
    variable = ContextVar("variable", default="none")
    seen: list[str] = []
    clock = travel()

    async def check() -> None:
        seen.append(variable.get())

    def sync_check() -> None:
        seen.append(variable.get())

    variable.set("a request")
    made = checks(one=check, two=sync_check)
    await made.start()
    await settle()
    clock.advance(INTERVAL + 0.1)
    await until(lambda: len(seen) == 4)
    assert set(seen) == {"none"}


async def test_close_cancels_running_checks(checks: Make) -> None:
    """After close() no check runs any more."""
    clock = travel()
    ended: list[str] = []

    async def check() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    made = checks(one=check)
    starting = asyncio.create_task(made.start())
    await settle()
    starting.cancel()
    await asyncio.wait({starting})
    await made.close()
    assert ended == ["ended"]
    clock.advance(10 * INTERVAL)
    await settle()
    assert ended == ["ended"]
    await made.close()


async def test_check_without_a_thread_is_retried(
    checks: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that cannot get a thread is an error, and runs again the next time."""
    clock = travel()

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        made = checks(one=returning(None))
        await made.start()
    assert results(made) == {"one": ("error", "the check raised RuntimeError")}
    await settle()
    clock.advance(INTERVAL + 0.1)
    await until(lambda: results(made)["one"] == WELL)


async def test_disabled_checks_never_run() -> None:
    """With health disabled no check runs."""
    calls: list[None] = []
    settings = HealthSettings(
        enabled=False,
        interval=INTERVAL,
        timeout=TIMEOUT,
        checks=[{"name": "one", "check": lambda: calls.append(None)}],
    )
    made = HealthChecks(settings)
    await made.start()
    await made.close()
    assert (made.entries, calls) == ([], [])
