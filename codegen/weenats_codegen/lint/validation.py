"""The only place that knows jsonschema, and so the only one without its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

# The stubs of jsonschema leave half of this unknown to strict checkers.
_Validator: Final = cast("Any", Draft202012Validator)


class Fault(NamedTuple):
    """One keyword of a schema that a value does not meet.

    Attributes:
        path: Where the value stands in the whole.
        keyword: The keyword.
        expected: What the schema says at the keyword.
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


def faults(schema: Mapping[str, Any], value: JsonValue) -> Iterator[Fault]:
    """Yield what a value has against a schema."""
    for error in _Validator(schema).iter_errors(value):
        yield Fault(
            path=tuple(error.absolute_path),
            keyword=error.validator,
            expected=error.validator_value,
            schema=error.schema,
            value=error.instance,
            is_name="propertyNames" in error.absolute_schema_path,
        )


def schema_faults(schema: JsonValue) -> Iterator[Fault]:
    """Yield what a schema has against JSON Schema 2020-12."""
    return faults(_Validator.META_SCHEMA, schema)


def fits(schema: JsonValue, value: JsonValue) -> bool:
    """Return whether a valid schema takes a value."""
    return bool(_Validator(schema).is_valid(value))
