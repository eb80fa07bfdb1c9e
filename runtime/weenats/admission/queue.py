"""A first-in, first-out queue that is bounded in length, in size and in waiting time."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Generic, TypeVar

from weenats.protocol.timeouts import Clock

__all__ = ["BoundedQueue"]
ItemT = TypeVar("ItemT")

_MIN_DELAY: Final = 0.001


@dataclass(slots=True, eq=False, repr=False)
class BoundedQueue(Generic[ItemT]):
    """Items in order of arrival, any of which can be removed in constant time.

    Args:
        max_length: the maximum number of items.
        max_time: the maximum waiting time of an item, in seconds.
        on_expired: called with an item that was removed because it waited too long.
        clock: returns monotonic seconds.
        size_of: returns the size of an item in bytes.
        max_bytes: the maximum size of all items together, in bytes.

    Attributes:
        items: the items, each with the end of its waiting time and its size.
    """

    max_length: int
    max_time: float
    on_expired: Callable[[ItemT], None]
    clock: Clock = monotonic
    size_of: Callable[[ItemT], int] = lambda _: 0
    max_bytes: int = 0
    _bytes: int = field(default=0, init=False)
    items: OrderedDict[ItemT, tuple[float, int]] = field(
        default_factory=OrderedDict[ItemT, tuple[float, int]], init=False
    )
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self.items)

    def put(self, item: ItemT) -> bool:
        """Add an item at the end.

        Args:
            item: the item.

        Returns:
            Whether it was added; False when the queue is full.
        """
        size = self.size_of(item)
        if len(self.items) >= self.max_length or self._bytes + size > self.max_bytes:
            return False
        self._bytes += size
        if self.max_time < math.inf:
            self.items[item] = self.clock() + self.max_time, size
            self._set_timer()
        else:
            self.items[item] = math.inf, size
        return True

    def remove(self, item: ItemT) -> None:
        """Remove an item; unknown items are ignored.

        Args:
            item: the item.
        """
        if (found := self.items.pop(item, None)) is not None:
            self._bytes -= found[1]

    def get(self) -> ItemT | None:
        """Remove and return the first item, None when the queue is empty."""
        if not self.items:
            return None
        if self.max_time < math.inf:
            self._expire()  # the loop may have been too busy for the timer
            if not self.items:
                return None
        item, (_, size) = self.items.popitem(last=False)
        self._bytes -= size
        return item

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        """Set the timer for the first item, unless it is set."""
        if self._timer is None and self.items and self.max_time < math.inf:
            delay = max(next(iter(self.items.values()))[0] - self.clock(), _MIN_DELAY)
            self._timer = asyncio.get_running_loop().call_later(
                delay, self._on_timer, context=Context()
            )

    def _on_timer(self) -> None:
        self._timer = None
        self._expire()
        self._set_timer()

    def _expire(self) -> None:
        now = self.clock()
        while self.items:
            item, (end, _) = next(iter(self.items.items()))
            if end > now:
                return
            self.remove(item)
            self.on_expired(item)
