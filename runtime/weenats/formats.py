"""Types for strings with a JSON Schema `format`: dates, times, durations and UUIDs.

JSON is parsed strictly, by the RFCs that JSON Schema refers to; pydantic's own types accept
more, such as a number of seconds for a date-time. In Python the values have the types of the
standard library.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, cast

import pydantic
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema

__all__ = ["UUID", "AwareDatetime", "date", "time", "timedelta"]


@dataclass(frozen=True, slots=True)
class _Text:
    """The JSON text of a type.

    Attributes:
        format: the `format` of the type in JSON Schema.
        pattern: regular expression that the text must match.
        name: its name in error messages, with an article.
    """

    format: str
    pattern: str
    name: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        value = handler(source)
        text = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=f"^(?:{self.pattern})$", strict=True),
            custom_error_type="text_format",
            custom_error_message=f"Input should be {self.name}",
        )
        # The second step of a chain gets a Python string, which a strict validator refuses. So it
        # is a separate, lax validator, which is not affected by `strict=` of a call.
        lax = {**cast("dict[str, Any]", value), "strict": False}
        validator = SchemaValidator(cast("CoreSchema", lax))
        read = core_schema.no_info_plain_validator_function(validator.validate_python)
        return core_schema.json_or_python_schema(core_schema.chain_schema([text, read]), value)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": self.format}


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_OFFSET = r"[Zz]|[+-][0-9]{2}:[0-9]{2}"

AwareDatetime = Annotated[
    pydantic.AwareDatetime,
    _Text("date-time", f"{_DATE}[Tt]{_TIME}(?:{_OFFSET})", "an RFC 3339 date-time with an offset"),
]
"""`format: date-time`, a `datetime.datetime` with a time zone."""
date = Annotated[dt.date, _Text("date", _DATE, "an RFC 3339 full-date")]
"""`format: date`, a `datetime.date`."""
time = Annotated[
    dt.time, _Text("time", f"{_TIME}(?:{_OFFSET})?", "an RFC 3339 time, with or without an offset")
]
"""`format: time`, a `datetime.time`."""
timedelta = Annotated[
    dt.timedelta,
    _Text("duration", r"[+-]?P[0-9YMWDTHS.]+", "an ISO 8601 duration, such as PT1H30M"),
]
"""`format: duration`, a `datetime.timedelta`."""
UUID = Annotated[
    uuid.UUID,
    _Text("uuid", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "an RFC 4122 UUID"),
]
"""`format: uuid`, a `uuid.UUID`."""
