"""Values as JSON text."""

import json
from typing import Any, Literal, cast

from pydantic_core import to_json

__all__ = ["dump", "dump_any", "dump_checked", "quoted", "reject_constants"]


def dump(value: object, declared: type[Any], *, warnings: bool | Literal["error"] = False) -> bytes:
    """Serialize a model without validating it: the receiver validates.

    Args:
        value: an instance of the declared model.
        declared: the model.
        warnings: "error" to raise when a value does not have the type of its field.

    Returns:
        JSON text.

    Raises:
        TypeError: the value is not an instance of the model.
        ValueError: a value cannot be serialized.
    """
    if not isinstance(value, declared):
        raise TypeError(f"expected {declared.__name__}, got {type(value).__name__}")
    serializer = declared.__pydantic_serializer__
    return cast("bytes", serializer.to_json(value, by_alias=True, warnings=warnings))


def dump_checked(value: object, declared: type[Any]) -> bytes:
    """Serialize a model whose values must have the types of their fields.

    Args:
        value: an instance of the declared model.
        declared: the model.

    Returns:
        JSON text.

    Raises:
        TypeError: the value is not an instance of the model.
        ValueError: a value does not have the type of its field, or cannot be serialized.
    """
    return dump(value, declared, warnings="error")


def dump_any(value: Any) -> bytes:
    """Serialize a value that no model has validated.

    Args:
        value: the value.

    Returns:
        JSON text.

    Raises:
        ValueError: it contains NaN or an infinity, which JSON does not have.
    """
    data = to_json(value, by_alias=True, inf_nan_mode="constants")
    reject_constants(data)
    return data


def reject_constants(data: bytes) -> None:
    """Check that JSON text has no NaN and no infinity, which pydantic's parser accepts.

    Args:
        data: the text.

    Raises:
        ValueError: it has.
    """
    if b"NaN" in data or b"Infinity" in data:  # usually false; else usually part of a string
        json.loads(data, parse_constant=_reject)


def _reject(text: str) -> Any:
    raise ValueError(f"{text} is not valid JSON")


def quoted(text: str) -> str:
    """Return a string as a JSON literal.

    Args:
        text: the string.
    """
    # Most ids have only letters and digits, which need no escaping.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()
