"""Calling an async function for many items, a few at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["for_each"]
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_AT_ONCE: Final = 8


async def for_each(
    items: Iterable[ItemT], call: Callable[[ItemT], Awaitable[ResultT]]
) -> list[ResultT]:
    """Call a function for each of some items, eight at a time, and return the results in order.

    Args:
        items: the items.
        call: the function.

    Raises:
        Exception: what a call raises.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def run(item: ItemT) -> ResultT:
        async with limit:
            return await call(item)

    return await asyncio.gather(*map(run, items))
