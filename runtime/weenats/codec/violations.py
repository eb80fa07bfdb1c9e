"""Violations of the contract by a message, reported without its content."""

from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from weenats.errors import InternalError, InvalidArgumentError
from weenats.model import Model

__all__ = [
    "NOT_ALLOWED",
    "breach",
    "declared_names",
    "invalid",
    "misfit",
    "not_json",
    "reason",
    "validation_errors",
    "violations",
    "without_keys",
]
_MAX_VIOLATIONS: Final = 20
_MAX_FOUND: Final = 1000
_MAX_POINTER_LENGTH: Final = 200
NOT_ALLOWED: Final = "it contains a value that its type does not allow"
"""Why a model cannot be encoded, when it is not known which of its values it is."""


def validation_errors(error: ValidationError, data: bytes = b"") -> list[Any]:
    """Return the errors that pydantic found in a message, without the input.

    pydantic adds the branch of a union to the location of an error. Here `loc` has only what is in
    the message.

    Args:
        error: the exception of pydantic.
        data: the message; b"" when its type has no unions.
    """
    count = error.error_count()
    if count > _MAX_FOUND:  # pydantic lists all or none, which takes seconds for a large message
        return [{"type": "", "loc": (), "msg": f"{count} violations, which is too many to list"}]
    found: list[Any] = error.errors(include_url=False, include_input=False)[:_MAX_VIOLATIONS]
    for each in found:
        each["msg"] = _message(each)
    try:
        document = from_json(data)
    except ValueError:
        return found
    return [{**each, "loc": _location(each, document)} for each in found]


def _message(error: Any) -> str:
    """Return what is wrong, without text of the message or of the exception of a validator."""
    match error["type"]:
        case "union_tag_invalid":
            return (
                f"{error['ctx']['discriminator']} should be one of {error['ctx']['expected_tags']}"
            )
        case "value_error" | "assertion_error":
            return "Input is refused by a validator"
        case _:
            return str(error["msg"])


def declared_names(*models: type[Model]) -> frozenset[str]:
    """Return the names of all members that models declare, those of nested models included.

    Args:
        models: the models.
    """
    names: set[str] = set()
    unread: list[Any] = [model.model_json_schema() for model in models]
    while unread:
        part = unread.pop()
        if isinstance(part, dict):
            schema = cast("dict[str, Any]", part)
            properties = schema.get("properties")
            names |= properties.keys() if isinstance(properties, dict) else set[str]()
            unread += schema.values()
        elif isinstance(part, list):
            unread += part
    return frozenset(names)


def without_keys(found: list[Any], names: frozenset[str]) -> list[Any]:
    """Return errors without the names of members that are not declared: they are content as well.

    Args:
        found: errors of `validation_errors`.
        names: the names of members that are declared.
    """
    return [
        {
            **each,
            "loc": tuple(
                part if type(part) is int or part in names else "*" for part in each["loc"]
            ),
        }
        for each in found
    ]


def misfit(value: Model) -> str:
    """Return where a model has a value that its type does not allow, without the value.

    Args:
        value: the model, which cannot be serialized.
    """
    model = type(value)
    try:
        text = value.model_dump_json(by_alias=True, warnings=False)
        model.__pydantic_validator__.validate_json(text, by_name=False)
    except ValidationError as error:
        first = _violation(without_keys(validation_errors(error), declared_names(model))[0])
        return f"{first['pointer']}: {first['message']}"
    except (TypeError, ValueError):
        pass  # a value is nothing that JSON has
    return NOT_ALLOWED


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
    listed = [_violation(each) for each in found]
    first = listed[0]
    text = ": ".join(part for part in (message, first["pointer"], first["message"]) if part)
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
    return [_violation(each) for each in validation_errors(error, data)]


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
        return NOT_ALLOWED
    return str(error)
