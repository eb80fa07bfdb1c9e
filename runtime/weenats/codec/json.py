"""Values as JSON text."""

import json
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic_core import to_json

__all__ = ["dump_any", "has_constants", "quoted", "reject_constants"]
_I: Final = ord("I")
_N: Final = ord("N")


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


def _reject(text: str) -> Any:
    raise ValueError(f"{text} is not valid JSON")


def quoted(text: str) -> str:
    """Return a string as a JSON literal.

    Args:
        text: the string.
    """
    # Most ids have only letters and digits, which need no escaping.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()
