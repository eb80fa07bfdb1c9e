"""Clocks that tests control."""

from __future__ import annotations

import asyncio


class FakeClock:
    """A clock that stands still until a test sets it."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class FrozenLoopTime(FakeClock):
    """The time of an event loop, which passes only when a test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop.time())
        loop.time = self  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class ShiftedLoopTime:
    """The time of an event loop, which passes as it does and jumps when a test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self  # type: ignore[method-assign]

    def __call__(self) -> float:
        """Return the time."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time jump."""
        self._ahead += seconds


def travel() -> FrozenLoopTime:
    """Stop the time of the running event loop, so that timers fire when a test advances it."""
    return FrozenLoopTime(asyncio.get_running_loop())


def shift_time() -> ShiftedLoopTime:
    """Return the time of the running event loop, for tests whose network needs real timers."""
    return ShiftedLoopTime(asyncio.get_running_loop())
