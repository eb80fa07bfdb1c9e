"""Sets of Unicode characters, without surrogates, as sorted ranges of code points."""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Characters = tuple[tuple[int, int], ...]
"""Ranges of code points: sorted, apart from one another, both ends included."""

ALL: Final[Characters] = ((0, 0xD7FF), (0xE000, sys.maxunicode))
DIGITS: Final[Characters] = ((48, 57),)
WORD: Final[Characters] = ((48, 57), (65, 90), (95, 95), (97, 122))
LINE_ENDS: Final[Characters] = ((10, 10), (13, 13), (0x2028, 0x2029))
SPACES: Final[Characters] = (
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip


def union(ranges: Iterable[tuple[int, int]]) -> Characters:
    """Return the characters of some ranges, in any order.

    Args:
        ranges: The first and the last code point of each.
    """
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return tuple(result)


def complement(characters: Characters) -> Characters:
    """Return all other characters.

    Args:
        characters: The characters to leave out.
    """
    result: list[tuple[int, int]] = []
    for start, end in ALL:
        low = start
        for first, last in characters:
            if last < low or first > end:
                continue
            if first > low:
                result.append((low, first - 1))
            low = last + 1
        if low <= end:
            result.append((low, end))
    return tuple(result)


@lru_cache(maxsize=64)
def category(name: str) -> Characters:
    """Return the characters of a general category of Unicode, such as `L` or `Lu`.

    Args:
        name: The short name of the category.
    """
    found: list[tuple[int, int]] = []
    for start, end in ALL:
        for code in range(start, end + 1):
            if not unicodedata.category(chr(code)).startswith(name):
                continue
            if found and found[-1][1] == code - 1:
                found[-1] = (found[-1][0], code)
            else:
                found.append((code, code))
    return union(found)
