"""Strict JSON for tokens and keys: what two parsers could read differently is refused."""

import json
import math
from itertools import accumulate
from typing import Any, Final, NoReturn, cast

__all__ = ["JsonError", "read_object"]

_MAX_DEPTH: Final = 32
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
"""How each bracket changes the nesting depth."""


class JsonError(ValueError):
    """A document that is not acceptable JSON; the message shows nothing of its content."""


def read_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        data: JSON in UTF-8.

    Raises:
        JsonError: the data is not a JSON object, has duplicate members, is nested more than 32
            levels deep, or has an infinite number or an unpaired surrogate (RFC 7493).
    """
    try:
        return _read(data)
    except JsonError as error:
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "not valid JSON in UTF-8"
    raise JsonError(reason)  # not raised above: the parser's error shows the document


def _read(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8")
    if _depth(text) > _MAX_DEPTH:
        raise JsonError(f"nested more than {_MAX_DEPTH} levels deep")
    value: object = _DECODER.decode(text)
    if not isinstance(value, dict):
        raise JsonError("not an object")
    if "\\" in text:
        # An escape sequence may be an unpaired surrogate, which cannot be encoded.
        json.dumps(value, ensure_ascii=False).encode()
    return cast("dict[str, Any]", value)


def _depth(text: str) -> int:
    """Return an upper bound of the nesting depth; brackets within strings are counted too."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return 0
    return max(accumulate(_STEPS.get(character, 0) for character in text))


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise JsonError("duplicate member")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError("number out of range")
    return number


def _no_constant(_: str) -> NoReturn:
    raise JsonError("not a JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)
