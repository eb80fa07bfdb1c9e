"""Requests as they come: garbage, attacks, and payloads that break the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import FIND, FORGET, GET, RUN, Run
from testkit.wire import METADATA, dump, request
from weenats.codec import OperationCodec
from weenats.errors import InvalidArgumentError

RUNS, FORGETS, GETS, FINDS = (OperationCodec(each) for each in (RUN, FORGET, GET, FIND))
EMPTY = {"type": "jwt", "token": ""}
HEAD = b'{"aggregateId":{"type":"thing","key":"a"},"command":{"action":"go"}'


def violations(error: Any) -> list[dict[str, str]]:
    """Return what a refusal says is wrong, and hold it to its shape."""
    assert isinstance(error, InvalidArgumentError)
    found: list[dict[str, str]] = error.details["violations"]
    assert found
    assert all(set(each) == {"pointer", "message"} for each in found)
    return found


def refusal(codec: OperationCodec, data: bytes) -> list[dict[str, str]]:
    """Return the violations with which an envelope is refused."""
    with pytest.raises(InvalidArgumentError, match="the request envelope is invalid") as refused:
        codec.decode_request(data)
    return violations(refused.value)


@given(st.binary(max_size=300) | st.text(max_size=100).map(dump))
@example(b"")
@example(b"null")
@example(b"\xef\xbb\xbf{}")
@example(HEAD)
@example(b"\x00" * 50)
def test_garbage_is_an_invalid_argument(data: bytes) -> None:
    """Whatever bytes come, no other exception leaves the codec of any operation."""
    for codec in (RUNS, FORGETS, GETS, FINDS):
        refusal(codec, data)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_request_is_read_or_refused(position: int, byte: int) -> None:
    """One wrong byte anywhere never raises anything but InvalidArgumentError."""
    data = bytearray(RUNS.encode_request(make_context()))
    data[position % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: position % len(data)])):
        try:
            RUNS.decode_request(damaged)
        except InvalidArgumentError as error:
            violations(error)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256))
def test_keys_and_payloads_arrive_as_they_were(text: str) -> None:
    """Any key and any text in a payload are read as they were written."""
    sent = make_context(key=text, payload=Run(action=text, amount=0.1, retry_count=3))
    received = RUNS.decode_request(RUNS.encode_request(sent))
    assert (received.key, received.payload, received.payload_error) == (text, sent.payload, None)
    assert received.metadata is not None
    assert received.metadata["messageId"] == sent.message_id


@pytest.mark.parametrize(
    "key", ["", "a" * 257, "a\n", "\x00", "\x7f", "\x85", 5, None, ["a"], {"a": 1}]
)
def test_keys_that_are_none_are_refused(key: Any) -> None:
    """Empty, too long, with control characters, or no text: the pointer names the key."""
    body = request(aggregateId={"type": "thing", "key": key})
    assert [each["pointer"] for each in refusal(RUNS, dump(body))] == ["/aggregateId/key"]


@pytest.mark.parametrize("kind", ["other", "Thing", "", None, 5])
def test_the_aggregate_must_be_that_of_the_contract(kind: Any) -> None:
    """A request for another type of aggregate is refused."""
    body = request(aggregateId={"type": kind, "key": "k"})
    assert [each["pointer"] for each in refusal(RUNS, dump(body))] == ["/aggregateId/type"]


@pytest.mark.parametrize(
    ("metadata", "pointer"),
    [
        ({}, "/metadata/messageId"),
        ({**METADATA, "messageId": METADATA["messageId"].lower()}, "/metadata/messageId"),
        ({**METADATA, "messageId": METADATA["messageId"] + "\n"}, "/metadata/messageId"),
        ({**METADATA, "timestamp": "2026-03-01T09:30:00Z"}, "/metadata/timestamp"),
        ({**METADATA, "timestamp": 1}, "/metadata/timestamp"),
        ({**METADATA, "correlation": {}}, "/metadata/correlation/correlationId"),
        ({**METADATA, "correlation": {"correlationId": ""}}, "/metadata/correlation/correlationId"),
        ({**METADATA, "correlation": None}, "/metadata/correlation"),
        ({**METADATA, "authentication": {"type": "x"}}, "/metadata/authentication/type"),
        ({**METADATA, "authentication": EMPTY}, "/metadata/authentication/token"),
        ({**METADATA, "context": []}, "/metadata/context"),
        ([], "/metadata"),
    ],
)  # fmt: skip
def test_a_bad_metadata_block_is_refused(metadata: Any, pointer: str) -> None:
    """The block may be absent; what is there must be right, and the pointer says what is not."""
    assert pointer in [each["pointer"] for each in refusal(RUNS, dump(request(metadata=metadata)))]


def test_only_what_is_needed_is_asked_for() -> None:
    """No metadata, no parameters for a plain query; unknown members of the envelope are ignored."""
    plain = GETS.decode_request(dump(request(command=None, later={"x": [1]}, query=5)))
    assert (plain.key, plain.payload, plain.metadata) == ("k-1", None, None)
    nested = request(
        aggregateId={"type": "thing", "key": "k", "tenant": 5},
        metadata={**METADATA, "later": 1, "correlation": {"correlationId": "c", "later": 1}},
    )
    assert RUNS.decode_request(dump(nested)).payload == Run(action="go")


@pytest.mark.parametrize(
    ("payload", "pointers"),
    [
        (5, ["/command"]),
        ([], ["/command"]),
        ({}, ["/command/action"]),
        ({"action": "", "amount": -1}, ["/command/action", "/command/amount"]),
        ({"action": "a", "amount": float("nan")}, ["/command/amount"]),
        ({"action": "a", "amount": float("inf")}, ["/command/amount"]),
        ({"action": "a", "amount": None}, ["/command/amount"]),
        ({"action": "a", "retryCount": "1"}, ["/command/retryCount"]),
        ({"action": "a", "retryCount": 1.5}, ["/command/retryCount"]),
    ],
)
def test_an_invalid_payload_is_kept_beside_a_valid_envelope(payload: Any, pointers: Any) -> None:
    """The caller can be judged first: key and metadata are there, the fault waits."""
    received = RUNS.decode_request(dump(request(command=payload, metadata=METADATA)))
    assert (received.key, received.payload) == ("k-1", None)
    assert received.metadata == METADATA
    assert [each["pointer"] for each in violations(received.payload_error)] == pointers
    with pytest.raises(InvalidArgumentError, match="the payload of run breaks the contract"):
        make_context(payload_error=received.payload_error).payload  # noqa: B018 - it is what raises


def test_a_bad_envelope_tells_nothing_of_the_payload() -> None:
    """When both are at fault, the refusal speaks of the envelope alone."""
    body = request(aggregateId={"type": "thing"}, command={"action": 5})
    assert [each["pointer"] for each in refusal(RUNS, dump(body))] == ["/aggregateId/key"]
    assert [each["pointer"] for each in refusal(RUNS, dump(request(command=None)))] == ["/command"]
    assert [each["pointer"] for each in refusal(FINDS, dump(request()))] == ["/query"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEAD + b',"command":{"action":"last"}}', ("a", "last")),
        (HEAD + b',"aggregateId":{"type":"thing","key":"last"}}', ("last", "go")),
        (HEAD.replace(b'"key":"a"', b'"key":5,"key":"last"') + b"}", ("last", "go")),
        (HEAD.replace(b'"action":"go"', b'"action":5,"action":"last"') + b"}", ("a", "last")),
        (HEAD.replace(b'"command"', b'"command":5,"command"') + b"}", ("a", "go")),
    ],
)
def test_of_a_repeated_member_the_last_holds(data: bytes, expected: tuple[str, str]) -> None:
    """One rule everywhere, so that no two readers of a request see different ones."""
    received = RUNS.decode_request(data)
    assert isinstance(received.payload, Run)
    assert (received.key, received.payload.action) == expected
    spoilt = RUNS.decode_request(data[:-1] + b',"command":{"action":5}}')
    assert (spoilt.key, spoilt.payload) == (expected[0], None)
    assert spoilt.payload_error is not None


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
@pytest.mark.parametrize("place", [b',"x":', b',"metadata":', b',"command":'])
def test_deep_nesting_is_refused(bracket: bytes, place: bytes) -> None:
    """A hundred thousand levels anywhere are refused, and no stack overflows."""
    refusal(RUNS, HEAD + place + bracket * 100_000)


def test_a_megabyte_is_read_or_refused() -> None:
    """Size alone is no fault; a megabyte of faults is told in twenty bounded violations."""
    long = "a" * 1_000_000
    large = RUNS.decode_request(dump(request(command={"action": long})))
    assert large.payload == Run(action=long)
    faulty = RUNS.decode_request(dump(request(command={long: 1, "action": 5})))
    assert len(str(violations(faulty.payload_error))) < 10_000
    refusal(RUNS, dump([0] * 300_000))


@pytest.mark.parametrize(
    "text", [rb"\ud800", rb"a\udfff", rb"\ud800\u0041", b"\xed\xa0\x80", b"\xff"]
)
def test_lone_surrogates_and_broken_bytes_are_refused(text: bytes) -> None:
    """Text that is no Unicode is no JSON here, in the key as anywhere else."""
    refusal(RUNS, HEAD.replace(b'"a"', b'"%b"' % text) + b"}")
    refusal(RUNS, HEAD + b',"x":"%b"}' % text)
