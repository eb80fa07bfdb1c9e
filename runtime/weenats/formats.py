"""Types for strings with a JSON Schema `format`, base64, decimal numbers and named integers.

JSON is parsed strictly, by the RFCs that JSON Schema refers to; pydantic's own types accept
more, such as a number of seconds for a date-time. In Python the values have the types of the
standard library. Models also take the text as it is in JSON, since frameworks such as FastAPI pass
request bodies so.

Some valid texts have no equal in Python: a leap second, the year 0000, more than six digits of a
second, a duration of years or months. They are refused, and the error names `x-python-type: str`,
with which a contract keeps the text.
"""

import datetime as dt
import enum
import ipaddress
import re
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal as _Decimal
from typing import Annotated, Any, Final, cast

import pydantic
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticSerializationUnexpectedValue,
    core_schema,
)

__all__ = [
    "UUID",
    "AwareDatetime",
    "Base64",
    "Decimal",
    "IPv4Address",
    "IPv6Address",
    "IntEnum",
    "date",
    "time",
    "timedelta",
]
TEXT_FORMAT: Final = "text_format"
"""The type of the error of text that does not have its format."""
NOT_HELD: Final = "not_held_in_python"
"""The type of the error of text that is valid and has no equal in Python."""
DIGITS: Final = "weenats.formats.digits"
"""The key in the context of a serialization for a function that takes the text of a decimal number
and returns a string that will be replaced by it, so that all digits are written. In the context of
a validation it says that decimals will be replaced by those with all digits."""

_DATE: Final = "(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = r"[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6}0*)?"
_OFFSET: Final = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_ANY_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ANY_TIME: Final = rf"[0-9]{{2}}:[0-9]{{2}}:(?:[0-5][0-9]|60)(?:\.[0-9]+)?{_OFFSET}"
_QUICK_DATE_TIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)
_DURATION: Final = "P(?:([0-9]+)W|(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?)"
_UNITS: Final = "weeks", "days", "hours", "minutes", "seconds"
_MAX_EXPONENT: Final = 309
_INFINITY: Final = float("inf")
_UUID: Final = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_IPV6: Final = "[0-9A-Fa-f:.]+"


class _NotHeldError(Exception):
    """A text is valid and has no equal in Python, for the reason that is its message."""


@dataclass(slots=True, eq=False, repr=False)
class _Text:
    """The JSON text of a type.

    Attributes:
        keyword: name and value of the keyword in JSON Schema.
        name: the name of the text in error messages, with an article.
        read: returns the value of a text; raises ValueError or _NotHeldError.
        check: returns a value that can be written; raises PydanticCustomError for others.
        write: returns the text of a value; None for that of pydantic.
        kind: the class of the values, for a type that pydantic reads only from text in JSON.
        quick: a schema that reads most of the texts, each as `read` does, without a call of Python,
            and refuses the others; None for none.
        checks_json: whether values that come from JSON are checked too; False where every text that
            is read has what `check` and the type of the values require.
    """

    keyword: tuple[str, str]
    name: str
    read: Callable[[str], Any]
    check: Callable[[Any], Any] | None = None
    write: Callable[[Any], str] | None = None
    kind: type[Any] | None = None
    checks_json: bool = True
    quick: CoreSchema | None = field(default=None, compare=False)  # it cannot be hashed

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        value = core_schema.is_instance_schema(self.kind) if self.kind else handler(source)
        # A value that was read from text has an offset: checking that again takes longer than
        # reading it.
        from_json: Any = {key: rule for key, rule in value.items() if key != "tz_constraint"}
        if self.check is not None:
            value = core_schema.no_info_after_validator_function(self.check, value)
        if self.checks_json:
            from_json = value
        serialization = self.write and core_schema.plain_serializer_function_ser_schema(
            self._text, return_schema=core_schema.str_schema(), when_used="json"
        )
        return core_schema.json_or_python_schema(
            core_schema.no_info_before_validator_function(self._value, from_json),
            core_schema.no_info_before_validator_function(self._value, value),
            serialization=serialization or None,
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", self.keyword[0]: self.keyword[1]}

    def _text(self, value: object) -> str:
        if self.write is None or not isinstance(value, self.kind or object):
            # A union then takes the type that it has for the value.
            raise PydanticSerializationUnexpectedValue(f"not {self.name}")
        return self.write(value)

    def _value(self, given: object) -> object:
        if not isinstance(given, str):
            return given
        try:
            return self.read(given)
        except _NotHeldError as error:
            failure = not_held(self.name, str(error))
        except ValueError:
            failure = PydanticCustomError(
                TEXT_FORMAT, "Input should be {name}", {"name": self.name}
            )
        raise failure


def quick_schema(function: object) -> CoreSchema | None:
    """Return what reads most of the texts that a validator function reads, without a call of it.

    Args:
        function: the function in a core schema of pydantic.

    Returns:
        The schema, for text of JSON only; None if there is none.
    """
    owner = getattr(function, "__self__", None)
    return owner.quick if isinstance(owner, _Text) else None


def not_held(name: str, why: str) -> PydanticCustomError:
    """Return the error of text that is valid and has no equal in Python.

    Args:
        name: the name of the text, with an article.
        why: what Python does not have.
    """
    return PydanticCustomError(
        NOT_HELD,
        "Input is {name}, but Python has no {why}; `x-python-type: str` in the schema keeps text",
        {"name": name, "why": why},
    )


def _reader(pattern: str, wide: str, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what reads texts of a pattern; those that match only a wider one are not held."""
    narrow = re.compile(pattern).fullmatch

    def read(text: str) -> object:
        if narrow(text):
            return parse(text.upper())
        if not re.fullmatch(wide, text):
            raise ValueError
        if text.startswith("0000"):
            raise _NotHeldError("year 0000")
        if ":60" in text:
            raise _NotHeldError("leap seconds")
        raise _NotHeldError("fractions of a second with more than 6 digits")

    return read


def _with_whole_minutes(value: dt.datetime | dt.time) -> dt.datetime | dt.time:
    offset = value.utcoffset()
    if offset is None:
        raise PydanticCustomError("timezone_aware", "Input should have timezone info")
    if offset % dt.timedelta(minutes=1):
        raise PydanticCustomError(
            TEXT_FORMAT, "Input should have an offset of whole minutes, as RFC 3339 requires"
        )
    return value


def _read_duration(text: str) -> dt.timedelta:
    found = re.fullmatch(_DURATION, text)
    if found is None or text[-1] in "PT":
        if re.fullmatch(r"P(?=[0-9])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T[0-9HMS]+)?", text):
            raise _NotHeldError("durations of years or months")
        raise ValueError
    if found[3] and found[5] and not found[4]:
        raise ValueError  # RFC 3339: minutes stand between hours and seconds
    try:
        return dt.timedelta(
            **{
                unit: int(count)
                for unit, count in zip(_UNITS, found.groups(), strict=True)
                if count
            }
        )
    except (OverflowError, ValueError):
        raise _NotHeldError("durations of more than 999,999,999 days") from None


def _writable(value: dt.timedelta) -> dt.timedelta:
    if value.microseconds or value.days < 0:
        raise PydanticCustomError(
            TEXT_FORMAT,
            "Input should be whole seconds and not negative, as RFC 3339 requires of durations",
        )
    return value


def _write_duration(value: dt.timedelta) -> str:
    _writable(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}H" if hours else ""
    if minutes or (hours and seconds):
        text += f"{minutes}M"
    if seconds or not (text or value.days):
        text += f"{seconds}S"
    return "P" + (f"{value.days}D" if value.days else "") + (f"T{text}" if text else "")


def _read_uuid(text: str) -> uuid.UUID:
    if not _UUID.fullmatch(text):
        raise ValueError
    return uuid.UUID(text)


def _read_ipv6(text: str) -> ipaddress.IPv6Address:
    if not re.fullmatch(_IPV6, text):
        raise ValueError
    return ipaddress.IPv6Address(text)


def _without_zone(value: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    if value.scope_id is not None:
        raise PydanticCustomError(TEXT_FORMAT, "Input should be an IPv6 address without a zone id")
    return value


def _read_base64(text: str) -> bytes:
    data = b64decode(text, validate=True)
    if b64encode(data).decode() != text:  # line breaks, or bits after the last byte
        raise ValueError
    return data


def _write_base64(value: bytes) -> str:
    return b64encode(value).decode()


class _Digits:
    """A JSON number as `decimal.Decimal`."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_before_validator_function(
            _decimal,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _number, info_arg=True, when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "number", "format": "decimal"}


def _decimal(given: object, info: ValidationInfo) -> object:
    if given in (_INFINITY, -_INFINITY) and info.context and DIGITS in info.context:
        return _Decimal(0)  # it will be replaced: the number is too large for a float only
    if isinstance(given, str) or type(given) is bool:
        raise PydanticCustomError("decimal_type", "Input should be a number")
    if isinstance(given, int):
        return _Decimal(given)
    return _Decimal(repr(given)) if isinstance(given, float) else given


def _number(value: _Decimal, info: SerializationInfo) -> str | int | float:
    if not value.is_finite():
        raise ValueError("NaN and infinities are not JSON")
    write: Callable[[str], str] | None = cast("Any", info.context or {}).get(DIGITS)
    if write is not None:
        return write(str(value))
    if value == value.to_integral_value() and value.adjusted() < _MAX_EXPONENT:
        return int(value)
    number = float(value)
    if _Decimal(repr(number)) != value:
        raise ValueError("a float does not hold all digits of the number")
    return number


AwareDatetime = Annotated[
    pydantic.AwareDatetime,
    _Text(
        ("format", "date-time"),
        "an RFC 3339 date-time with an offset",
        _reader(
            f"{_DATE}[Tt]{_TIME}{_OFFSET}",
            f"{_ANY_DATE}[Tt]{_ANY_TIME}",
            dt.datetime.fromisoformat,
        ),
        _with_whole_minutes,
        checks_json=False,
        # pydantic reads more than RFC 3339 allows, so its text is matched first.
        quick=core_schema.chain_schema(
            [
                core_schema.str_schema(pattern=_QUICK_DATE_TIME, strict=True),
                core_schema.datetime_schema(strict=False),
            ]
        ),
    ),
]
"""`format: date-time`, a `datetime.datetime` with a time zone."""
date = Annotated[
    dt.date,
    _Text(
        ("format", "date"),
        "an RFC 3339 full-date",
        _reader(_DATE, _ANY_DATE, dt.date.fromisoformat),
    ),
]
"""`format: date`, a `datetime.date`."""
time = Annotated[
    dt.time,
    _Text(
        ("format", "time"),
        "an RFC 3339 time with an offset",
        _reader(_TIME + _OFFSET, _ANY_TIME, dt.time.fromisoformat),
        _with_whole_minutes,
        checks_json=False,
    ),
]
"""`format: time`, a `datetime.time` with a time zone."""
timedelta = Annotated[
    dt.timedelta,
    _Text(
        ("format", "duration"),
        "an RFC 3339 duration, such as PT1H30M",
        _read_duration,
        _writable,
        _write_duration,
    ),
]
"""`format: duration`, a `datetime.timedelta` of whole seconds that is not negative; its text has
days and smaller units, as years and months are no exact amounts of time."""
UUID = Annotated[uuid.UUID, _Text(("format", "uuid"), "an RFC 4122 UUID", _read_uuid)]
"""`format: uuid`, a `uuid.UUID`."""
IPv4Address = Annotated[
    ipaddress.IPv4Address,
    _Text(
        ("format", "ipv4"),
        "an IPv4 address",
        ipaddress.IPv4Address,
        write=str,
        kind=ipaddress.IPv4Address,
    ),
]
"""`format: ipv4`, an `ipaddress.IPv4Address`."""
IPv6Address = Annotated[
    ipaddress.IPv6Address,
    _Text(
        ("format", "ipv6"),
        "an IPv6 address without a zone id",
        _read_ipv6,
        _without_zone,
        str,
        ipaddress.IPv6Address,
    ),
]
"""`format: ipv6`, an `ipaddress.IPv6Address`."""
Base64 = Annotated[
    bytes,
    _Text(
        ("contentEncoding", "base64"),
        "base64 text (RFC 4648, with padding)",
        _read_base64,
        write=_write_base64,
    ),
]
"""`contentEncoding: base64`, `bytes`."""
Decimal = Annotated[_Decimal, _Digits()]
"""A number that keeps all of its digits, a `decimal.Decimal`; a JSON number on the wire."""


class IntEnum(enum.IntEnum):
    """The base class of enumerations whose members are integers in JSON.

    Models take the integers as well, also in Python; text, floats and booleans are refused.
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members = core_schema.enum_schema(cls, list(cls), sub_type="int", strict=True)
        return core_schema.no_info_before_validator_function(cls._member, members)

    @classmethod
    def _member(cls, given: object) -> object:
        if isinstance(given, cls):
            return given
        if type(given) is int and given in set(cls):
            return cls(given)
        values = ", ".join(str(each.value) for each in cls)
        raise PydanticCustomError("enum", "Input should be one of {values}", {"values": values})
