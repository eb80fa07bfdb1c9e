"""Iteration over the pages of a list query."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from weenats.client import iterate_pages, iterate_pages_sync
from weenats.errors import InternalError, InvalidArgumentError
from weenats.model import Model


class Parameters(Model):
    """The parameters of a list query."""

    cursor: str | None = None


@dataclass
class Result:
    """A page of a list query."""

    items: list[int]
    next_cursor: str | None = None


@dataclass
class Pages:
    """Serves pages by cursor, and notes which were requested."""

    pages: dict[str | None, Result]
    requested: list[str | None] = field(default_factory=list[str | None])

    async def fetch(self, parameters: Parameters) -> Result:
        """Return a page."""
        self.requested.append(parameters.cursor)
        return self.pages[parameters.cursor]


@pytest.fixture
def pages() -> Pages:
    """Three pages of two items, an empty one among them."""
    return Pages(
        {
            None: Result([1, 2], "b"),
            "b": Result([], "c"),
            "c": Result([3, 4], "d"),
            "d": Result([5, 6]),
        }
    )


@pytest.mark.parametrize(
    ("start", "max_items", "items", "requested"),
    [
        (None, 100, [1, 2, 3, 4, 5, 6], [None, "b", "c", "d"]),
        (None, 6, [1, 2, 3, 4, 5, 6], [None, "b", "c", "d"]),
        (None, 3, [1, 2, 3], [None, "b", "c"]),
        (None, 2, [1, 2], [None]),
        ("c", 100, [3, 4, 5, 6], ["c", "d"]),
    ],
)
async def test_all_pages_up_to_the_bound(
    pages: Pages,
    start: str | None,
    max_items: int,
    items: list[int],
    requested: list[str | None],
) -> None:
    """Items come in order, at most `max_items`, and no page more than needed is requested."""
    found = [item async for item in iterate_pages(pages.fetch, Parameters(cursor=start), max_items)]
    assert found == items
    assert pages.requested == requested


def test_synchronous_iteration(pages: Pages) -> None:
    """The same iteration with a function that is not async: lazy, in order, and bounded."""
    requested: list[str | None] = []

    def fetch(parameters: Parameters) -> Result:
        requested.append(parameters.cursor)
        return pages.pages[parameters.cursor]

    iterator = iterate_pages_sync(fetch, Parameters(), 5)
    assert requested == []
    assert next(iterator) == 1
    assert requested == [None]
    assert list(iterator) == [2, 3, 4, 5]
    assert requested == [None, "b", "c", "d"]
    with pytest.raises(InvalidArgumentError, match="max_items is an integer of at least 1"):
        iterate_pages_sync(fetch, Parameters(), 0)


async def test_pages_are_requested_lazily(pages: Pages) -> None:
    """Nothing is requested before the first item, and the next page only for its own items."""
    iterator = iterate_pages(pages.fetch, Parameters(), 100)
    assert pages.requested == []
    assert [await anext(iterator), await anext(iterator)] == [1, 2]
    assert pages.requested == [None]
    assert await anext(iterator) == 3
    assert pages.requested == [None, "b", "c"]


async def test_endless_pages_end() -> None:
    """A cursor that repeats itself, and pages without end or items, are errors of the service."""
    same = Pages({None: Result([1], "a"), "a": Result([2], "a")})
    iterator = iterate_pages(same.fetch, Parameters(), 100)
    assert [await anext(iterator), await anext(iterator)] == [1, 2]
    with pytest.raises(InternalError, match="cursor of the page before"):
        await anext(iterator)

    async def empty(parameters: Parameters) -> Result:
        return Result([], f"{parameters.cursor}x")

    with pytest.raises(InternalError, match="100 pages in a row have no items"):
        await anext(iterate_pages(empty, Parameters(), 100))


@pytest.mark.parametrize("max_items", [0, -1, True, 1.5, "3"])
async def test_bound_must_be_positive(pages: Pages, max_items: int) -> None:
    """A bound that is not a positive integer is refused before the iteration begins."""
    with pytest.raises(InvalidArgumentError, match="max_items is an integer of at least 1"):
        iterate_pages(pages.fetch, Parameters(), max_items)
