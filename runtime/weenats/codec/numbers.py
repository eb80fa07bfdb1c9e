"""Numbers of JSON that have more than one form in Python: whole floats, and decimals.

JSON Schema calls 1.0 an integer, strict models do not. The digits of a decimal number get lost when
JSON is parsed as floats, which is what pydantic does.
"""

import json
import math
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final, cast

from pydantic_core import from_json, to_json

from weenats.formats import DIGITS
from weenats.model import Model

__all__ = [
    "DECIMALS",
    "dump_digits",
    "load",
    "load_decimals",
    "load_digits",
    "load_large",
    "put_digits",
    "with_decimals",
    "with_integers",
]
_MAY_BE_WHOLE: Final = re.compile(rb"[0-9](?:\.0|(?:\.[0-9]+)?[eE])")
_MAX_EXACT: Final = 2**53
"""Up to here a float holds each integer."""
_MAX_EXPONENT: Final = 309
_MAX_LARGE: Final = 100
"""Judging one number with thousands of digits takes up to a millisecond."""
# Random, so that no text of a message is taken for the mark.
_MARK: Final = secrets.token_hex(16)
_MARKED: Final = re.compile(rb'"%b([^"]*)"' % _MARK.encode())
DECIMALS: Final[Mapping[str, Any]] = {DIGITS: _MARK.__add__}
"""The context of serializers and validators for types with decimals: serializers write a string for
each decimal, which `put_digits` replaces."""


def load(data: bytes) -> Any:
    """Parse JSON as pydantic does: nested 200 levels at most, without NaN and infinities.

    Args:
        data: JSON text.

    Raises:
        ValueError: it is not valid JSON.
    """
    return from_json(data, allow_inf_nan=False)


def load_decimals(data: bytes) -> Any:
    """Parse JSON as `load` does, with decimals for numbers that have a fraction or an exponent.

    Args:
        data: JSON text.

    Raises:
        ValueError: it is not valid JSON, or more than 100 numbers are larger than floats.
    """
    load(data)
    large = 0

    def decimal(text: str) -> Decimal:
        nonlocal large
        number = _decimal(text)
        large += number.adjusted() >= _MAX_EXPONENT
        if large > _MAX_LARGE:
            raise ValueError("too many numbers have large exponents")
        return number

    return json.loads(data, parse_float=decimal)


def load_large(data: bytes) -> Any:
    """Parse JSON as `load` does, with decimals for floats of 2^53 and more.

    To JSON Schema, numbers are equal if their values are: 1e23 is the integer of 24 digits, which
    no float is. What is too large for a float is an infinity.

    Args:
        data: JSON text.

    Raises:
        ValueError: it is not valid JSON.
    """
    load(data)
    return json.loads(data, parse_float=_exact)


def load_digits(data: bytes) -> Any:
    """Parse JSON whose parts `dump_digits` writes again, with all digits of their numbers.

    Args:
        data: JSON text.

    Raises:
        ValueError: it is not valid JSON.
    """
    load(data)
    return json.loads(data, parse_float=_MARK.__add__)


def dump_digits(value: Any) -> bytes:
    """Return JSON text of a part of what `load_digits` has parsed.

    Args:
        value: the part.
    """
    return put_digits(to_json(value))


def with_integers(data: bytes) -> bytes | None:
    """Return JSON text in which whole numbers such as 1.0 and 2e3 are written as integers.

    Args:
        data: valid JSON text.

    Returns:
        The text; None if there are no such numbers.
    """
    if not _MAY_BE_WHOLE.search(data):
        return None
    try:
        return to_json(json.loads(data, parse_float=_integer_if_whole))
    except (ValueError, RecursionError):
        return None


def with_decimals(value: Any, document: Any) -> Any:
    """Return a validated value with decimals that have all the digits of the document.

    Args:
        value: what a model made of the document; models, lists and dictionaries are changed.
        document: the JSON, from `load_decimals`.

    Raises:
        OverflowError: a number that is not a decimal is too large for a float.
    """
    if isinstance(value, Decimal):
        return document if isinstance(document, Decimal) else value
    if isinstance(value, float) and math.isinf(value):
        raise OverflowError
    if isinstance(value, Model):
        _restore_model(value, document)
    elif isinstance(value, list):
        items = cast("list[object]", value)
        items[:] = [with_decimals(*pair) for pair in zip(items, document, strict=True)]
    elif isinstance(value, tuple):
        pairs = zip(cast("tuple[object, ...]", value), document, strict=True)
        return tuple(with_decimals(*pair) for pair in pairs)
    elif isinstance(value, dict):
        members = cast("dict[object, object]", value)
        if members.keys() <= document.keys():
            parts = [document[name] for name in members]
        else:  # names that have become dates, for example; two may have become one
            parts = list(document.values()) if len(members) == len(document) else []
        for name, part in zip(list(members), parts, strict=False):
            members[name] = with_decimals(members[name], part)
    return cast("object", value)


def put_digits(data: bytes) -> bytes:
    """Return JSON text with numbers in place of what `DECIMALS` has written for decimals.

    Args:
        data: JSON text, from a serializer with the context `DECIMALS`.
    """
    return _MARKED.sub(rb"\1", data)


def _restore_model(value: Model, document: Any) -> None:
    members = vars(value)
    for name, alias in _names(cast("Any", type(value))):
        if alias in document:
            part = members[name]
            restored = with_decimals(part, document[alias])
            if restored is not part:
                members[name] = restored
    extra = value.model_extra or {}
    for name, part in extra.items():
        extra[name] = with_decimals(part, document[name])


@cache
def _names(model: Any) -> list[tuple[str, str]]:
    """Return the names of the members of a model in Python and in JSON."""
    fields = cast("type[Model]", model).model_fields
    return [(name, info.alias or name) for name, info in fields.items()]


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number has too large an exponent") from None


def _exact(text: str) -> float | Decimal:
    number = float(text)
    return number if abs(number) < _MAX_EXACT or math.isinf(number) else Decimal(text)


def _integer_if_whole(text: str) -> int | float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large for a float")  # it would be written as null
    number = _decimal(text)
    return int(number) if number == number.to_integral_value() else value
