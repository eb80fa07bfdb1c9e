"""Values as JSON text."""

import json
import re
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic_core import SchemaValidator, ValidationError, core_schema, to_json

__all__ = [
    "FEW_BYTES",
    "UNREADABLE",
    "dump_any",
    "has_constants",
    "has_large",
    "has_many_values",
    "has_overflow",
    "is_unreadable",
    "quoted",
    "reject_constants",
]
_I: Final = ord("I")
_N: Final = ord("N")
_PLAIN: Final = bytes.maketrans(b"123456789E", b"000000000e")
# The largest float has 309 digits: a larger number has an exponent of three digits, or many digits.
_EXPONENT: Final = b"0e000"
_DIGITS: Final = b"0" * 200
_OVERFLOW: Final = re.compile(rb"[\[:,\s]-?(?:[0-9]++(?:\.[0-9]++)?[eE]\+?[0-9]{3}|[0-9]{200})")
# 2^53 has 16 digits: with an exponent of one digit, at least seven are in front of it.
_SEVEN: Final = b"0" * 7
_LONG: Final = b"0" * 16
_LARGE: Final = re.compile(
    rb"[\[:,\s]-?(?:[0-9]++(?:\.[0-9]++)?[eE]\+?[0-9]{2}|[0-9]{7,}+(?:\.[0-9]++)?[eE]|[0-9]{16,}+\.)"
)
_MANY: Final = 10_000
FEW_BYTES: Final = _MANY
"""JSON text that is no longer than that has few values."""

_MAX_NESTING: Final = 190
"""How many levels a part of a message may nest. pydantic's parser reads 200 levels, also where the
part is in a reply within a kept reply, or in a commit."""
_ROOM: Final = 200 - _MAX_NESTING
_OPENED: Final = b'{"":'
_CLOSED: Final = b"}"
_LEAST_DEEP: Final = 2 * _MAX_NESTING
"""The bytes of JSON text of that many levels, at least."""
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(each for each in range(256) if each not in b'[]{}"\\')
_FEW_LEVELS: Final = 8
"""How many levels most JSON text nests."""
_MAX_DIGITS: Final = 4300
"""How many digits of an integer pydantic's parser reads, and Python by default; it writes more."""
UNREADABLE: Final = (
    f"it nests deeper than {_MAX_NESTING} levels, or has an integer of more than {_MAX_DIGITS}"
    " digits"
)
"""What is wrong with JSON text for which `is_unreadable` is true."""
_ALL_DIGITS: Final = re.compile(rb"[0-9]{%d}" % (_MAX_DIGITS + 1)).fullmatch
_ZERO: Final = ord("0")
_NINE: Final = ord("9")
# Makes no Python objects of what it reads.
_UNREAD: Final = SchemaValidator(core_schema.typed_dict_schema({}, extra_behavior="ignore"))


def dump_any(value: Any) -> bytes:
    """Serialize a value that no model has validated.

    Args:
        value: the value.

    Returns:
        JSON text.

    Raises:
        ValueError: it contains NaN or an infinity, which JSON does not have.
    """
    data = to_json(value, by_alias=True, inf_nan_mode="constants", fallback=_plain)
    reject_constants(data)
    return data


def _plain(value: object) -> object:
    if isinstance(value, MappingProxyType):  # what contexts and principals hold
        return dict(cast("MappingProxyType[str, object]", value))
    raise TypeError(f"a value of the type {type(value).__name__} cannot be sent as JSON")


def reject_constants(data: bytes) -> None:
    """Check that JSON text has no NaN and no infinity, which pydantic's parser accepts.

    Args:
        data: the text.

    Raises:
        ValueError: it has.
    """
    if has_constants(data):
        json.loads(data, parse_constant=_reject)


def has_constants(data: bytes) -> bool:
    """Return whether JSON text may have NaN or an infinity, which are usually part of a string.

    Args:
        data: the text.
    """
    # Looking for one byte takes a tenth of the time: N and I are rare in payloads. In metadata they
    # are not; a search from the end skips to the next of them, in half the time.
    return (_N in data and data.rfind(b"NaN") >= 0) or (_I in data and data.rfind(b"Infinity") >= 0)


def has_overflow(data: bytes) -> bool:
    """Return whether JSON text may have a number that is too large for a float.

    pydantic's parser makes an infinity of it where a type allows any value.

    Args:
        data: the text.
    """
    plain = data.translate(_PLAIN, b"+")
    may_have = _EXPONENT in plain or _DIGITS in plain
    return may_have and _OVERFLOW.search(b":" + data) is not None


def has_large(data: bytes) -> bool:
    """Return whether JSON text may have a number of 2^53 and more with a fraction or an exponent.

    A float does not hold all of their digits.

    Args:
        data: the text.
    """
    plain = data.translate(_PLAIN, b"+")
    may_have = b"0e00" in plain or (_SEVEN in plain and (_LONG in plain or b"0e0" in plain))
    return may_have and _LARGE.search(b":" + data) is not None


def has_many_values(data: bytes) -> bool:
    """Return whether JSON text may have so many values that objects of them take long to create.

    Ten thousand take some milliseconds, a million some tenths of a second.

    Args:
        data: the text.
    """
    if len(data) <= FEW_BYTES:
        return False
    return data.count(b",") + data.count(b"[") + data.count(b"{") > _MANY


def is_unreadable(data: bytes, around: int = 0) -> bool:
    """Return whether JSON text cannot be read, or not in everything that may be around it.

    Args:
        data: the text, as pydantic or a reader has accepted it.
        around: how many levels of the text are around the part that may nest 190 levels.
    """
    if len(data) < _LEAST_DEEP:
        return False
    if not _may_be_deep(data) and not _may_have_long_integers(data):
        return False
    room = _ROOM - around
    try:
        _UNREAD.validate_json(_OPENED * room + data + _CLOSED * room)
    except ValidationError:
        return True
    return False


def _may_be_deep(data: bytes) -> bool:
    """Return whether JSON text may nest deeper than a part may.

    This takes a fifth of the time of parsing. Brackets in strings could hide what nests: where a
    string has one, or an escape, only parsing tells.
    """
    if data.count(b"[") + data.count(b"{") <= _MAX_NESTING:
        return False
    rest = data.translate(_BRACKETS, _OTHERS).replace(b'""', b"")
    if b'"' in rest or b"\\" in rest:
        return True
    for removed in range(_FEW_LEVELS):
        if len(rest) // 2 + removed <= _MAX_NESTING:
            return False
        rest = rest.replace(b"[]", b"")  # the innermost level
    return True


def _may_have_long_integers(data: bytes) -> bool:
    """Return whether there are more digits in a row than the parser reads, perhaps in a string."""
    for place in range(_MAX_DIGITS, len(data), _MAX_DIGITS):  # one of these is a digit of them
        if _ZERO <= data[place] <= _NINE:
            before = data[place - _MAX_DIGITS : place]
            start = place - len(before) + len(before.rstrip(b"0123456789"))
            if _ALL_DIGITS(data, start, start + _MAX_DIGITS + 1):
                return True
    return False


def _reject(text: str) -> Any:
    raise ValueError(f"{text} is not valid JSON")


def quoted(text: str) -> str:
    """Return a string as a JSON literal.

    Args:
        text: the string.
    """
    # Most ids have only letters and digits, which need no escaping.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()
