"""Decoding and encoding of the parts of messages that contracts describe.

A part whose type enforces its schema is read in one pass. Of any other part a judge decides first,
and what it accepts is then read by the type.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from weenats.codec.checked import is_quick, quick_json, writer
from weenats.codec.json import (
    UNREADABLE,
    has_constants,
    has_large,
    has_many_values,
    has_overflow,
    is_unreadable,
    reject_constants,
)
from weenats.codec.numbers import (
    DECIMALS,
    load,
    load_decimals,
    load_large,
    put_digits,
    with_decimals,
    with_integers,
)
from weenats.codec.reader import Reader
from weenats.codec.validators import adapter
from weenats.codec.violations import (
    NOT_ALLOWED,
    SchemaError,
    not_finite,
    reason,
    violations_of,
)
from weenats.model import declared_names
from weenats.schema import Judge, Schema
from weenats.schema.part import declared_type, is_model, judge_of, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Decoder", "Encoder", "may_be_deep"]
_ABSENT: Final = object()
_IS_QUICK: Final = is_quick()


class _Rules:
    """What a judge and the decimals of a part demand of its JSON.

    Args:
        declared: the type of the part.
        path: the members of the message that lead to the part.
    """

    def __init__(self, declared: type[Any] | Schema[Any], path: tuple[str, ...]) -> None:
        self._path = path
        self._judge: Judge | None = judge_of(declared)
        self._load = load
        self.has_decimals = False
        if self._judge is not None:
            self._judge.compile()
            self.has_decimals = _has(declared_type(declared), ("type", "decimal"))
            self._load = load_decimals if self.has_decimals else load

    @property
    def exist(self) -> bool:
        """Whether there are any."""
        return self._judge is not None

    def names(self, kind: Any) -> frozenset[str]:
        """Return the names of members that may be shown, those of a type and of its schemas.

        Args:
            kind: the type.
        """
        names = declared_names(kind) | frozenset(self._path)
        return names if self._judge is None else names | self._judge.names

    def check(self, data: bytes, path: tuple[str, ...]) -> Any:
        """Parse JSON text, and return it when it breaks no rule.

        Args:
            data: JSON text.
            path: the members in it that lead to the part; that is not judged if one is missing.

        Raises:
            SchemaError: the part is not valid.
            ValueError: it is not JSON.
        """
        has_floats = not self.has_decimals and has_large(data)
        document = load_large(data) if has_floats else self._load(data)
        part = _part(document, path)
        if part is _ABSENT:
            return document
        judge = cast("Judge", self._judge)
        found = not_finite(part) if has_floats else []
        if not found and not judge.is_valid(part):
            found = judge.violations(part)
        if found:
            raise SchemaError([each._replace(path=(*self._path, *each.path)) for each in found])
        return document


class Decoder:
    """Decodes a part of a message, or the message with this part.

    Args:
        kind: the type of what is decoded.
        declared: the type of the part in the contract.
        path: the members of `kind` that lead to the part.

    Attributes:
        read: returns the value of JSON text, or raises ValueError without saying why. It is the
            fastest way, for text in which NaN and infinities were not found, and may refuse 1.0 as
            an integer.
    """

    def __init__(
        self, kind: Any, declared: type[Any] | Schema[Any], path: tuple[str, ...] = ()
    ) -> None:
        self._rules = _Rules(declared, path)
        self._path = path
        self._context = DECIMALS if self._rules.has_decimals else None
        self._reader = Reader(kind)
        self._kind = kind
        self._is_judged = self._rules.exist
        self._holds_any = not self._is_judged and _holds_any(declared_type(declared))
        if self._is_judged:
            self.read = self.decode
        else:
            self.read = self._read_any if self._holds_any else self._reader.read

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all members that the type and its schemas declare."""
        return self._rules.names(self._kind)

    def decode(self, data: bytes) -> Any:
        """Decode JSON text.

        Args:
            data: JSON text.

        Returns:
            The value.

        Raises:
            SchemaError: the part breaks its JSON Schema, or something does not have its type.
            ValueError: the text is not JSON, or has NaN or an infinity.
        """
        try:
            return self._decoded(data)
        except (SchemaError, ValidationError) as error:
            found = [each.declared(self.names) for each in violations_of(error, data)]
        raise SchemaError(found)

    def _decoded(self, data: bytes) -> Any:
        if not self._is_judged:
            value = self._typed(data)
            if has_constants(data):
                reject_constants(data)
            if self._holds_any:
                self._check_range(data)
            return value
        # What its type refuses, too, a judge takes longer to refuse.
        value = self._typed(data) if has_many_values(data) else None
        document = self._rules.check(data, self._path)
        value = self._typed(data) if value is None else value
        if not self._rules.has_decimals:
            return value
        try:
            return with_decimals(value, document)
        except OverflowError:
            plain = adapter(self._kind).serializer.to_python(value, by_alias=True)
        return self._reject_infinities(plain)

    def _read_any(self, data: bytes) -> Any:
        """Decode JSON text by a type that takes any values in some place."""
        return self.decode(data) if has_overflow(data) else self._reader.read(data)

    def _check_range(self, data: bytes) -> None:
        if self._holds_any and has_overflow(data):
            self._reject_infinities(load(data))

    def _reject_infinities(self, document: object) -> None:
        """Report the numbers of the part that are too large for a float."""
        if found := not_finite(document, self._path):
            raise SchemaError(found)

    def _typed(self, data: bytes) -> Any:
        try:
            return self._reader.read(data, self._context)
        except ValueError:
            integers = with_integers(data)
        if integers is None:
            self._check_range(data)
        read = self._reader.explain if integers is None else self._reader.decode
        return read(integers or data, self._context)


class Encoder:
    """Encodes a part of a message.

    Args:
        declared: the type of the part in the contract.
        path: the members of the message that lead to the part.
        is_checked: whether the values of a model without a judge must have the types of its
            fields; without, the receiver checks that.

    Attributes:
        write: does what `encode` does, in the quickest way, and raises ValueError for what could
            not be read again in all that is sent or stored around it.
    """

    def __init__(
        self,
        declared: type[Any] | Schema[Any],
        path: tuple[str, ...] = (),
        *,
        is_checked: bool = True,
    ) -> None:
        kind = declared_type(declared)
        own = adapter(kind)
        self._name = type_name(declared)
        self._model = kind if is_model(kind) else None
        self._rules = _Rules(declared, path)
        self._is_judged = self._rules.exist
        self._validator = own.validator
        self._to_json = own.serializer.to_json
        is_checked = is_checked or self._is_judged
        self._warnings: Literal["error"] | bool = is_checked and "error"
        self._is_quick = is_checked and _IS_QUICK
        self._kind = kind
        self.write: Callable[[object], bytes] = self.encode
        if self._model is not None and not self._is_judged and (self._is_quick or not is_checked):
            self.write = writer(self._model, self._to_json, self.encode, warnings=is_checked)
        if may_be_deep(kind) or _has(kind, ("type", "int")):
            self.write = _checking(self.write)

    def encode(self, value: object) -> bytes:
        """Serialize a value.

        Args:
            value: the value.

        Returns:
            JSON text.

        Raises:
            TypeError: the value is not an instance of the model.
            SchemaError: the value breaks its JSON Schema.
            ValueError: the value does not have the declared type, or cannot be serialized. The
                error does not show it.
        """
        if self._model is None:
            value = value if self._is_judged else self._checked(value)
        elif not isinstance(value, self._model):
            expected, got = self._name, type(value).__name__
            if got == self._model.__name__:  # for example of the client project of the service
                expected, got = _full_name(self._model), _full_name(type(value))
            raise TypeError(f"expected {expected}, got {got}")
        try:
            if self._is_judged:
                return self._judged(value)
            data = self._written(value)
        except PydanticSerializationError as error:
            text = reason(error)
        else:
            if has_constants(data):
                reject_constants(data)
            return data
        raise ValueError(self._misfit(value) if text == NOT_ALLOWED else text)

    def _checked(self, value: object) -> object:
        try:
            return self._validator.validate_python(value)
        except ValidationError as error:
            found = [each.declared(self._names).text for each in violations_of(error)]
        raise ValueError("; ".join(found))

    def _written(self, value: object) -> bytes:
        if self._is_quick:
            try:
                return quick_json(self._to_json, value)
            except Exception:  # noqa: BLE001, S110 - what is below raises what is wrong, if anything
                pass
        return self._to_json(value, by_alias=True, warnings=self._warnings)

    def _judged(self, value: object) -> bytes:
        failures: list[SchemaError] = []
        for leave_out in ("nothing", "unset", "defaults"):
            data = self._serialized(value, leave_out)
            try:
                self._rules.check(data, ())
            except SchemaError as error:
                # A member that was not given has its default in Python, which the schema of the
                # object may forbid beside the other members; then it is not sent.
                found = [each.declared(self._names).redacted for each in error.found]
                failures.append(SchemaError(found))
            else:
                return data
        raise failures[0]

    def _serialized(self, value: object, leave_out: str) -> bytes:
        has_decimals = self._rules.has_decimals
        if leave_out == "nothing" and not has_decimals:
            return self._written(value)
        data: bytes = self._to_json(
            value,
            by_alias=True,
            warnings="error",
            context=DECIMALS if has_decimals else None,
            exclude_defaults=leave_out == "defaults",
            exclude_unset=leave_out == "unset",
        )
        return put_digits(data) if has_decimals else data

    @cached_property
    def _names(self) -> frozenset[str]:
        return self._rules.names(self._kind)

    def _misfit(self, value: object) -> str:
        """Return where a value is not of its type, without showing it."""
        try:
            self._validator.validate_json(
                self._to_json(value, by_alias=True, warnings=False), by_name=False
            )
        except ValidationError as error:
            return violations_of(error)[0].declared(self._names).text
        except (TypeError, ValueError):
            pass  # a value is nothing that JSON has
        return NOT_ALLOWED


def _part(document: Any, path: tuple[str, ...]) -> Any:
    """Return the part of a document that some members lead to, _ABSENT if one is missing."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return _ABSENT
        document = cast("dict[str, Any]", document)[name]
    return document


def _full_name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _holds_any(kind: Any) -> bool:
    """Return whether a type takes any values, or unknown members, in some place."""
    return _has(kind, ("type", "any"), ("extra_fields_behavior", "allow"))


def may_be_deep(kind: Any) -> bool:
    """Return whether values of a type may nest any number of levels.

    Args:
        kind: the type.
    """
    return _holds_any(kind) or _has(kind, ("type", "definition-ref"))


def _checking(write: "Callable[[object], bytes]") -> "Callable[[object], bytes]":
    def write_readable(value: object) -> bytes:
        data = write(value)
        if is_unreadable(data):
            raise ValueError(UNREADABLE)
        return data

    return write_readable


def _has(kind: Any, *pairs: tuple[str, str]) -> bool:
    """Return whether what pydantic builds for a type has one of some keys with its value."""
    unread: list[Any] = [adapter(kind).core_schema]
    while unread:
        part = unread.pop()
        if isinstance(part, dict):
            schema = cast("dict[str, Any]", part)
            if any(schema.get(key) == value for key, value in pairs):
                return True
            unread += schema.values()
        elif isinstance(part, list | tuple):
            unread += part
    return False
