"""Date-times that are read without a call of Python are read as all others are."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from pydantic_core import to_json

from weenats.codec.parts import Decoder
from weenats.codec.quick_texts import with_quick_texts
from weenats.codec.reader import Reader
from weenats.codec.validators import adapter
from weenats.codec.validators import quick as quick_schema
from weenats.codec.violations import SchemaError
from weenats.formats import AwareDatetime
from weenats.model import OMIT_NONE, Model


class Stop(Model):
    """A model with date-times in several places."""

    at: AwareDatetime
    until: Annotated[AwareDatetime | None, OMIT_NONE] = None
    seen: list[AwareDatetime] = Field(default_factory=list)
    either: AwareDatetime | str = ""
    count: int = 0


class Trip(Model):
    """A model that refers to itself."""

    first: Stop
    rest: list[Trip] = Field(default_factory=list)


class Timetable(Model):
    """A model with date-times whose names it does not know."""

    stops: dict[str, AwareDatetime]


READER, DECODER = Reader(Stop), Decoder(Stop, Stop)
MANY = 20_000
USUAL, UNUSUAL = "2026-03-01T09:30:00Z", "2026-03-01t09:30:00z"
PIECES = st.sampled_from(
    [*"0123456789TtZz:.+- _", "2026-03-01", "T09:30:00", "Z", "+01:30", ".125", "-00:00", ":60"]
)


def exact(data: bytes) -> Stop | None:
    """Return what the model itself reads, None when it refuses it."""
    try:
        return Stop.model_validate_json(data, by_name=False)
    except ValidationError:
        return None


def quick(data: bytes) -> Stop | None:
    """Return what the decoder reads, None when it refuses it."""
    try:
        stop: Stop = DECODER.decode(data)
    except ValueError:
        return None
    return stop


@given(st.lists(PIECES, max_size=9).map("".join))
@example("2026-03-01T09:30:00Z")
@example("2026-03-01t09:30:00z")
@example("2026-03-01T09:30:00.123456-23:59")
@example("2026-03-01T09:30:00.1234567Z")
@example("2026-03-01T09:30:00.1234560Z")
@example("2026-03-01T24:00:00Z")
@example("2026-03-01T23:59:60Z")
@example("2026-02-30T09:30:00Z")
@example("0000-03-01T09:30:00Z")
@example("2026-03-01T09:30:00+24:00")
@example("2026-03-01 09:30:00Z")
@example("2026-03-01T09:30Z")
@example("2026-03-01T09:30:00")
@example("2026-03-01T09:30:00Z\n")
@example("1772357400")
@example("")
def test_any_text_is_read_as_by_the_model(text: str) -> None:
    """The quick way accepts the same date-times, and they are the same moments."""
    for body in ({"at": text}, {"at": "2026-03-01T09:30:00Z", "until": text, "seen": [text]}):
        data = to_json(body)
        assert quick(data) == exact(data)


def test_most_date_times_are_read_quickly() -> None:
    """What programs write is not read a second time, by the model."""
    for text in ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00.5Z", "2026-03-01T09:30:00+01:30"):
        stop = READER.read(to_json({"at": text, "until": text, "seen": [text]}))
        moment = dt.datetime.fromisoformat(text)
        assert (stop.at, stop.until, stop.seen) == (moment, moment, [moment])
        assert stop.at.utcoffset() == moment.utcoffset()
    with pytest.raises(ValueError, match=r"^$"):
        READER.read(b'{"at":"2026-03-01t09:30:00z"}')  # valid, and read by `decode`
    assert DECODER.decode(b'{"at":"2026-03-01t09:30:00z"}').at.year == 2026


@pytest.mark.parametrize("model", [Stop, Timetable])
def test_date_times_of_large_messages_are_read_quickly(model: type[Model]) -> None:
    """Messages of many values are read as small ones, also with date-times of other forms."""
    for texts in ([USUAL] * MANY, [USUAL] * MANY + [UNUSUAL], [USUAL] * MANY + ["soon"]):
        named = {str(number): text for number, text in enumerate(texts)}
        data = to_json({"at": USUAL, "seen": texts} if model is Stop else {"stops": named})
        reader = Reader(model)
        if texts[-1] == USUAL:
            assert reader.read(data) == model.model_validate_json(data, by_name=False)
            continue
        with pytest.raises(ValueError, match=r"^$"):
            reader.read(data)
        if texts[-1] == UNUSUAL:
            assert reader.decode(data) == model.model_validate_json(data, by_name=False)
            continue
        with pytest.raises(SchemaError, match="too many values"):
            reader.decode(data)


def test_unchanged_parts_are_shared() -> None:
    """A validator, which keeps its schema, holds copies only of what differs from the model's."""

    def fields(schema: Any) -> dict[str, Any]:
        found: dict[str, Any] = schema["schema"]["fields"]
        return found

    own = adapter(Stop).core_schema
    changed = fields(quick_schema(with_quick_texts(own)))
    assert {name for name, each in fields(own).items() if changed[name] is not each} == {
        "at",
        "until",
        "seen",
    }


def test_unions_choose_as_the_model_does() -> None:
    """A text that may be a date-time or a string becomes what the model makes of it."""
    for text in ("2026-03-01T09:30:00Z", "soon"):
        data = to_json({"at": "2026-03-01T09:30:00Z", "either": text})
        read, expected = READER.read(data), exact(data)
        assert expected is not None
        assert type(read.either) is type(expected.either)
        assert read == expected


@pytest.mark.parametrize(
    "members",
    [{"at": 1772357400}, {"at": 1772357400.5}, {"at": None}, {"at": True}, {"at": "1772357400"},
     {"until": None}, {"count": "1"}, {"count": 1.5}, {"count": True}, {"seen": {}}],
)  # fmt: skip
def test_nothing_else_is_converted(members: dict[str, Any]) -> None:
    """Numbers are no date-times, and all other members are as strict as without date-times."""
    data = to_json({"at": "2026-03-01T09:30:00Z", **members})
    with pytest.raises(ValueError, match=r"^$"):
        READER.read(data)
    assert quick(data) is exact(data) is None


def test_models_that_refer_to_themselves_are_read() -> None:
    """A recursive model is read quickly, and strictly at each depth."""
    reader = Reader(Trip)
    inner = {"first": {"at": "2026-03-01T09:30:00Z", "count": 1}}
    trip = reader.read(to_json({**inner, "rest": [{**inner, "rest": [inner]}]}))
    assert trip == Trip.model_validate_json(trip.model_dump_json(), by_name=False)
    with pytest.raises(ValueError, match=r"^$"):
        reader.read(to_json({**inner, "rest": [{"first": {**inner["first"], "count": "1"}}]}))


def test_schemas_without_date_times_are_left_alone() -> None:
    """Their validators use those of their models, which are built already."""
    assert with_quick_texts(adapter(list[str]).core_schema) is None
    assert with_quick_texts(adapter(Stop).core_schema) is not None
