"""Violations of the contract by a message, reported without its content."""

from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from weenats.errors import InternalError, InvalidArgumentError

__all__ = ["breach", "invalid", "not_json", "reason", "validation_errors", "violations"]
_MAX_VIOLATIONS: Final = 20
_MAX_POINTER_LENGTH: Final = 200


def validation_errors(error: ValidationError, data: bytes) -> list[Any]:
    """Return the errors that pydantic found in a message, without the input.

    pydantic adds the branch of a union to the location of an error. Here `loc` has only what is in
    the message.

    Args:
        error: the exception of pydantic.
        data: the message.
    """
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    try:
        document = from_json(data)
    except ValueError:
        return found
    return [{**each, "loc": _location(each, document)} for each in found[:_MAX_VIOLATIONS]]


def _location(error: Any, document: Any) -> tuple[int | str, ...]:
    location: list[int | str] = []
    for part in error["loc"]:
        if isinstance(document, dict) and part in document:
            document = cast("dict[object, object]", document)[part]
        elif isinstance(document, list) and isinstance(part, int):
            document = cast("list[object]", document)[part]
        elif not (error["type"] == "missing" and part is error["loc"][-1]):
            continue
        location.append(part)
    return tuple(location)


def invalid(message: str, found: list[Any]) -> InvalidArgumentError:
    """Return the error that reports violations.

    Args:
        message: the start of the message of the error.
        found: one or more errors of `validation_errors`.
    """
    listed = [_violation(each) for each in found[:_MAX_VIOLATIONS]]
    text = f"{message}: {listed[0]['pointer']}: {listed[0]['message']}"
    return InvalidArgumentError(text, details={"violations": listed})


def not_json(message: str, error: ValueError) -> InvalidArgumentError:
    """Return the error that reports text that is not valid JSON.

    Args:
        message: the message of the error.
        error: the exception of the parser.
    """
    return InvalidArgumentError(
        message, details={"violations": [{"pointer": "", "message": str(error)}]}
    )


def breach(message: str, error: ValidationError, data: bytes) -> InternalError:
    """Return the error that reports the violations of a message from a service.

    Args:
        message: the message of the error.
        error: the exception of pydantic.
        data: the message from the service.
    """
    return InternalError(message, details={"violations": violations(error, data)})


def violations(error: ValidationError, data: bytes = b"") -> list[dict[str, str]]:
    """Return the violations of a message for the details of an error.

    Args:
        error: the exception of pydantic.
        data: the message.
    """
    return [_violation(each) for each in validation_errors(error, data)[:_MAX_VIOLATIONS]]


def _violation(error: Any) -> dict[str, str]:
    pointer = "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"]
    )
    return {"pointer": pointer[:_MAX_POINTER_LENGTH], "message": error["msg"]}


def reason(error: Exception) -> str:
    """Return why a message could not be encoded, without its content.

    Args:
        error: the exception of the encoder.
    """
    if isinstance(error, ValidationError):
        return "; ".join(f"{each['pointer']}: {each['message']}" for each in violations(error))
    if isinstance(error, UnicodeError) or "UnicodeEncodeError" in str(error):
        return "it contains text that is not valid Unicode"
    if isinstance(error, PydanticSerializationError):
        return "it contains a value that its type does not allow"
    return str(error)
