"""Decoding of requests: garbage, attacks, and invalid payloads."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import FIND, FORGET, GET, RUN, Run
from testkit.properties import examples
from testkit.wire import METADATA, NESTED, dump, no_objects, request
from weenats.codec.operations import OperationCodec
from weenats.errors import InvalidArgumentError

RUNS, FORGETS, GETS, FINDS = (OperationCodec(each) for each in (RUN, FORGET, GET, FIND))
EMPTY = {"type": "jwt", "token": ""}
HEAD = b'{"aggregateId":{"type":"thing","key":"a"},"command":{"action":"go"}'


def violations(error: Any) -> list[dict[str, str]]:
    """Return the violations of an error, and check their shape."""
    assert isinstance(error, InvalidArgumentError)
    found: list[dict[str, str]] = error.details["violations"]
    assert found
    assert all({"pointer", "message"} <= each.keys() for each in found)
    assert all(each.keys() <= {"pointer", "keyword", "message"} for each in found)
    return found


def payload_violations(codec: OperationCodec, data: bytes) -> list[dict[str, str]]:
    """Return the violations of an invalid payload, which are the same at each reading."""
    received = codec.decode_request(data)
    assert received.error is None
    with pytest.raises(InvalidArgumentError) as first:
        received.read_payload()
    with pytest.raises(InvalidArgumentError) as again:
        received.read_payload()
    assert received.error is first.value is again.value
    return violations(first.value)


def envelope_violations(codec: OperationCodec, data: bytes) -> list[dict[str, str]]:
    """Return the violations of an invalid envelope."""
    with pytest.raises(InvalidArgumentError, match="the request envelope is invalid") as refused:
        codec.decode_request(data)
    return violations(refused.value)


@given(st.binary(max_size=300) | st.text(max_size=100).map(dump))
@example(b"")
@example(b"null")
@example(b"\xef\xbb\xbf{}")
@example(HEAD)
@example(b"\x00" * 50)
def test_garbage_raises_invalid_argument(data: bytes) -> None:
    """Arbitrary bytes raise InvalidArgumentError and no other exception."""
    for codec in (RUNS, FORGETS, GETS, FINDS):
        envelope_violations(codec, data)


@pytest.mark.parametrize("payload", [b"null", b" null", b"\nnull "])
def test_null_is_seen_unread(payload: bytes) -> None:
    """A payload that is null is told from others without reading it, whatever is around it."""
    data = RUNS.encode_request(make_context(payload=Run(action="null")))
    request = RUNS.decode_request(data)
    assert not request.may_be_null
    part = data[slice(data.index(b'{"action"'), data.index(b',"metadata"'))]
    assert RUNS.decode_request(data.replace(part, payload)).may_be_null


@given(st.integers(0, 200), st.integers(0, 255))
def test_damaged_request_raises_only_invalid_argument(position: int, byte: int) -> None:
    """One wrong byte or a truncation raises nothing but InvalidArgumentError."""
    data = bytearray(RUNS.encode_request(make_context()))
    data[position % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: position % len(data)])):
        try:
            RUNS.decode_request(damaged)
        except InvalidArgumentError as error:
            violations(error)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256))
def test_keys_and_payloads_survive_a_round_trip(text: str) -> None:
    """Any valid key and any text in a payload decode unchanged."""
    sent = make_context(key=text, payload=Run(action=text, amount=0.1, retry_count=3))
    received = RUNS.decode_request(RUNS.encode_request(sent))
    assert (received.key, received.read_payload()) == (text, sent.payload)
    assert received.metadata is not None
    assert received.metadata[0] == sent.message_id


@pytest.mark.parametrize(
    "key", ["", "a" * 257, "a\n", "\x00", "\x7f", "\x85", 5, None, ["a"], {"a": 1}]
)
def test_invalid_keys_are_rejected(key: Any) -> None:
    """Empty, too long or non-text keys and control characters are reported at the key."""
    body = request(aggregateId={"type": "thing", "key": key})
    assert [each["pointer"] for each in envelope_violations(RUNS, dump(body))] == [
        "/aggregateId/key"
    ]


@pytest.mark.parametrize("kind", ["other", "Thing", "", None, 5])
def test_wrong_aggregate_type_is_rejected(kind: Any) -> None:
    """A request for another aggregate type is rejected."""
    body = request(aggregateId={"type": kind, "key": "k"})
    assert [each["pointer"] for each in envelope_violations(RUNS, dump(body))] == [
        "/aggregateId/type"
    ]


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
def test_invalid_metadata_is_rejected(metadata: Any, pointer: str) -> None:
    """Metadata may be absent; invalid metadata is reported with its pointer."""
    assert pointer in [
        each["pointer"] for each in envelope_violations(RUNS, dump(request(metadata=metadata)))
    ]


def test_optional_request_members_may_be_absent() -> None:
    """Metadata and parameters may be absent, and unknown members are ignored."""
    plain = GETS.decode_request(dump(request(command=None, later={"x": [1]}, query=5)))
    assert (plain.key, plain.read_payload(), plain.metadata) == ("k-1", None, None)
    nested = request(
        aggregateId={"type": "thing", "key": "k", "tenant": 5},
        metadata={**METADATA, "later": 1, "correlation": {"correlationId": "c", "later": 1}},
    )
    assert RUNS.decode_request(dump(nested)).read_payload() == Run(action="go")


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
        ({"action": "a", "retryCount": None}, ["/command/retryCount"]),
        ({"action": "a", "retryCount": 1.5}, ["/command/retryCount"]),
    ],
)
def test_invalid_payload_is_reported_lazily(payload: Any, pointers: Any) -> None:
    """Key and metadata are available first; the error is raised when the payload is read."""
    data = dump(request(command=payload, metadata=METADATA))
    received = RUNS.decode_request(data)
    ids = METADATA["messageId"], METADATA["timestamp"]
    assert (received.key, received.metadata) == ("k-1", (*ids, None, None, None))
    assert [each["pointer"] for each in payload_violations(RUNS, data)] == pointers
    context = make_context(payload=None, received=received)
    assert context.payload_error is None
    with pytest.raises(InvalidArgumentError, match="the payload of run breaks the contract"):
        context.payload  # noqa: B018 - it is what raises
    assert context.payload_error is received.error is not None


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        (RUNS, dump(request(later=float("nan")))),
        (RUNS, dump(request(command={"action": "a", "amount": float("nan")}))),
        (RUNS, dump(request(command={"action": 5}, later=float("inf")))),
        (RUNS, dump(request(metadata={**METADATA, "context": {"x": float("nan")}}))),
        (RUNS, dump(request(command=None))),
        (RUNS, dump(request(command=None, query={"action": "go"}))),
        (RUNS, dump(request(command={str(number): 1 for number in range(90)}))),
        (FINDS, dump(request())),
        (GETS, dump(request(command=None, later=float("nan")))),
    ],
)
def test_payload_is_not_looked_at_before_it_is_read(codec: OperationCodec, data: bytes) -> None:
    """NaN anywhere, a missing payload and that of another kind are reported on reading."""
    assert payload_violations(codec, data)


@pytest.mark.parametrize("member", ["command", "query"])
def test_envelope_errors_do_not_depend_on_the_payload(member: str) -> None:
    """Valid, invalid, missing and large payloads give the same violations of the envelope."""
    codec = RUNS if member == "command" else FINDS
    many = {str(number): 1 for number in range(90)}
    payloads: list[Any] = [{"action": "a"}, {"text": "x"}, {"action": 5}, {}, 5, None, many]
    payloads += [{"action": "a", "x": float("nan")}]
    for wrong in ({"aggregateId": {"type": "thing"}}, {"metadata": {"messageId": "1"}}):
        bodies = [request(**wrong, **{"command": None, member: each}) for each in payloads]
        told = [envelope_violations(codec, dump(body)) for body in bodies]
        assert all(each == told[0] for each in told)


def test_envelope_error_hides_payload_errors() -> None:
    """If envelope and payload are both invalid, only the envelope is reported."""
    body = request(aggregateId={"type": "thing"}, command={"action": 5})
    assert [each["pointer"] for each in envelope_violations(RUNS, dump(body))] == [
        "/aggregateId/key"
    ]
    assert [each["pointer"] for each in payload_violations(RUNS, dump(request(command=None)))] == [
        "/command"
    ]
    assert [each["pointer"] for each in payload_violations(FINDS, dump(request()))] == ["/query"]


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
def test_last_of_duplicate_members_wins(data: bytes, expected: tuple[str, str]) -> None:
    """The same rule holds everywhere, so that no two readers see different requests."""
    received = RUNS.decode_request(data)
    payload = received.read_payload()
    assert isinstance(payload, Run)
    assert (received.key, payload.action) == expected
    spoilt = data[:-1] + b',"command":{"action":5}}'
    assert RUNS.decode_request(spoilt).key == expected[0]
    assert payload_violations(RUNS, spoilt)


STAMPED = dump(METADATA).replace(b'": "', b'":"').replace(b'", "', b'","')
CAUSED = STAMPED[:-1] + b',"correlation":{"correlationId":"a [b]","causationId":"~"}'
PARTS = st.sampled_from(
    [
        b'"k"',
        b'"k\\"},\\"command\\":"',
        b'"k","x":{"y":1',
        b'"k"},"command":{"action":"first"',
        b'"k"},"x":{',
        b'{"action":"go"}',
        b'{"action":"go","x":{"a":1,"metadata":{}}}',
        b'{"action":"go"},"command":{"action":"last"}',
        b'{"action":"go"},"metadata":5',
        b'{"action":5}',
        b'{"action":"go","x":NaN}',
        b'{"action":"go"',
        b" ",
        b"",
        b"5",
        STAMPED,
        STAMPED + b',"command":{"action":"last"}',
        STAMPED + b',"aggregateId":{"type":"thing","key":"last"}',
        STAMPED[:-1] + b',"context":{"x":1,"metadata":{"a":[]}}}',
        STAMPED[:-1] + b',"context":{"x":NaN}}',
        STAMPED[:-1] + b',"context":{"x":1},"context":{"y":[]}}',
        STAMPED[:-1] + b',"context" :{"x":1},"authentication":{"type":"jwt","token":"a"}}',
        STAMPED[:-1] + b',"context":{"x":{},"authentication":{"type":"jwt","token":"a"}}}',
        STAMPED[:-1] + b',"context":{"x":1,"authentication":{"type":"jwt","token":"a"}}',
        STAMPED[:-1] + b',"context":{"x":1},"authentication":{"type":"jwt","token":"a"}}',
        CAUSED + b"}",
        CAUSED + b',"authentication":{"type":"jwt","token":"a.b"}}',
        CAUSED + b',"authentication":{"type":"jwt","token":""}}',
        CAUSED + b',"authentication":{"type":"jwt","token":"a b"}}',
        CAUSED + b',"context":{"x":1}}',
        CAUSED + b',"correlation":{"correlationId":"last"}}',
        CAUSED.replace(b"[b]", b"b" * 127) + b"}",
        CAUSED.replace(b"~", b"\\u007e") + b"}",
        CAUSED.replace(b"~", b"\xc3\xa9") + b"}",
        CAUSED.replace(b"-03-", b"-13-") + b"}",
        CAUSED.replace(b"01JD", b"81JD") + b"}",
        STAMPED[:-1] + b',"later":NaN}',
        STAMPED[:-1] + b',"later":{"x":1}}',
    ]
)


def outcome(codec: OperationCodec, data: bytes) -> object:
    """Return what a request is read as, None when it is refused."""
    try:
        received = codec.decode_request(data)
        context = received.read_context() if received.has_context else None
        return received.key, received.metadata, received.read_payload(), context
    except InvalidArgumentError:
        return None


@pytest.mark.slow
@examples(80)
@given(PARTS, PARTS, PARTS)
@example(b'"k"', b'{"action":"go"}', STAMPED)
@example(b'"k"', b'{"action":"go"}', CAUSED + b"}")
@example(b'"k"', b'{"action":"go"}', CAUSED + b',"authentication":{"type":"jwt","token":"a.b"}}')
@example(b'"k"', b'{"action":"go"}', CAUSED.replace(b"~", b"\\u007e") + b"}")
@example(b'"k"', b'{"action":"go"}', CAUSED.replace(b"01JD", b"81JD") + b"}")
@example(b'"k"', b'{"action":"go"}', STAMPED + b',"command":{"action":"last"}')
@example(b'"k","x":{"y":1', b'{"action":"go"}', STAMPED)
@example(b'"k"', b'{"action":"go"}', STAMPED[:-1] + b',"context":{"x":1,"metadata":{"a":[]}}}')
def test_parts_mean_what_the_whole_request_means(key: bytes, payload: bytes, end: bytes) -> None:
    """A request that is read part by part is read as a JSON parser reads all of it."""
    for codec, member in ((RUNS, b'},"command":'), (FINDS, b'},"query":'), (GETS, b"}")):
        head = b'{"aggregateId":{"type":"thing","key":' + key + member
        data = head + (b"" if codec is GETS else payload) + b',"metadata":' + end + b"}"
        assert outcome(codec, data) == outcome(codec, data + b"\n")  # read as a whole


@pytest.mark.parametrize("part", [b"messageId", b"timestamp", b"correlationId", b"causationId"])
def test_pattern_of_metadata_accepts_what_is_valid(part: bytes) -> None:
    """With any byte in any of its texts, metadata is read as a validator reads it."""
    key, payload = b'{"aggregateId":{"type":"thing","key":"k"}', b',"command":{"action":"go"}'
    start = CAUSED.index(b'"%b":"' % part) + len(part) + 4
    for byte in range(256):
        metadata = CAUSED[:start] + bytes([byte]) + CAUSED[start + 1 :] + b"}"
        data = key + payload + b',"metadata":' + metadata + b"}"
        assert outcome(RUNS, data) == outcome(RUNS, data + b"\n")


def test_request_of_a_client_is_not_parsed_as_a_whole() -> None:
    """A request as clients write it is parsed part by part, one in another order as a whole."""
    sent = RUNS.encode_request(make_context(metadata_context={"x": [1]}))
    with patch.object(OperationCodec, "_decode_envelope") as whole:
        assert RUNS.decode_request(sent).read_payload() == Run(action="go")
        whole.assert_not_called()
        RUNS.decode_request(b" " + sent)
        whole.assert_called_once()
    assert outcome(RUNS, sent) == outcome(RUNS, b" " + sent)


def test_metadata_of_a_client_is_not_validated() -> None:
    """Metadata as clients write it matches the pattern; that with a context is validated."""
    sent = make_context(causation_id="c", token="a.b")
    other = make_context(metadata_context={"x": [1]})
    expected = sent.message_id, sent.timestamp, sent.correlation_id, "c", "a.b"
    with patch.object(RUNS, "_validate_metadata", wraps=RUNS._validate_metadata) as validate:
        assert RUNS.decode_request(RUNS.encode_request(sent)).metadata == expected
        validate.assert_not_called()
        RUNS.decode_request(RUNS.encode_request(other))
        validate.assert_called_once()


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
@pytest.mark.parametrize("place", [b',"x":', b',"metadata":', b',"command":'])
def test_deep_nesting_is_rejected(bracket: bytes, place: bytes) -> None:
    """A hundred thousand levels at any place are rejected without a stack overflow."""
    envelope_violations(RUNS, HEAD + place + bracket * 100_000)


@pytest.mark.parametrize("spaces", [b"", b" "], ids=["as clients write it", "otherwise"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"}}", b',"context":{"a":%b}}}' % NESTED),
        (b"}}", b',"context":%b}}' % NESTED),
        (b"}}", b',"later":%b}}' % NESTED),
        (b'"messageId":', b'"messageId":%b,"x":' % NESTED),
        (b'"key":', b'"key":%b,"x":' % NESTED),
        (b'{"type":', b'{"type":%b,"x":' % NESTED),
        (b"}}", b',"authentication":{"type":%b,"token":"a"}}}' % NESTED),
    ],
    ids=["valid", "context", "unknown member", "message id", "key", "aggregate", "authentication"],
)
def test_nested_envelopes_create_no_objects(old: bytes, new: bytes, spaces: bytes) -> None:
    """What a sender without a token nests into an envelope is not turned into Python objects."""
    text = dump(request(metadata=METADATA)).replace(b": ", b":").replace(b", ", b",")
    body = spaces + text.replace(old, new)
    assert len(body) > 90_000
    outcome(RUNS, b"{}")  # what is created once
    with no_objects(), suppress(InvalidArgumentError):
        RUNS.decode_request(body)


@pytest.mark.parametrize("payload", [b'{"action":%b}', b"%b", b'{"action":5,"x":%b}'])
def test_nested_payloads_create_no_objects(payload: bytes) -> None:
    """What is wrong with a payload of many values is not listed, which would take seconds."""
    marked = dump(request(metadata=METADATA, command="payload"))
    body = marked.replace(b": ", b":").replace(b", ", b",")
    outcome(RUNS, body)  # what is created once
    received = RUNS.decode_request(body.replace(b'"payload"', payload % NESTED))
    with no_objects(), pytest.raises(InvalidArgumentError, match="too many values"):
        received.read_payload()


def test_large_requests_are_handled() -> None:
    """Size alone is not an error, and the report of a large invalid request is bounded."""
    long = "a" * 1_000_000
    large = RUNS.decode_request(dump(request(command={"action": long})))
    assert large.read_payload() == Run(action=long)
    faulty = dump(request(command={long: 1, "action": 5}))
    assert len(str(payload_violations(RUNS, faulty))) < 10_000
    envelope_violations(RUNS, dump([0] * 300_000))


@pytest.mark.parametrize(
    "text", [rb"\ud800", rb"a\udfff", rb"\ud800\u0041", b"\xed\xa0\x80", b"\xff"]
)
def test_invalid_unicode_is_rejected(text: bytes) -> None:
    """Lone surrogates and invalid UTF-8 are rejected in the key and elsewhere."""
    envelope_violations(RUNS, HEAD.replace(b'"a"', b'"%b"' % text) + b"}")
    envelope_violations(RUNS, HEAD + b',"x":"%b"}' % text)
