"""Attempts side by side, so that one that hangs does not delay the others (RFC 8305)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

__all__ = ["ATTEMPT_DELAY", "first_success"]
ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next attempt starts beside the others; recommended by RFC 8305."""
ResultT = TypeVar("ResultT")


async def first_success(
    attempts: Iterable[Callable[[], Coroutine[object, object, ResultT]]],
    on_failure: Callable[[Exception], Awaitable[None]],
    discard: Callable[[ResultT], Awaitable[None]],
) -> ResultT | None:
    """Return the result of the attempt that succeeds first; None when all have failed.

    The next attempt starts when one has failed, and at the latest after `ATTEMPT_DELAY`.

    Args:
        attempts: functions that begin an attempt, in order of preference.
        on_failure: called with the exception of each attempt that fails; what it raises is raised.
        discard: called with the results of attempts that succeed as well, to release them.
    """
    waiting = deque(attempts)
    running: set[asyncio.Task[ResultT]] = set()
    results: list[ResultT] = []
    try:
        while not results and (waiting or running):
            if waiting:
                running.add(asyncio.create_task(waiting.popleft()()))
            done, running = await asyncio.wait(
                running,
                timeout=ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for failure in _collect(done, results):
                await on_failure(failure)
        await _cancel(running, results)
        return results.pop(0) if results else None
    finally:
        await _cancel(running, results)
        for unused in results:
            await discard(unused)


def _collect(done: Iterable[asyncio.Task[ResultT]], results: list[ResultT]) -> list[Exception]:
    """Append the results of finished tasks; return their failures."""
    failures: list[Exception] = []
    for task in done:
        try:
            results.append(task.result())
        except Exception as error:  # noqa: BLE001 - reported by the caller
            failures.append(error)
    return failures


async def _cancel(running: set[asyncio.Task[ResultT]], results: list[ResultT]) -> None:
    for task in running:
        task.cancel()
    if running:
        done, _ = await asyncio.wait(running)
        running.clear()
        _collect((task for task in done if not task.cancelled()), results)
