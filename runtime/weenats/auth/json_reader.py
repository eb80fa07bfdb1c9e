"""JSON as tokens and keys must have it: nothing in it can be read in two ways."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn, cast

_MAX_DEPTH: Final = 32


class JsonError(ValueError):
    """What cannot be taken; the text says why and shows nothing of it."""


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object in UTF-8.

    Raises:
        JsonError: it is none, names a member twice, is nested deeper than 32 levels, or holds an
            infinite number or half of a surrogate pair.
    """
    try:
        return _read(data)
    except JsonError as error:
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "no JSON in UTF-8"
    raise JsonError(reason)


def _read(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8")
    if _depth(text) > _MAX_DEPTH:
        raise JsonError("nested too deeply")
    value: object = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise JsonError("no object")
    if "\\" in text:
        # An escape may have brought half of a surrogate pair, which no encoder takes.
        json.dumps(value, ensure_ascii=False).encode()
    return cast("dict[str, Any]", value)


def _depth(text: str) -> int:
    """Return an upper bound of the nesting: brackets in strings count too."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return 0
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise JsonError("a member is named twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError("an infinite number")
    return number


def _no_constant(_: str) -> NoReturn:
    raise JsonError("no JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)
