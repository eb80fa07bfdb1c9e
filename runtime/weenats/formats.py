"""Types of text that JSON Schema names by `format`: read as its RFCs write them, and no other way.

pydantic alone takes a number of seconds for a moment, blanks for the T, and more. Constructed in
Python they are what the standard library calls them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import pydantic
from pydantic_core import CoreSchema, SchemaValidator, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

__all__ = ["UUID", "AwareDatetime", "date", "time", "timedelta"]


@dataclass(frozen=True, slots=True)
class _Text:
    """How a value is written in JSON.

    Attributes:
        pattern: what its text matches.
        name: what a person calls it.
    """

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
        # Behind another step text is that of Python, which a strict validator refuses; so it is
        # read by one of its own, which no `strict=` of a call reaches.
        lax = {**cast("dict[str, Any]", value), "strict": False}
        validator = SchemaValidator(cast("CoreSchema", lax))
        read = core_schema.no_info_plain_validator_function(validator.validate_python)
        return core_schema.json_or_python_schema(core_schema.chain_schema([text, read]), value)


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
_OFFSET = r"[Zz]|[+-][0-9]{2}:[0-9]{2}"

AwareDatetime = Annotated[
    pydantic.AwareDatetime,
    _Text(f"{_DATE}[Tt]{_TIME}(?:{_OFFSET})", "a date-time of RFC 3339, with its offset"),
]
date = Annotated[dt.date, _Text(_DATE, "a full-date of RFC 3339")]
time = Annotated[
    dt.time, _Text(f"{_TIME}(?:{_OFFSET})?", "a time of RFC 3339, with an offset or without")
]
timedelta = Annotated[
    dt.timedelta, _Text(r"[+-]?P[0-9YMWDTHS.]+", "a duration of ISO 8601, such as PT1H30M")
]
UUID = Annotated[
    uuid.UUID,
    _Text(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID of RFC 4122"),
]
