"""What a scalar without quotes is: YAML 1.2's core schema, of which JSON is a part.

`yes`, `no`, dates and `1:30` are text here, as they are for editors that check service.yaml.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import JsonValue

_WORDS: Final[dict[str, JsonValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS: Final = 400  # no double has more before its point


def plain_value(text: str) -> JsonValue:
    """Return the value; raise ValueError, saying why, if it is a number that JSON has not."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is infinite or no number, which JSON has not")
    if not _FLOAT.fullmatch(text):
        return text
    number: float = math.inf
    if len(text) <= _MAX_DIGITS:
        number = int(text) if _INTEGER.fullmatch(text) else float(text)
    try:
        finite = math.isfinite(number)
    except OverflowError:  # an int that is too large for a double
        finite = False
    if not finite:
        raise ValueError("is a number that is too large for JSON readers")
    return number
