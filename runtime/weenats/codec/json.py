"""Values as JSON text."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from pydantic_core import to_json


def dump(value: object, declared: type[Any], *, warnings: bool | Literal["error"] = False) -> bytes:
    """Write a model; the receiver judges what was put into it past its checks."""
    if not isinstance(value, declared):
        raise TypeError(f"expected {declared.__name__}, got {type(value).__name__}")
    serializer = declared.__pydantic_serializer__
    return cast("bytes", serializer.to_json(value, by_alias=True, warnings=warnings))


def dump_checked(value: object, declared: type[Any]) -> bytes:
    """Write a model, or raise ValueError where it holds a value that its type does not allow."""
    return dump(value, declared, warnings="error")


def dump_open(value: Any) -> bytes:
    """Write what no model has checked; NaN and infinities are a ValueError, as they are no JSON."""
    data = to_json(value, by_alias=True, inf_nan_mode="constants")
    refuse_constants(data)
    return data


def refuse_constants(data: bytes) -> None:
    """Raise ValueError where the text holds NaN or an infinity: the parser lets them pass."""
    if b"NaN" in data or b"Infinity" in data:  # seldom, and then mostly words in a text
        json.loads(data, parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def quoted(text: str) -> str:
    """Return a text as JSON has it."""
    # Ids are mostly letters and digits, which nothing in JSON can be mistaken for.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()
