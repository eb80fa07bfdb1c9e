"""What is wrong with a message, told without its content."""

from __future__ import annotations

from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from weenats.errors import InvalidArgumentError

_MAX_VIOLATIONS: Final = 20
_MAX_POINTER_LENGTH: Final = 200


def faults(error: ValidationError, data: bytes) -> list[Any]:
    """Return what pydantic found in a message, without the input.

    Where pydantic names the branch of a union, `loc` is left with what stands in the message.
    """
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    try:
        document = from_json(data)
    except ValueError:
        return found
    return [{**fault, "loc": _place(fault, document)} for fault in found[:_MAX_VIOLATIONS]]


def _place(fault: Any, document: Any) -> tuple[int | str, ...]:
    place: list[int | str] = []
    for part in fault["loc"]:
        if isinstance(document, dict) and part in document:
            document = cast("dict[object, object]", document)[part]
        elif isinstance(document, list) and isinstance(part, int):
            document = cast("list[object]", document)[part]
        elif not (fault["type"] == "missing" and part is fault["loc"][-1]):
            continue
        place.append(part)
    return tuple(place)


def invalid(message: str, found: list[Any]) -> InvalidArgumentError:
    """Return the error that tells of faults, of which there are some."""
    told = [_violation(fault) for fault in found[:_MAX_VIOLATIONS]]
    text = f"{message}: {told[0]['pointer']}: {told[0]['message']}"
    return InvalidArgumentError(text, details={"violations": told})


def not_json(message: str, error: ValueError) -> InvalidArgumentError:
    """Return the error that tells of text that is no JSON."""
    return InvalidArgumentError(
        message, details={"violations": [{"pointer": "", "message": str(error)}]}
    )


def violations(error: ValidationError, data: bytes = b"") -> list[dict[str, str]]:
    """Return the faults of a message as the wire tells them."""
    return [_violation(fault) for fault in faults(error, data)[:_MAX_VIOLATIONS]]


def _violation(fault: Any) -> dict[str, str]:
    pointer = "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"]
    )
    return {"pointer": pointer[:_MAX_POINTER_LENGTH], "message": fault["msg"]}


def reason(error: Exception) -> str:
    """Say why something could not be written, without its content."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{each['pointer']}: {each['message']}" for each in violations(error))
    if isinstance(error, UnicodeError) or "UnicodeEncodeError" in str(error):
        return "it holds text that is no valid Unicode"
    if isinstance(error, PydanticSerializationError):
        return "it holds a value that its type does not allow"
    return str(error)
