"""Iteration over the pages of a list query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from weenats._internal.validation import check_integer
from weenats.errors import InternalError, InvalidArgumentError
from weenats.model import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

__all__ = ["Page", "iterate_pages", "iterate_pages_sync"]
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
    return _iterate(fetch, _Position(parameters, max_items))


def iterate_pages_sync(
    fetch: Callable[[ParametersT], Page[ItemT]], parameters: ParametersT, max_items: int
) -> Iterator[ItemT]:
    """Iterate over the items of all pages in a synchronous client, see `iterate_pages`.

    Args:
        fetch: requests one page.
        parameters: the parameters of the first page.
        max_items: the iteration ends after this number of items, at least 1.

    Returns:
        An iterator.

    Raises:
        InvalidArgumentError: as `iterate_pages`.
        InternalError: as `iterate_pages`.
        ServiceError: as `iterate_pages`.
    """
    return _iterate_sync(fetch, _Position(parameters, max_items))


async def _iterate(
    fetch: Callable[[ParametersT], Awaitable[Page[ItemT]]], position: _Position[ParametersT]
) -> AsyncIterator[ItemT]:
    while position.parameters is not None:
        page = await fetch(position.parameters)
        for item in position.items(page):
            yield item
        position.advance(page)


def _iterate_sync(
    fetch: Callable[[ParametersT], Page[ItemT]], position: _Position[ParametersT]
) -> Iterator[ItemT]:
    while position.parameters is not None:
        page = fetch(position.parameters)
        yield from position.items(page)
        position.advance(page)


class _Position(Generic[ParametersT]):
    """Where an iteration is: the parameters of the next page, None at the end."""

    def __init__(self, parameters: ParametersT, max_items: int) -> None:
        check_integer("max_items", max_items, 1, error=InvalidArgumentError)
        self.parameters: ParametersT | None = parameters
        self._remaining = max_items
        self._empty = 0

    def items(self, page: Page[ItemT]) -> Sequence[ItemT]:
        return page.items[: self._remaining]

    def advance(self, page: Page[object]) -> None:
        parameters, following = self.parameters, page.next_cursor
        self.parameters = None
        self._remaining -= len(page.items)
        if self._remaining <= 0 or following is None or parameters is None:
            return
        if following == getattr(parameters, "cursor", None):
            raise InternalError("the next page has the cursor of the page before")
        self._empty = 0 if page.items else self._empty + 1
        if self._empty == _MAX_EMPTY_PAGES:
            raise InternalError(f"{self._empty} pages in a row have no items")
        self.parameters = parameters.model_copy(update={"cursor": following})
