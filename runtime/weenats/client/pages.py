"""Iteration over the pages of a list query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from weenats.errors import InternalError, InvalidArgumentError
from weenats.model import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

__all__ = ["Page", "iterate_pages"]
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)
ParametersT = TypeVar("ParametersT", bound=Model)
_MAX_EMPTY_PAGES: Final = 100


class Page(Protocol[ItemT_co]):
    """The result of a list query."""

    @property
    def items(self) -> Sequence[ItemT_co]:
        """The items of the page."""
        ...

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None on the last one."""
        ...


def iterate_pages(
    fetch: Callable[[ParametersT], Awaitable[Page[ItemT]]], parameters: ParametersT, max_items: int
) -> AsyncIterator[ItemT]:
    """Iterate over the items of all pages; a page is requested when its first item is needed.

    Args:
        fetch: requests one page.
        parameters: the parameters of the first page.
        max_items: the iteration ends after this number of items, at least 1.

    Returns:
        An iterator.

    Raises:
        InvalidArgumentError: `max_items` is not a positive integer.
        InternalError: while iterating: the next page would be the same page again, or there were
            100 pages without an item in a row.
        ServiceError: while iterating: as the query.
    """
    if type(max_items) is not int or max_items < 1:
        raise InvalidArgumentError(f"max_items is an integer of at least 1, not {max_items!r}")
    return _iterate(fetch, parameters, max_items)


async def _iterate(
    fetch: Callable[[ParametersT], Awaitable[Page[ItemT]]], parameters: ParametersT, max_items: int
) -> AsyncIterator[ItemT]:
    remaining, empty = max_items, 0
    cursor: object = getattr(parameters, "cursor", None)
    while True:
        page = await fetch(parameters)
        for item in page.items[:remaining]:
            yield item
        remaining -= len(page.items)
        following = page.next_cursor
        if remaining <= 0 or following is None:
            return
        if following == cursor:
            raise InternalError("the next page has the cursor of the page before")
        empty = 0 if page.items else empty + 1
        if empty == _MAX_EMPTY_PAGES:
            raise InternalError(f"{empty} pages in a row have no items")
        cursor = following
        parameters = parameters.model_copy(update={"cursor": following})
