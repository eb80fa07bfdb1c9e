"""Values as JSON text."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from pydantic_core import to_json

__all__ = ["dump", "dump_any", "dump_checked", "quoted", "reject_constants"]


def dump(value: object, declared: type[Any], *, warnings: bool | Literal["error"] = False) -> bytes:
    """Serialize a model without validating it again: the receiver does.

    Args:
        value: an instance of the declared model.
        declared: the model.
        warnings: "error" to raise where a value does not have the type of its field.

    Raises:
        TypeError: the value is not an instance of the model.
        ValueError: a value cannot be serialized.
    """
    if not isinstance(value, declared):
        raise TypeError(f"expected {declared.__name__}, got {type(value).__name__}")
    serializer = declared.__pydantic_serializer__
    return cast("bytes", serializer.to_json(value, by_alias=True, warnings=warnings))


def dump_checked(value: object, declared: type[Any]) -> bytes:
    """Serialize a model, or raise ValueError where a value does not have the type of its field."""
    return dump(value, declared, warnings="error")


def dump_any(value: Any) -> bytes:
    """Serialize a value that no model has validated.

    Raises:
        ValueError: it contains NaN or an infinity, which JSON does not have.
    """
    data = to_json(value, by_alias=True, inf_nan_mode="constants")
    reject_constants(data)
    return data


def reject_constants(data: bytes) -> None:
    """Raise ValueError where JSON text has NaN or an infinity, which pydantic's parser accepts."""
    if b"NaN" in data or b"Infinity" in data:  # rare, and then mostly part of a string
        json.loads(data, parse_constant=_reject)


def _reject(text: str) -> Any:
    raise ValueError(f"{text} is not valid JSON")


def quoted(text: str) -> str:
    """Return a string as a JSON literal."""
    # Most ids have only letters and digits, which need no escaping.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()
