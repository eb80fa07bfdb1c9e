"""Numbers that are too large for a float, at every place that a message may have them."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, JsonValue

from testkit.contexts import make_context
from testkit.parts import BOOK, BOOKED
from testkit.probe import RUN
from testkit.wire import METADATA, dump
from weenats import InternalError, InvalidArgumentError, Model, formats
from weenats.codec.events import EventCodec
from weenats.codec.json import has_large, has_overflow
from weenats.codec.operations import OperationCodec
from weenats.events import ReceivedEvent
from weenats.schema import JsonSchemas, Schema

SCHEMAS = JsonSchemas('{"$defs": {"Any": {"minProperties": 1}, "Text": {"not": {"type": "null"}}}}')
LARGE = (b"1e400", b"-1E+0309", b"12.5e999", b"9" * 300 + b"e99", b"9" * 309 + b".0")
NAMES = [text[:9].decode() for text in LARGE]


class Open(Model):
    """Has members of each kind, and any others."""

    model_config = ConfigDict(extra="allow")

    anything: JsonValue = None
    share: float | None = None
    count: int | None = None


class Closed(Model):
    """Has no member that may be anything."""

    share: float | None = None
    count: int | None = None


def codec_of(part: Any) -> OperationCodec:
    """Return the codec of an operation that takes and returns a part."""
    return OperationCodec(replace(RUN, payload=part, result=part))


CODECS = {
    "exact": codec_of(Open),
    "judged": codec_of(Schema[Open](Open, SCHEMAS["Any"])),
    "closed": codec_of(Closed),
    "any": codec_of(Schema[Any](JsonValue)),
    "judged any": codec_of(Schema[Any](JsonValue, SCHEMAS["Text"])),
}


def refused(codec: OperationCodec, payload: bytes) -> set[tuple[str, str]]:
    """Return where a payload is refused, however the request is written, and the keywords."""
    found: list[set[tuple[str, str]]] = []
    key = b'"aggregateId":{"type":"thing","key":"k"}'
    for data in (
        b'{%b,"command":%b,"metadata":%b}' % (key, payload, dump(METADATA)),
        b'{"command":%b,%b}' % (payload, key),
    ):
        with pytest.raises(InvalidArgumentError) as request:
            codec.decode_request(data).read_payload()
        found.append(places(request.value.details["violations"]))
    with pytest.raises(InternalError) as reply:
        codec.decode_response(b'{"success":true,"result":%b,"duration":1}' % payload)
    result = places(reply.value.details["violations"])
    found.append({(path.replace("/result", "/command", 1), word) for path, word in result})
    assert found[0] == found[1] == found[2]
    return found[0]


def places(violations: list[dict[str, str]]) -> set[tuple[str, str]]:
    """Return the pointers and keywords of violations."""
    return {(each["pointer"], each["keyword"]) for each in violations}


@pytest.mark.parametrize("number", LARGE, ids=NAMES)
@pytest.mark.parametrize(
    ("kind", "member"),
    [
        *product(("exact", "judged"), ("anything", "share", "count", "other")),
        *product(("closed",), ("share", "count")),
    ],
)
def test_large_numbers_of_members_are_refused(kind: str, member: str, number: bytes) -> None:
    """They are refused with their pointer, whatever the member takes, and never become null."""
    payload = b'{"%b":%b}' % (member.encode(), number)
    assert refused(CODECS[kind], payload) == {(f"/command/{member}", "type")}
    if member in {"anything", "other"}:
        beside = b'{"count":1.0,' + payload[1:]
        assert refused(CODECS[kind], beside) == {(f"/command/{member}", "type")}


@pytest.mark.parametrize("number", LARGE, ids=NAMES)
@pytest.mark.parametrize("kind", ["any", "judged any"])
def test_large_numbers_in_any_value_are_refused(kind: str, number: bytes) -> None:
    """They are refused inside values of any type, and as such a value."""
    assert refused(CODECS[kind], number) == {("/command", "type")}
    nested = b'{"a":[1,{"b":%b}],"c":-%b}' % (number, number.strip(b"-"))
    assert refused(CODECS[kind], nested) == {("/command/a/1/b", "type"), ("/command/c", "type")}


@pytest.mark.parametrize("text", [b"1e400", b"-1e400", b"-15E+999"])
def test_decimals_beyond_floats_are_kept(text: bytes) -> None:
    """A decimal may be of any size, above zero and below."""
    schemas = JsonSchemas('{"$defs": {"It": {"multipleOf": 0.5}}}')
    codec = codec_of(Schema[Any](dict[str, JsonValue] | formats.Decimal, schemas["It"]))
    data = b'{"aggregateId":{"type":"thing","key":"k"},"command":%b}' % text
    value = codec.decode_request(data).read_payload()
    assert value == Decimal(text.decode())
    sent = codec.encode_request(make_context(payload=value, operation=codec.operation))
    assert codec.decode_request(sent).read_payload() == value


def test_decimals_are_kept_beside_refused_numbers() -> None:
    """A decimal may be of any size; a number of any other member of the same object may not."""
    books = OperationCodec(BOOK)
    head = b'{"aggregateId":{"type":"part","key":"k"},"command":{"price":1e400,"kind":"flight"'
    booking: Any = books.decode_request(head + b"}}").read_payload()
    assert booking.price == Decimal("1e400")
    with pytest.raises(InvalidArgumentError) as request:
        books.decode_request(head + b',"anything":[0,1e400]}}').read_payload()
    assert places(request.value.details["violations"]) == {("/command/anything/1", "type")}


def test_large_numbers_of_events_and_contexts_are_refused() -> None:
    """They are refused in the data of events and in the context of a request."""
    event = EventCodec(replace(BOOKED, data=Open))
    data = event.encode("k", Open(anything=[1]), 1, make_context())
    assert ReceivedEvent[Open](event.decode(data), {}).data.anything == [1]
    with pytest.raises(InvalidArgumentError) as notification:
        event.decode(data.replace(b"[1]", b"[1e400]"))
    assert places(notification.value.details["violations"]) == {("/data/anything/0", "type")}
    sent = CODECS["closed"].encode_request(
        make_context(payload=Closed(), metadata_context={"x": [12]})
    )
    for request in (sent, b" " + sent):
        received = CODECS["closed"].decode_request(request.replace(b"[12]", b"[1e400]"))
        with pytest.raises(InvalidArgumentError) as context:
            received.read_context()
        expected = {("/metadata/context/x/0", "type")}
        assert places(context.value.details["violations"]) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"1e308", b"1e-400", b"9" * 400, b"9" * 300 + b".5", b'"1e400"', b'["x 1e400"]',
        b'"4e512aa0-7e400"', b'{"1e400":1}',
    ],
)  # fmt: skip
def test_other_texts_are_accepted(text: bytes) -> None:
    """Integers of any size, texts and numbers within the range of floats are accepted."""
    codec = CODECS["any"]
    data = b'{"aggregateId":{"type":"thing","key":"k"},"command":%b}' % text
    value = codec.decode_request(data).read_payload()
    sent = codec.encode_request(make_context(payload=value, operation=codec.operation))
    assert codec.decode_request(sent).read_payload() == value


def test_search_for_large_numbers_is_linear() -> None:
    """Long runs of digits are looked at once."""
    digits = b"9" * 199 + b"a"
    text = b'[1e0,"' + digits * 5_000 + b'",' + b"9" * 300 + b"]"
    assert has_overflow(text)  # as many digits as a large number
    assert not has_overflow(text.replace(b"9" * 300, b'"%b"' % (b"9" * 300)))
    assert not has_large(text)
    assert has_large(text.replace(b"1e0", b"1e16"))


@given(
    st.from_regex(rb"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from([b"%b", b"[%b]", b'{"a":%b}', b'{"a": [1,%b]}', b"[0,\n%b,2]"]),
)
def test_large_floats_are_found(number: bytes, place: bytes) -> None:
    """None of 2^53 and more is missed, and integers without exponent are none."""
    if abs(float(number)) >= 2**53 and re.search(rb"[.eE]", number):
        assert has_large(place % number)
    elif not re.search(rb"[.eE]", number):
        assert not has_large(place % number)


@pytest.mark.parametrize(
    "text", [b"1e23", b"1" + b"0" * 23, b"1.0E+23", b"1" + b"0" * 25 + b"e-2", b"1000000000e14"]
)
def test_large_integers_are_judged_exactly(text: bytes) -> None:
    """A judge sees the integer that a large number is, however it is written."""
    schemas = JsonSchemas('{"$defs": {"Large": {"const": 100000000000000000000000}}}')
    codec = codec_of(Schema[int](int, schemas["Large"]))
    data = b'{"aggregateId":{"type":"thing","key":"k"},"command":%b}'
    assert codec.decode_request(data % text).read_payload() == 10**23
    for other in (b"99999999999999999999999.0", b"99999999999999991611392", b"1e22"):
        with pytest.raises(InvalidArgumentError):
            codec.decode_request(data % other).read_payload()


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ('{"uniqueItems":true}', b"[1e23,1e22]", b"[1e23,100000000000000000000000]"),
        ('{"enum":[[90071992547409930],"a"]}', b"[9.007199254740993e16]", b"[90071992547409931.0]"),
        ('{"maximum":9007199254740993}', b"9007199254740993.0", b"9007199254740993.5"),
        ('{"exclusiveMinimum":9007199254740993}', b"9007199254740993.5", b"9007199254740993.0"),
        ('{"not":{"type":"integer"}}', b"9007199254740993.5", b"9007199254740993.0"),
        ('{"multipleOf":7}', b"7e30", b"1e30"),
    ],
)
def test_large_numbers_have_all_their_digits(schema: str, valid: bytes, invalid: bytes) -> None:
    """Each keyword compares them by their values, of which a float would lose digits."""
    schemas = JsonSchemas(f'{{"$defs": {{"It": {schema}}}}}')
    codec = codec_of(Schema[Any](JsonValue, schemas["It"]))
    data = b'{"aggregateId":{"type":"thing","key":"k"},"command":%b}'
    codec.decode_request(data % valid).read_payload()
    with pytest.raises(InvalidArgumentError):
        codec.decode_request(data % invalid).read_payload()
