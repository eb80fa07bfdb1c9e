"""Numbers of JSON that have more than one form in Python: whole floats, and decimals.

JSON Schema calls 1.0 an integer, strict models do not. The digits of a decimal number get lost when
JSON is parsed as floats, which is what pydantic does.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final, cast

from pydantic_core import from_json, to_json

from weenats.formats import DIGITS
from weenats.model import Model

__all__ = ["keep_digits", "load", "load_decimals", "with_decimals", "with_integers"]
_MAY_BE_WHOLE: Final = re.compile(rb"[0-9](?:\.0|(?:\.[0-9]+)?[eE])")
_MAX_EXPONENT: Final = 309


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
        ValueError: it is not valid JSON.
    """
    load(data)
    return json.loads(data, parse_float=_decimal)


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
    """
    if isinstance(value, Decimal):
        return document if isinstance(document, Decimal) else value
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


def keep_digits() -> tuple[Mapping[str, Any], Callable[[bytes], bytes]]:
    """Return how to write decimals with all their digits.

    Returns:
        The context for a serializer, and what replaces the strings that decimals have become in its
        output by numbers. The strings have a random mark, so that no other string is replaced.
    """
    mark = secrets.token_hex(8)
    pattern = re.compile(rb'"%b([^"]*)"' % mark.encode())

    def write(text: str) -> str:
        return mark + text

    return {DIGITS: write}, partial(pattern.sub, rb"\1")


def _restore_model(value: Model, document: Any) -> None:
    members = vars(value)
    for name, info in type(value).model_fields.items():
        alias = info.alias or name
        if alias in document:
            part = members[name]
            restored = with_decimals(part, document[alias])
            if restored is not part:
                members[name] = restored
    extra = value.model_extra or {}
    for name, part in extra.items():
        extra[name] = with_decimals(part, document[name])


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number has too large an exponent") from None


def _integer_if_whole(text: str) -> int | float:
    number = _decimal(text)
    if number.adjusted() < _MAX_EXPONENT and number == number.to_integral_value():
        return int(number)
    return float(text)
