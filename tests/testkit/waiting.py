"""Waiting for conditions: bounded, and without guessing how long something takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, Final, TypeVar

import pytest

from weenats import DeadlineExceededError, ServiceError

Answer = TypeVar("Answer")
LIMIT: Final = 30.0
"""Seconds that a test waits for something that happens at once on a machine that is idle."""
_POLL: Final = 0.01
_REST: Final = 0.001


async def until(condition: Callable[[], Any]) -> None:
    """Run the event loop until a condition holds, which is checked each time it has run something.

    Raises:
        TimeoutError: the condition did not hold within LIMIT seconds of the loop's time.
    """
    async with asyncio.timeout(LIMIT):
        with _resting(asyncio.get_running_loop()):
            while not condition():  # noqa: ASYNC110 - any condition will do
                await asyncio.sleep(0)


@contextmanager
def _resting(loop: Any) -> Iterator[None]:
    """Let an event loop wait a little for input while nothing but one `sleep(0)` is ready.

    It would compute instead, and take the time from what it waits for. A timer does not do, as
    tests stop the time of their loops.
    """
    selector = getattr(loop, "_selector", None)
    if selector is None or "select" in vars(selector):  # uvloop; another task does it already
        yield
        return
    select = selector.select
    selector.select = lambda timeout=None: select(
        _REST if timeout == 0 and len(loop._ready) == 1 else timeout
    )
    try:
        yield
    finally:
        del selector.select


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds that another process brings about.

    Raises:
        TimeoutError: the condition did not hold within LIMIT seconds.
    """
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - any condition will do
            await asyncio.sleep(_POLL)


async def ask_until(
    accepts: Callable[[Answer], Any], ask: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Ask a server or a service until its answer is accepted, and return that.

    Raises:
        TimeoutError: there was none within LIMIT seconds.
    """
    async with asyncio.timeout(LIMIT):
        while not accepts(answer := await ask()):  # noqa: ASYNC110 - any answer will do
            await asyncio.sleep(_POLL)
    return answer


async def answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Repeat a call until it succeeds, since streams have no leader after the end of a server.

    Raises:
        TimeoutError: it did not succeed within twice LIMIT seconds.
    """
    async with asyncio.timeout(2 * LIMIT):
        while True:
            try:
                return await call()
            except ServiceError:
                await asyncio.sleep(_POLL)


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait in a thread until a condition holds that blocks while it is checked."""
    end = monotonic() + LIMIT
    while not condition():
        assert monotonic() < end, "the condition does not hold"
        sleep(_POLL)


async def settle() -> None:
    """Run everything that is ready on the event loop, and what that makes ready."""
    for _ in range(10):
        await asyncio.sleep(0)


async def cancel_call(call: asyncio.Task[Any]) -> None:
    """Cancel a call and check that it ends with CancelledError."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def exceed_deadline(
    call: Callable[[float], Awaitable[object]], has_begun: Callable[[], Any]
) -> DeadlineExceededError:
    """Make a call with a short timeout until one exceeds its deadline after its work has begun.

    How short a timeout may be depends on the machine, so each attempt has twice the time of the
    one before.

    Args:
        call: makes the call with a timeout in seconds.
        has_begun: whether the work of a call has begun.

    Returns:
        The error of the last attempt.
    """
    timeout = 0.05
    while True:
        with pytest.raises(DeadlineExceededError) as raised:
            await call(timeout)
        await settle()
        if has_begun():
            return raised.value
        assert timeout < LIMIT, "the work never begins"
        timeout *= 2
