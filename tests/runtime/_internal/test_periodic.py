"""Periodic background tasks."""

from __future__ import annotations

import asyncio

import pytest

from testkit.clocks import travel
from testkit.waiting import settle, until
from weenats._internal.periodic import Periodic


async def test_action_runs_every_interval() -> None:
    """The action runs after each interval, never earlier."""
    clock = travel()
    runs: list[None] = []

    async def action() -> None:
        runs.append(None)

    periodic = Periodic(action, 30)
    periodic.start()
    for number in range(1, 4):
        await settle()
        clock.advance(29)
        await settle()
        assert len(runs) == number - 1
        clock.advance(1.1)
        await until(lambda number=number: len(runs) == number)
    await periodic.close()
    clock.advance(100)
    await settle()
    assert len(runs) == 3


@pytest.mark.parametrize("error", [ValueError(), BaseException(), asyncio.CancelledError()])
async def test_failing_action_is_logged_and_repeated(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An action that raises is logged and runs again."""
    clock = travel()
    runs: list[None] = []

    async def action() -> None:
        runs.append(None)
        raise error

    periodic = Periodic(action, 30)
    periodic.start()
    for number in (1, 2):
        await settle()
        clock.advance(30.1)
        await until(lambda number=number: len(runs) == number)
    await periodic.close()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_close_cancels_running_action() -> None:
    """close() cancels a running action and waits for its end; closing twice is allowed."""
    clock = travel()
    ended: list[None] = []
    entered = asyncio.Event()

    async def action() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(None)

    periodic = Periodic(action, 30)
    await periodic.close()
    periodic.start()
    await settle()
    clock.advance(30.1)
    await entered.wait()
    await periodic.close()
    assert len(ended) == 1
    await periodic.close()
