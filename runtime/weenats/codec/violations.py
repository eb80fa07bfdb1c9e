"""Violations of the contract by a message, reported without its content."""

import math
from typing import Any, Final, cast, get_args

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json
from pydantic_core.core_schema import ErrorType

from weenats.errors import InternalError, InvalidArgumentError
from weenats.formats import NOT_HELD, TEXT_FORMAT
from weenats.model import WRONG_TAG
from weenats.schema.violation import MAX_VIOLATIONS, Violation

__all__ = [
    "NOT_ALLOWED",
    "SchemaError",
    "Violation",
    "breach",
    "invalid",
    "not_finite",
    "reason",
    "violations",
    "violations_of",
]
_MAX_FOUND: Final = 1000
_MAX_PATTERN: Final = 100
"""The length of a pattern that is shown: those of versions and times fill a screen."""
NOT_ALLOWED: Final = "it contains a value that its type does not allow"
"""Why a model cannot be encoded, when it is not known which of its values it is."""
_KEYWORDS: Final = {
    "missing": "required",
    "extra_forbidden": "additionalProperties",
    "invalid_key": "propertyNames",
    "greater_than": "exclusiveMinimum",
    "greater_than_equal": "minimum",
    "less_than": "exclusiveMaximum",
    "less_than_equal": "maximum",
    "multiple_of": "multipleOf",
    "string_too_short": "minLength",
    "string_too_long": "maxLength",
    "bytes_too_short": "minLength",
    "bytes_too_long": "maxLength",
    "string_pattern_mismatch": "pattern",
    "literal_error": "enum",
    "enum": "enum",
    "union_tag_invalid": "oneOf",
    "union_tag_not_found": "oneOf",
    "finite_number": "type",
    "int_from_float": "type",
    "int_parsing_size": "type",
    "none_required": "type",
    "is_instance_of": "type",
    "model_attributes_type": "type",
    TEXT_FORMAT: "format",
    NOT_HELD: "format",
    "timezone_aware": "format",
}
"""The keyword of JSON Schema for each type of pydantic's errors whose name does not show it."""
_QUOTABLE: Final = {TEXT_FORMAT, NOT_HELD, *get_args(ErrorType)} - {
    "value_error",
    "assertion_error",
}
"""The types of errors whose text is that of pydantic or weenats, not that of a validator."""
_LENGTHS: Final = {
    ("too_short", "Dictionary"): "minProperties",
    ("too_long", "Dictionary"): "maxProperties",
    ("too_short", ""): "minItems",
    ("too_long", ""): "maxItems",
}


class SchemaError(ValueError):
    """A part of a message is not valid by its JSON Schema.

    Args:
        found: one or more violations.
    """

    def __init__(self, found: list[Violation]) -> None:
        self.found = found
        super().__init__("; ".join(each.text for each in found))


def violations_of(error: ValueError, data: bytes = b"") -> list[Violation]:
    """Return the violations that an error stands for, at most 20.

    pydantic adds the branch of a union to the location of an error. Here paths have only what is in
    the message.

    Args:
        error: the exception of pydantic, of a judge or of a parser.
        data: the message; b"" when its type has no unions.
    """
    if isinstance(error, SchemaError):
        return error.found
    if not isinstance(error, ValidationError):
        return [Violation((), "", str(error))]
    count = error.error_count()
    if count > _MAX_FOUND:  # pydantic lists all or none, which takes seconds for a large message
        return [Violation((), "", f"{count} violations, which is too many to list")]
    found: list[Any] = error.errors(include_url=False, include_input=False)
    try:
        document = from_json(data)
    except ValueError:
        listed = [Violation(each["loc"], _keyword(each), _message(each)) for each in found]
    else:
        listed = [
            Violation(_path(each, document), _keyword(each), _message(each)) for each in found
        ]
    # Branches of a union may say the same of one place.
    return list(dict.fromkeys(listed))[:MAX_VIOLATIONS]


def not_finite(document: object, path: tuple[str | int, ...] = ()) -> list[Violation]:
    """Return where a document has infinities, in at most 20 places.

    pydantic's parser makes them of numbers that are too large for a float.

    Args:
        document: the document.
        path: the members that lead to the part of it that is searched.
    """
    for name in path:
        members = cast("dict[Any, object]", document) if isinstance(document, dict) else {}
        document = members.get(name)
    found: list[Violation] = []
    unread: list[tuple[tuple[str | int, ...], object]] = [(path, document)]
    while unread and len(found) < MAX_VIOLATIONS:
        place, part = unread.pop()
        if isinstance(part, dict):
            members = cast("dict[str, object]", part)
            unread += [((*place, name), each) for name, each in reversed(members.items())]
        elif isinstance(part, list):
            items = cast("list[object]", part)
            unread += [((*place, index), each) for index, each in reversed([*enumerate(items)])]
        elif isinstance(part, float) and math.isinf(part):
            found.append(Violation(place, "type", "Input should be a finite number"))
    return found


def _keyword(error: Any) -> str:
    kind: str = error["type"]
    if kind.startswith("too_"):
        container = error["ctx"]["field_type"]
        return _LENGTHS[kind, container if container == "Dictionary" else ""]
    return _KEYWORDS.get(kind, "type" if kind.endswith("_type") else "")


def _message(error: Any) -> str:
    """Return what is wrong, without text of the message or of the exception of a validator."""
    kind, context = error["type"], error.get("ctx")
    if kind == "union_tag_invalid":
        return WRONG_TAG.format_map(context)
    if kind == "string_pattern_mismatch" and len(context["pattern"]) > _MAX_PATTERN:
        return "String should match the pattern of its schema"
    return str(error["msg"]) if kind in _QUOTABLE else "Input is refused by a validator"


def _path(error: Any, document: Any) -> tuple[int | str, ...]:
    path: list[int | str] = []
    for part in error["loc"]:
        if isinstance(document, dict) and part in document:
            document = cast("dict[object, object]", document)[part]
        elif isinstance(document, list) and isinstance(part, int):
            items = cast("list[object]", document)
            document = items[part] if part < len(items) else None
        elif not (error["type"] == "missing" and part is error["loc"][-1]):
            continue
        path.append(part)
    return tuple(path)


def invalid(message: str, found: list[Violation]) -> InvalidArgumentError:
    """Return the error that reports violations.

    Args:
        message: the start of the message of the error.
        found: one or more violations, with the names marked that are declared.
    """
    first = found[0]
    text = f"{message}: {first.text}"
    return InvalidArgumentError(text, details={"violations": [each.as_dict() for each in found]})


def breach(message: str, error: ValueError, data: bytes) -> InternalError:
    """Return the error that reports the violations of a message from a service.

    Args:
        message: the message of the error.
        error: as for `violations_of`.
        data: the message from the service.
    """
    return InternalError(message, details={"violations": violations(error, data)})


def violations(error: ValueError, data: bytes = b"") -> list[dict[str, str]]:
    """Return the violations of a message for the details of an error.

    Args:
        error: as for `violations_of`.
        data: the message.
    """
    return [each.as_dict() for each in violations_of(error, data)]


def reason(error: Exception) -> str:
    """Return why a message could not be encoded, without its content.

    Args:
        error: the exception of the encoder.
    """
    if isinstance(error, ValidationError | SchemaError):
        return "; ".join(each.text for each in violations_of(error))
    if isinstance(error, UnicodeError) or "UnicodeEncodeError" in str(error):
        return "it contains text that is not valid Unicode"
    if isinstance(error, PydanticSerializationError):
        return NOT_ALLOWED
    return str(error)
