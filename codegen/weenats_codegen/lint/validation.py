"""Validation by jsonschema, whose type stubs leave half of it unknown to strict type checkers."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from jsonschema import Draft202012Validator
from pydantic import JsonValue

_Validator: Final = cast("Any", Draft202012Validator)


class ValidationError(NamedTuple):
    """A keyword of a schema that a value does not satisfy.

    Attributes:
        path: The place of the value.
        keyword: The keyword.
        expected: The value of the keyword.
        schema: The schema with the keyword.
        value: The value.
        is_name: Whether the value is the name of a member.
    """

    path: tuple[str | int, ...]
    keyword: str
    expected: Any
    schema: dict[str, Any]
    value: Any
    is_name: bool


def errors(schema: Mapping[str, Any], value: JsonValue) -> Iterator[ValidationError]:
    """Yield the errors of a value."""
    for error in _Validator(schema).iter_errors(value):
        yield ValidationError(
            path=tuple(error.absolute_path),
            keyword=error.validator,
            expected=error.validator_value,
            schema=error.schema,
            value=error.instance,
            is_name="propertyNames" in error.absolute_schema_path,
        )


def schema_errors(schema: JsonValue) -> Iterator[ValidationError]:
    """Yield the errors of a schema according to JSON Schema 2020-12."""
    return errors(_Validator.META_SCHEMA, schema)


def is_valid(schema: JsonValue, value: JsonValue) -> bool:
    """Return whether a valid schema accepts a value."""
    return bool(_Validator(schema).is_valid(value))
