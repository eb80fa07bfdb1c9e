"""Attempts side by side: the first success wins, and nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from testkit.waiting import LIMIT, until
from weenats._internal import happy_eyeballs
from weenats._internal.happy_eyeballs import first_success

Attempt = Callable[[], Coroutine[object, object, str]]


class Race:
    """Attempts that a test ends, and what became of them."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.failures: list[str] = []
        self.discarded: list[str] = []
        self.ends: dict[str, asyncio.Future[str]] = {}

    async def attempt(self, name: str) -> str:
        """Wait until the test ends this attempt."""
        self.started.append(name)
        self.ends[name] = asyncio.get_running_loop().create_future()
        try:
            return await self.ends[name]
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise

    async def on_failure(self, error: Exception) -> None:
        """Record a failure."""
        self.failures.append(str(error))

    async def discard(self, result: str) -> None:
        """Record a result that is not used."""
        self.discarded.append(result)

    def run(self, *names: str) -> asyncio.Task[str | None]:
        """Start a race."""
        attempts = [partial(self.attempt, name) for name in names]
        return asyncio.create_task(first_success(attempts, self.on_failure, self.discard))


async def test_next_attempt_starts_beside_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second attempt wins while the first one hangs; the first one is cancelled."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.001)
    race = Race()
    run = race.run("a", "b")
    await until(lambda: len(race.started) == 2)
    race.ends["b"].set_result("won")
    assert await run == "won"
    assert (race.cancelled, race.discarded) == (["a"], [])


async def test_failure_starts_the_next_attempt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure there is no delay; failures are reported."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 10 * LIMIT)
    race = Race()
    run = race.run("a", "b", "c")
    for name in "ab":
        await until(lambda name=name: name in race.ends)
        race.ends[name].set_exception(OSError(name))
    await until(lambda: "c" in race.ends)
    race.ends["c"].set_result("won")
    assert (await run, race.failures) == ("won", ["a", "b"])


async def test_all_attempts_fail() -> None:
    """The result is None when all have failed, and when there are none."""
    race = Race()
    assert await race.run() is None
    run = race.run("a")
    await until(lambda: "a" in race.ends)
    race.ends["a"].set_exception(OSError("a"))
    assert (await run, race.failures) == (None, ["a"])


async def test_second_success_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that succeed at the same time one is discarded."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.001)
    race = Race()
    run = race.run("a", "b")
    await until(lambda: len(race.started) == 2)
    for name in "ab":
        race.ends[name].set_result(name)
    assert {await run, *race.discarded} == {"a", "b"}


async def test_cancellation_ends_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling the race cancels its attempts."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.001)
    race = Race()
    run = race.run("a", "b")
    await until(lambda: len(race.started) == 2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(race.cancelled) == ["a", "b"]


async def test_error_of_the_callback_ends_the_race() -> None:
    """What on_failure raises is raised, and the other attempts are cancelled."""
    race = Race()

    async def stop(error: Exception) -> None:
        raise error

    attempts = [partial(race.attempt, name) for name in "ab"]
    run = asyncio.create_task(first_success(attempts, stop, race.discard))
    await until(lambda: "a" in race.ends)
    race.ends["a"].set_exception(OSError("final"))
    with pytest.raises(OSError, match="final"):
        await run
