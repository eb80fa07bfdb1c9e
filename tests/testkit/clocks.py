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


class ShiftedLoopTime:
    """The time of the running event loop, which goes on and which a test can move forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self  # type: ignore[method-assign]

    def __call__(self) -> float:
        """Return the time."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._ahead += seconds


def travel() -> ShiftedLoopTime:
    """Return the clock of the running event loop; a test moves it forward instead of waiting."""
    return ShiftedLoopTime(asyncio.get_running_loop())


class FrozenLoopTime(FakeClock):
    """The time of the running event loop, which stands still; no timer fires by itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        loop.time = self  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self.now += seconds


def freeze_time() -> FrozenLoopTime:
    """Stop the clock of the running event loop, and return it."""
    return FrozenLoopTime(asyncio.get_running_loop())
