"""Format types read and write the text of their RFC."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from weenats import formats
from weenats.model import Model


class Formats(Model):
    """A model with a value of each format."""

    moment: formats.AwareDatetime | None = None
    day: formats.date | None = None
    clock: formats.time | None = None
    span: formats.timedelta | None = None
    id: formats.UUID | None = None
    days: list[formats.date | formats.timedelta] | None = None


ADAPTER = TypeAdapter(Formats)
JSON_SCHEMA_FORMATS = {
    "moment": "date-time",
    "day": "date",
    "clock": "time",
    "span": "duration",
    "id": "uuid",
}
ID = "6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11"

GOOD = {
    "moment": ["2026-12-01T10:00:00Z", "2026-12-01t10:00:00.5z", "2026-12-01T10:00:00-01:30"],
    "day": ["2026-12-01", "2024-02-29"],
    "clock": ["10:00:00", "10:00:00.25", "10:00:00Z", "10:00:00+01:00"],
    "span": ["PT1H30M", "P1D", "P2W", "-PT0.5S", "P1DT1S"],
    "id": [ID, ID.upper()],
}
BAD = {
    "moment": [
        *("0", "1796119200", 0, 1.5, "2026-12-01", "2026-12-01T10:00:00"),
        *("2026-12-01 10:00:00Z", "2026-12-01_10:00:00Z", "2026-12-01T10:00Z"),
        *("2026-12-01T10:00:00+0100", "2026-12-01T10:00:00+01", "2026-13-01T10:00:00Z"),
        *("2026-12-01T10:00:00Z\n", " 2026-12-01T10:00:00Z", "\uff12026-12-01T10:00:00Z"),
        *("2026-02-30T10:00:00Z", "2026-12-01T25:00:00Z", "2026-12-01T10:00:00+99:00"),
    ],
    "day": ["0", "86400", 0, "2026-12-1", "2026-02-30", "2026-12-01T00:00:00Z", "20261201"],
    "clock": ["10:00", "36000", 36000, "25:00:00", "10:00:00 Z", "T10:00:00"],
    "span": ["1 day, 00:00:05", "00:01:00", "5", 5, "P", "PT", "p1d", "1 day", "P1D\n"],
    "id": [ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", ID[:-1], f"{ID}\n", 7],
}


@pytest.mark.parametrize(("name", "text"), [(n, text) for n, all_ in GOOD.items() for text in all_])
def test_valid_texts_are_parsed(name: str, text: str) -> None:
    """Valid texts are parsed and survive a round trip."""
    value = ADAPTER.validate_json(json.dumps({name: text}))
    assert getattr(value, name) is not None
    assert ADAPTER.validate_json(value.model_dump_json(), strict=True) == value


@pytest.mark.parametrize(("name", "text"), [(n, text) for n, all_ in BAD.items() for text in all_])
def test_invalid_texts_are_rejected(name: str, text: object) -> None:
    """Numbers, other spellings, other digits and impossible dates are rejected."""
    with pytest.raises(ValidationError) as refused:
        ADAPTER.validate_json(json.dumps({name: text}))
    assert {fault["loc"][0] for fault in refused.value.errors()} == {name}


def test_error_message_names_the_format() -> None:
    """The message names the format instead of a pattern."""
    with pytest.raises(ValidationError) as refused:
        ADAPTER.validate_json('{"moment": "0", "span": "5"}')
    assert [fault["msg"] for fault in refused.value.errors()] == [
        "Input should be an RFC 3339 date-time with an offset",
        "Input should be an ISO 8601 duration, such as PT1H30M",
    ]


@pytest.mark.parametrize("name", GOOD)
def test_text_is_rejected_in_python(name: str) -> None:
    """Models are strict: in Python a date must be a date, not text."""
    with pytest.raises(ValidationError):
        Formats(**{name: GOOD[name][0]})


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "moment": st.datetimes(timezones=OFFSETS),
    "day": st.dates(),
    "clock": st.times(timezones=st.none() | OFFSETS),
    "span": st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
    "id": st.uuids(),
    "days": st.lists(st.dates() | st.timedeltas(dt.timedelta(days=-99), dt.timedelta(days=99))),
}


@given(st.fixed_dictionaries(VALUES))
def test_values_survive_a_json_round_trip(values: dict[str, Any]) -> None:
    """Any value that is written is read back unchanged."""
    written = Formats(**values)
    assert isinstance(written.id, uuid.UUID)
    assert ADAPTER.validate_json(written.model_dump_json()) == written


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_json_schema_has_the_format(mode: Literal["validation", "serialization"]) -> None:
    """The JSON Schema of a model, which FastAPI publishes, has the format of each member."""
    properties = Formats.model_json_schema(mode=mode)["properties"]
    for name, expected in JSON_SCHEMA_FORMATS.items():
        assert properties[name]["anyOf"][0] == {"type": "string", "format": expected}
