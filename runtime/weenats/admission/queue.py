"""Who waits for a turn: in order of arrival, only so many, only so long."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weenats.protocol.deadline import Clock

ItemT = TypeVar("ItemT")

_MIN_DELAY: Final = 0.001


class WaitingLine(Generic[ItemT]):
    """Items in order of arrival; any of them may leave before its turn, at no cost.

    Args:
        max_length: how many may wait.
        max_time: how many seconds one may wait; it is then handed to `on_aged`.
        on_aged: takes an item that has left the line.
        clock: the monotonic clock.
    """

    def __init__(
        self,
        max_length: int,
        max_time: float,
        on_aged: Callable[[ItemT], None],
        clock: Clock = monotonic,
    ) -> None:
        self._max_length = max_length
        self._max_time = max_time
        self._on_aged = on_aged
        self._clock = clock
        self._ends: OrderedDict[ItemT, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._ends)

    def add(self, item: ItemT) -> bool:
        """Let an item wait behind all others, or say that there is no place."""
        if len(self._ends) >= self._max_length:
            return False
        self._ends[item] = self._clock() + self._max_time
        self._watch()
        return True

    def leave(self, item: ItemT) -> None:
        """Let an item wait no more; unknown ones are ignored."""
        self._ends.pop(item, None)

    def next(self) -> ItemT | None:
        """Take the item whose turn it is, None when nobody waits."""
        if self._ends:
            self._drop_aged()  # the timer is due, but the loop was busy
        return self._ends.popitem(last=False)[0] if self._ends else None

    def close(self) -> None:
        """Watch no longer how long they wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        """Set the timer for the one who has waited longest, unless it is set."""
        if self._timer is None and self._ends and self._max_time < math.inf:
            delay = max(next(iter(self._ends.values())) - self._clock(), _MIN_DELAY)
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._drop_aged()
        self._watch()

    def _drop_aged(self) -> None:
        now = self._clock()
        while self._ends:
            item, end = next(iter(self._ends.items()))
            if end > now:
                return
            del self._ends[item]
            self._on_aged(item)
