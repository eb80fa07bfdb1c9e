"""Durations, deadlines on the monotonic clock, and one timer for many deadlines."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from functools import lru_cache
from time import monotonic
from typing import Final, Generic, TypeVar

from weenats.errors import InvalidArgumentError
from weenats.protocol.headers import Headers

__all__ = ["DEFAULT_TIMEOUT", "Clock", "DeadlineTimer", "Duration", "seconds", "timeout_in"]
ItemT = TypeVar("ItemT")
Clock = Callable[[], float]
"""Returns monotonic seconds."""
Duration = float | timedelta
"""Seconds, or a timedelta."""

DEFAULT_TIMEOUT: Final = 5.0
"""The timeout of a call in seconds, when neither the caller nor the contract sets one."""
_MAX_SECONDS: Final = 86_400.0
_MAX_DIGITS: Final = 12
_MIN_DELAY: Final = 0.001
_SHORT: Final = 64
"""Bytes of a header block that has hardly more than the header `Wee-Timeout`."""


def seconds(duration: Duration, what: str = "timeout") -> float:
    """Return a duration in seconds, at most a day.

    Args:
        duration: seconds or a timedelta.
        what: the name of the argument, for the error message.

    Raises:
        InvalidArgumentError: it is not a positive, finite duration.
    """
    value = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise InvalidArgumentError(
            f"{what} must be a positive number of seconds or a timedelta, not {duration!r}"
        )
    return float(min(value, _MAX_SECONDS))


def timeout_in(block: bytes) -> float | None:
    """Return the seconds that the header `Wee-Timeout` sets, None when there is none.

    Args:
        block: the header block of a message as on the wire.

    Raises:
        InvalidArgumentError: its value is not a whole number of milliseconds.
    """
    return _remembered(block) if len(block) <= _SHORT else _timeout_in(block)


def _timeout_in(block: bytes) -> float | None:
    text = Headers.timeout_of(block)
    return None if text is None else _seconds_of(text)


# Callers send few different values; invalid ones are not kept.
_remembered: Final = lru_cache(maxsize=1024)(_timeout_in)


@lru_cache(maxsize=1024)
def _seconds_of(text: str) -> float:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
        raise InvalidArgumentError("the header Wee-Timeout must be a whole number of milliseconds")
    return min(int(text) / 1000, _MAX_SECONDS)


class DeadlineTimer(Generic[ItemT]):
    """Watches the deadlines of many items with one timer of the event loop.

    Adding and discarding only change a dictionary. The timer is set again when an earlier deadline
    is added or when the earliest one has passed.

    Args:
        on_passed: called with each item whose deadline has passed.
        clock: returns monotonic seconds.

    Attributes:
        deadlines: the items that are watched; one that is removed here is discarded.
    """

    def __init__(self, on_passed: Callable[[ItemT], None], clock: Clock = monotonic) -> None:
        self._on_passed = on_passed
        self._clock = clock
        self.deadlines: dict[ItemT, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def add(self, item: ItemT, deadline: float) -> None:
        """Watch an item until it is discarded or its deadline passes.

        Args:
            item: the item.
            deadline: its deadline, on the monotonic clock.
        """
        self.deadlines[item] = deadline
        if deadline < self._next:
            self._set(deadline)

    def discard(self, item: ItemT) -> None:
        """Stop watching an item; unknown items are ignored.

        Args:
            item: the item.
        """
        self.deadlines.pop(item, None)

    def close(self) -> None:
        """Discard all items and stop the timer."""
        self.deadlines.clear()
        self._next = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = deadline
        delay = max(deadline - self._clock(), _MIN_DELAY)
        # An empty context: the timer belongs to no item, and keeps none alive.
        self._timer = asyncio.get_running_loop().call_later(delay, self._sweep, context=Context())

    def _sweep(self) -> None:
        self._timer = None
        self._next = math.inf
        now = self._clock()
        passed = [item for item, deadline in self.deadlines.items() if deadline <= now]
        for item in passed:
            del self.deadlines[item]
        if self.deadlines:
            self._set(min(self.deadlines.values()))
        for item in passed:
            self._on_passed(item)
