"""The value of a scalar without quotes: YAML 1.2's core schema, of which JSON is a part.

`yes`, `no`, dates and `1:30` are strings here, as they are for editors that check service.yaml;
`0x1F` and `0o17` are integers, `010` is ten.
"""

import math
import re
import sys
from decimal import Decimal, InvalidOperation
from typing import Final

from pydantic import JsonValue

_WORDS: Final[dict[str, JsonValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS: Final = 400  # no double has more digits before its decimal point
_TOO_LARGE: Final = "is too large for a JSON number"
_EXACT: Final = 2**53
"""Up to here a float holds each integer."""


def plain_value(text: str) -> JsonValue:
    """Return the value of a scalar.

    Raises:
        ValueError: It is a number that would not be kept as it is written; the text says why.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is infinite or not a number, which JSON does not support")
    if _OTHER_BASE.fullmatch(text):
        if (number := int(text, 0)) > sys.float_info.max:
            raise ValueError(_TOO_LARGE)
        return number
    if not _FLOAT.fullmatch(text):
        return text
    if len(text) > _MAX_DIGITS or math.isinf(float(text)):
        raise ValueError(_TOO_LARGE)
    return int(text) if _INTEGER.fullmatch(text) else _number(text)


def _number(text: str) -> int | float:
    """Return a number with a fraction or an exponent."""
    try:
        exact, number = Decimal(text), float(text)
    except InvalidOperation:
        raise ValueError("has an exponent that is too large or too small") from None
    if abs(number) >= _EXACT and exact == exact.to_integral_value():
        return int(exact)
    if exact not in {Decimal(repr(number)), Decimal(f"{number:.17g}")}:
        raise ValueError("has more digits than a double-precision number holds")
    return number
