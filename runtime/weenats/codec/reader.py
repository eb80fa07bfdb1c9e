"""Reading JSON text as a type. Text that is not of the type costs about as much as text that is."""

from functools import cached_property
from typing import Any, Final, cast

from pydantic_core import CoreSchema, SchemaValidator

from weenats.codec.careful import careful_validator, has_open_objects
from weenats.codec.json import FEW_BYTES, has_many_values
from weenats.codec.quick_texts import with_quick_texts
from weenats.codec.validators import adapter, quiet_validator
from weenats.codec.violations import SchemaError, Violation
from weenats.model import declared_names

__all__ = ["Reader"]
_INVALID: Final = object()
_TOO_LARGE: Final = Violation((), "", "the message has too many values to say where it is invalid")


class Reader:
    """Reads JSON text as a type.

    An error of pydantic has the invalid values as Python objects, which take a hundred times as
    long to create as the text takes to read. So it is only asked for errors if the text has few
    values.

    Args:
        kind: the type.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        quick = self._quick_schema()
        self._is_strict = True if quick is None else None  # then the schema itself is
        self._quiet = quiet_validator(kind, _INVALID, quick).validate_json

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all members that the type declares."""
        return declared_names(self._kind)

    def read(self, data: bytes, context: Any = None) -> Any:
        """Return the value of JSON text.

        Args:
            data: JSON text.
            context: the context of the validators.

        Raises:
            ValueError: it is not of the type; the error does not say why.
        """
        if len(data) <= FEW_BYTES:  # as `_value`, without calls: nearly all messages
            value = self._quiet(data, strict=self._is_strict, by_name=False, context=context)
        else:
            value = self._value(data, context)
        if value is _INVALID:
            raise ValueError
        return value

    def decode(self, data: bytes, context: Any = None) -> Any:
        """Return the value of JSON text.

        Args:
            data: JSON text.
            context: the context of the validators.

        Raises:
            ValidationError: it is not of the type, or not JSON.
            SchemaError: it is not of the type, and has too many values to list why.
        """
        value = self._value(data, context)
        return self.explain(data, context) if value is _INVALID else value

    def explain(self, data: bytes, context: Any = None) -> Any:
        """Raise what is wrong with JSON text that is not of the type.

        Args:
            data: JSON text.
            context: the context of the validators.

        Raises:
            ValidationError: what is wrong.
            SchemaError: it has too many values to list what is wrong.
        """
        if not has_many_values(data):
            return self._strict.validate_json(data, strict=True, by_name=False, context=context)
        if self._is_strict is None:  # a quick schema may refuse what is valid
            exact = self._exact.validate_json
            value = exact(data, strict=True, by_name=False, context=context)
            if value is not _INVALID:
                return value
        raise SchemaError([_TOO_LARGE])

    def _value(self, data: bytes, context: Any) -> Any:
        # Counting the values takes a tenth of the time of reading them, so care is taken without,
        # where it costs nothing.
        is_large = len(data) > FEW_BYTES
        if is_large and (not self._has_open_objects or has_many_values(data)):
            read = self._careful.validate_json
        else:
            read = self._quiet
        # The configuration of a TypedDict does not reach aliases that refer to themselves.
        return read(data, strict=self._is_strict, by_name=False, context=context)

    def _quick_schema(self) -> CoreSchema | None:
        return with_quick_texts(adapter(self._kind).core_schema)

    @cached_property
    def _has_open_objects(self) -> bool:
        return has_open_objects(adapter(self._kind).core_schema)

    @cached_property
    def _careful(self) -> SchemaValidator:
        return careful_validator(self._kind, _INVALID, self._quick_schema())

    @cached_property
    def _exact(self) -> SchemaValidator:
        return careful_validator(self._kind, _INVALID)

    @cached_property
    def _strict(self) -> SchemaValidator:
        return cast("SchemaValidator", adapter(self._kind).validator)
