"""Format types read and write the text of their RFC."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import uuid
from decimal import Decimal
from typing import Any, Literal

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from weenats import formats
from weenats.model import Model


class Formats(Model):
    """A model with a value of each format."""

    moment: formats.AwareDatetime | None = None
    day: formats.date | None = None
    clock: formats.time | None = None
    span: formats.timedelta | None = None
    id: formats.UUID | None = None
    v4: formats.IPv4Address | None = None
    v6: formats.IPv6Address | None = None
    data: formats.Base64 | None = None
    days: list[formats.date | formats.timedelta] | None = None


ADAPTER = TypeAdapter(Formats)
JSON_SCHEMAS = {
    "moment": {"format": "date-time"},
    "day": {"format": "date"},
    "clock": {"format": "time"},
    "span": {"format": "duration"},
    "id": {"format": "uuid"},
    "v4": {"format": "ipv4"},
    "v6": {"format": "ipv6"},
    "data": {"contentEncoding": "base64"},
}
ID = "6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11"

GOOD = {
    "moment": ["2026-12-01T10:00:00Z", "2026-12-01t10:00:00.5z", "2026-12-01T10:00:00-01:30"],
    "day": ["2026-12-01", "2024-02-29"],
    "clock": ["10:00:00Z", "10:00:00.25z", "10:00:00.1234560Z", "10:00:00+01:00"],
    "span": ["PT1H30M", "P1D", "P2W", "PT0S", "P1DT1S", "PT1H0M1S", "PT36H", "P400D"],
    "id": [ID, ID.upper()],
    "v4": ["1.2.3.4", "255.255.255.255"],
    "v6": ["::1", "::FFFF:1.2.3.4", "1:2:3:4:5:6:7::"],
    "data": ["", "AA==", "+/8="],
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
    "clock": [
        *("10:00", "36000", 36000, "25:00:00Z", "10:00:00 Z", "T10:00:00Z"),
        *("10:00:00", "10:00:00+24:00", "10:00:00+10:75"),
    ],
    "span": [
        *("1 day, 00:00:05", "00:01:00", "5", 5, "P", "PT", "P1DT", "p1d", "1 day", "P1D\n"),
        *("-P1D", "PT0.5S", "PT1H1S", "P1W1D", "PT1S1M", "P1D1W", "P\u0661D"),
    ],
    "id": [
        *(ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", ID[:-1], f"{ID}\n", 7),
        f"+{ID[1:]}",
    ],
    "v4": ["01.2.3.4", "1.2.3", "1.2.3.4\n", "256.0.0.0", "\u0661.2.3.4", 16909060],
    "v6": ["fe80::1%eth0", "1::2::3", "::01.2.3.4", "12345::", " ::1", 1],
    "data": ["A", "AA", "AA=", "AB==", "AA==\n", "_-8=", "A A=", 7],
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
        "Input should be an RFC 3339 duration, such as PT1H30M",
    ]


NOT_HELD = {
    "moment": [
        *("2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2026-12-01T10:00:00.1234567Z"),
        "2016-12-31T22:59:60.5-01:00",
    ],
    "day": ["0000-01-01"],
    "clock": ["23:59:60Z", "10:00:00.1234567Z"],
    "span": ["P1Y", "P1M", "P1Y2M3DT4H5M6S", "P1MT1S", "P1000000000D", f"P{'9' * 5000}W"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(n, text) for n, all_ in NOT_HELD.items() for text in all_]
)
def test_texts_that_python_cannot_hold_are_refused(name: str, text: str) -> None:
    """The error of a valid text says what Python lacks, and how a contract keeps the text."""
    assert jsonschema_rs.is_valid(JSON_SCHEMAS[name], text, validate_formats=True)
    with pytest.raises(ValidationError, match="x-python-type: str") as refused:
        ADAPTER.validate_json(json.dumps({name: text}))
    assert [each["type"] for each in refused.value.errors()] == ["not_held_in_python"]


@pytest.mark.parametrize("name", GOOD)
def test_models_take_text_in_python(name: str) -> None:
    """FastAPI passes request bodies as Python values, in which formats are text; as strictly."""
    text = GOOD[name][0]
    assert Formats.model_validate({name: text}) == ADAPTER.validate_json(json.dumps({name: text}))
    for bad in BAD[name]:
        with pytest.raises(ValidationError):
            Formats.model_validate({name: bad})


@given(st.data())
def test_texts_are_judged_as_json_schema_does(data: st.DataObject) -> None:
    """A text is valid if jsonschema-rs says so, unless Python cannot hold it."""
    name = data.draw(st.sampled_from([each for each in GOOD if each != "data"]))
    text = data.draw(st.sampled_from(GOOD[name] + NOT_HELD.get(name, []) + BAD[name]).map(str))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 2, len(text))))
    text = (
        text[:start]
        + data.draw(st.text("0123456789TZz:-+.PDWYMHSaf% \n\u0661", max_size=2))
        + text[end:]
    )
    if not jsonschema_rs.is_valid(JSON_SCHEMAS[name], text, validate_formats=True):
        with pytest.raises(ValidationError):
            ADAPTER.validate_json(json.dumps({name: text}))
        return
    try:
        value = ADAPTER.validate_json(json.dumps({name: text}))
    except ValidationError as error:
        types = [each["type"] for each in error.errors()]
    else:
        types = []
    assert types in ([], ["not_held_in_python"])
    if types:
        return
    written = json.loads(value.model_dump_json(exclude_none=True))[name]
    assert jsonschema_rs.is_valid(JSON_SCHEMAS[name], written, validate_formats=True)
    assert ADAPTER.validate_json(json.dumps({name: written})) == value


@pytest.mark.parametrize(
    "values",
    [
        {"span": dt.timedelta(seconds=-1)},
        {"span": dt.timedelta(microseconds=1)},
        {"clock": dt.time(10)},
        {"clock": dt.time(10, tzinfo=dt.timezone(dt.timedelta(seconds=1)))},
        {"moment": dt.datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is wrong
        {"moment": dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=1)))},
        {"v6": ipaddress.IPv6Address("fe80::1%eth0")},
        {"v4": ipaddress.IPv6Address("::1")},
    ],
)
def test_values_without_text_are_refused(values: dict[str, Any]) -> None:
    """A value that has no text of its format is refused when a model is made of it."""
    with pytest.raises(ValidationError):
        Formats(**values)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("number", ["-5", "1.5"])
def test_json_numbers_are_checked_like_values(number: str, *, strict: bool) -> None:
    """A number in JSON never becomes a duration that has no text, even without strict types."""
    with pytest.raises(ValidationError):
        Formats.model_validate_json(f'{{"span": {number}}}', strict=strict)


def test_durations_are_written_in_days() -> None:
    """No text of a duration has years or months."""
    for value, text in (
        (dt.timedelta(days=400, hours=1), "P400DT1H"),
        (dt.timedelta(), "PT0S"),
        (dt.timedelta(hours=1, seconds=1), "PT1H0M1S"),
        (dt.timedelta(weeks=2), "P14D"),
    ):
        assert json.loads(Formats(span=value).model_dump_json(exclude_none=True))["span"] == text
        assert ADAPTER.validate_json(json.dumps({"span": text})).span == value
    wrong = Formats.model_construct(span=dt.timedelta(seconds=-1))
    with pytest.raises(PydanticSerializationError, match="not negative"):
        wrong.model_dump_json()


class Level(formats.IntEnum):
    """An enumeration of integers."""

    LOW = 1
    HIGH = 3


class Levels(Model):
    """A model with an enumeration."""

    level: Level
    levels: dict[str, Level]


def test_integer_enumerations_are_integers_in_json() -> None:
    """JSON and Python integers become members, nothing else does."""
    levels = Levels(level=Level.LOW, levels={"a": Level.HIGH})
    text = '{"level":1,"levels":{"a":3}}'
    assert levels.model_dump_json() == text
    read = Levels.model_validate_json(text)
    assert read == levels == Levels.model_validate(json.loads(text))
    assert type(read.level) is Level
    for wrong in (2, "1", 1.5, True, None):
        with pytest.raises(ValidationError):
            Levels.model_validate_json(json.dumps({"level": wrong, "levels": {}}))
        with pytest.raises(ValidationError):
            Levels.model_validate({"level": wrong, "levels": {}})
    schema = Levels.model_json_schema()["properties"]["level"]
    assert (schema["type"], schema["enum"]) == ("integer", [1, 3])


class Amount(Model):
    """A model with a decimal number."""

    value: formats.Decimal


def test_decimals_are_json_numbers() -> None:
    """JSON numbers become decimals; what a float does not hold is not written silently."""
    for text in ("0.1", "5", "-2.5e-7", "12345678901234567890"):
        amount = Amount.model_validate_json(f'{{"value":{text}}}')
        assert (
            amount
            == Amount(value=Decimal(text))
            == Amount.model_validate(json.loads(f'{{"value":{text}}}'))
        )
        assert json.loads(amount.model_dump_json())["value"] == json.loads(text)
        assert amount.model_dump()["value"] == Decimal(text)
    for text in ('"0.1"', "true", "null", "NaN", "1e400"):
        with pytest.raises(ValidationError):
            Amount.model_validate_json(f'{{"value":{text}}}')
    with pytest.raises(PydanticSerializationError, match="a float does not hold"):
        Amount(value=Decimal("0.12345678901234567890")).model_dump_json()
    for mode in ("validation", "serialization"):
        schema = Amount.model_json_schema(mode=mode)["properties"]["value"]
        assert schema == {"type": "number", "format": "decimal", "title": "Value"}


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda n: dt.timezone(dt.timedelta(minutes=n)))
SPANS = st.integers(0, 10**9).map(lambda seconds: dt.timedelta(seconds=seconds))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "moment": st.datetimes(timezones=OFFSETS),
    "day": st.dates(),
    "clock": st.times(timezones=OFFSETS),
    "span": SPANS,
    "id": st.uuids(),
    "v4": st.ip_addresses(v=4),
    "v6": st.ip_addresses(v=6),
    "data": st.binary(),
    "days": st.lists(st.dates() | SPANS),
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
    for name, expected in JSON_SCHEMAS.items():
        assert properties[name]["anyOf"][0] == {"type": "string", **expected}


@pytest.mark.parametrize("name", [each for each in formats.__all__ if each != "IntEnum"])
@pytest.mark.parametrize("value", [12, 1.5, True, None, {"a": [1]}, [1, "x"]])
def test_other_values_of_unions_are_written_as_they_are(name: str, value: Any) -> None:
    """Beside another type in a union, a format writes only the values that are its own."""
    kind: Any = getattr(formats, name) | dict[str, Any] | list[Any] | int | float | bool | None
    adapter = TypeAdapter(kind)
    text = json.dumps(value)
    assert json.loads(adapter.dump_json(adapter.validate_json(text, strict=True))) == value
