"""Every encoded envelope conforms to its schema in schemas/messages."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import (
    FIND,
    FORGET,
    GET,
    HAPPENED,
    RUN,
    FindParameters,
    Happened,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Run,
    Thing,
    UndeclaredError,
)
from testkit.wire import dump, load_strict, load_valid
from weenats.codec.events import EventCodec
from weenats.codec.failures import encode_failure
from weenats.codec.operations import ContractBreachError, OperationCodec
from weenats.contract import Entity
from weenats.errors import (
    CLASS_OF_CODE,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ServiceError,
)
from weenats.events import ReceivedEvent
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.messages import AggregateId

RUNS, FORGETS, GETS, FINDS = (OperationCodec(each) for each in (RUN, FORGET, GET, FIND))
EVENTS = EventCodec(HAPPENED)
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)  # fmt: skip
IDENTITY = AggregateId(type="thing", key='"é')


@given(KEYS, st.dictionaries(st.sampled_from(["a", "é", '"']), JSON), st.sampled_from(["c", '"\\']))
def test_requests_conform_to_their_schemas(
    key: str, context: dict[str, Any], correlation: str
) -> None:
    """Commands and queries conform with every member that a call can set."""
    options: dict[str, Any] = {"key": key, "metadata_context": context, "token": "a.b.c"}
    options |= {"correlation_id": correlation, "causation_id": STAMPER.new_id()}
    command = load_valid("command-request", RUNS.encode_request(make_context(**options)))
    assert command["aggregateId"] == {"type": "thing", "key": key}
    assert command["command"] == {"action": "go"}
    assert command["metadata"]["correlation"]["correlationId"] == correlation
    assert command["metadata"].get("context", {}) == context
    assert command["metadata"]["authentication"] == {"type": "jwt", "token": "a.b.c"}
    options |= {"operation": FIND, "payload": FindParameters(pattern=key)}
    assert load_valid("query-request", FINDS.encode_request(make_context(**options)))["query"] == {
        "pattern": key
    }


def test_optional_request_members_are_omitted() -> None:
    """A query without parameters has no `query`, and members that are None are omitted."""
    plain = GETS.encode_request(make_context(operation=GET, payload=None))
    assert set(load_valid("query-request", plain)) == {"aggregateId", "metadata"}
    aliased = RUNS.encode_request(make_context(payload=Run(action="go", retry_count=2)))
    assert load_valid("command-request", aliased)["command"] == {"action": "go", "retryCount": 2}


@pytest.mark.parametrize("duration", [0.0, 0.0004, 1.23456, 1e9])
def test_success_replies_conform_to_their_schemas(duration: float) -> None:
    """Results, entities and empty replies conform, and name the request as their cause."""
    request = make_context(correlation_id="c")
    outcome = load_valid(
        "command-response", RUNS.encode_success(Outcome(text="é\n"), duration, request)
    )
    assert outcome["result"] == {"text": "é\n"}
    assert outcome["duration"] == pytest.approx(duration, abs=0.0005)
    assert outcome["metadata"]["correlation"] == {
        "correlationId": "c",
        "causationId": request.message_id,
    }
    nothing = load_valid("command-response", FORGETS.encode_success(None, duration, request))
    assert "result" not in nothing
    entity = Entity(id=IDENTITY, state=Thing(text="x"), revision=2**70)
    state = load_valid("query-response", GETS.encode_success(entity, duration, request))
    assert state["entity"] == {
        "id": {"type": "thing", "key": '"é'},
        "state": {"text": "x"},
        "revision": 2**70,
    }
    found = FINDS.encode_success(Outcome(text=""), duration, request)
    assert load_valid("query-response", found)["result"] == {"text": ""}


@pytest.mark.parametrize(
    ("operation", "payload", "sent", "result", "answered"),
    [
        (
            RUN,
            Run(action="go"),
            {"command": {"action": "go"}},
            Outcome(text="x"),
            {"result": {"text": "x"}},
        ),
        (FORGET, Run(action="go"), {"command": {"action": "go"}}, None, {}),
        (
            FIND,
            FindParameters(pattern="p"),
            {"query": {"pattern": "p"}},
            Outcome(text="x"),
            {"result": {"text": "x"}},
        ),
        (
            GET,
            None,
            {},
            Entity(id=IDENTITY, state=Thing(text="x"), revision=3),
            {"entity": {"id": IDENTITY.model_dump(), "state": {"text": "x"}, "revision": 3}},
        ),
    ],
)
def test_envelopes_have_exactly_the_members_of_their_kind(
    operation: Any, payload: Any, sent: Any, result: Any, answered: Any
) -> None:
    """Encoded envelopes have only these members, decode unchanged, and fit no other kind."""
    codec = OperationCodec(operation)
    context = make_context(operation=operation, payload=payload)
    request = codec.encode_request(context)
    aggregate = {"aggregateId": {"type": "thing", "key": "k-1"}}
    body = load_strict(request)
    assert body.pop("metadata")
    assert body == aggregate | sent
    assert codec.decode_request(request).read_payload() == payload
    for other in (request.replace(b'"thing"', b'"things"'), b'{"aggregateId":{"key":"k-1"}}'):
        with pytest.raises(InvalidArgumentError):
            codec.decode_request(other)
    if payload is not None:
        member = next(iter(sent))
        for invalid in (aggregate, {**aggregate, member: {}}):
            with pytest.raises(InvalidArgumentError):
                codec.decode_request(dump(invalid)).read_payload()
    reply = codec.encode_success(result, 1.5, context)
    body = load_strict(reply)
    assert body.pop("metadata")
    assert body == {"success": True, "duration": 1.5} | answered
    response = codec.decode_response(reply)
    assert (response.result, response.duration) == (result, 1.5)
    unread = {"metadata": 5} | ({} if "result" in answered else {"result": 5})
    assert codec.decode_response(dump(body | unread)).result == result
    for wrong in ({"duration": 1.5}, {"success": True}, {"success": False, "duration": 1.5}):
        with pytest.raises(InternalError):
            codec.decode_response(dump(answered | wrong))
    if answered:
        with pytest.raises(InternalError):
            codec.decode_response(b'{"success":true,"duration":1.5}')
    declared = [NotReadyError(), PartMissingError(details=MissingDetails(part="x"))]
    assert {codec.declares(each) for each in declared} == {operation is RUN}
    assert not codec.declares(UndeclaredError())


ERRORS = [
    *(kind() for kind in CLASS_OF_CODE.values()),
    NotFoundError('é\n"\\\x00\u2028', details={"a": [1, None, {"b": 0.1}]}),
    NotReadyError(), PartMissingError(details=MissingDetails(part='"')),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.label)
@pytest.mark.parametrize("known", [True, False])
def test_failure_replies_conform_to_their_schemas(error: ServiceError, known: bool) -> None:
    """Every error conforms to both response schemas, whether the request was read or not."""
    data = encode_failure(error, 0.25, make_context() if known else None)
    body = load_valid("failure", data)
    assert load_valid("command-response", data) == load_valid("query-response", data) == body
    assert (body["error"]["code"], body["error"]["message"]) == (error.code.value, error.message)
    assert ("metadata" in body) is known
    if error.name:
        conforming_details = body["error"]["details"]
        assert conforming_details["error"] == error.name
        assert ("data" in conforming_details) is (error.details is not None)


@given(KEYS, st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**63))
def test_events_conform_to_their_schema(key: str, text: str, revision: int) -> None:
    """A notification conforms to its schema and decodes unchanged."""
    context = make_context(correlation_id="c", causation_id="d", metadata_context={"a": [text]})
    data = EVENTS.encode(key, Happened(text=text), revision, context)
    body = load_valid("event-notification", data)
    assert (body["data"], body["type"]) == ({"whatText": text}, "happened")
    received = ReceivedEvent[Happened](EVENTS.decode(data), {})
    assert (received.key, received.revision, received.data.text) == (key, revision, text)
    assert received.metadata_context == {"a": [text]}


@pytest.mark.parametrize("bad", [math.nan, math.inf, [{"x": -math.inf}], "\ud800", object()])
def test_values_that_are_not_json_are_rejected(bad: Any) -> None:
    """NaN, lone surrogates and objects in a context are rejected before sending."""
    context = make_context(metadata_context={"x": bad})
    with pytest.raises(InvalidArgumentError, match="cannot be encoded"):
        RUNS.encode_request(context)
    with pytest.raises(InvalidArgumentError, match="cannot be encoded"):
        EVENTS.encode("k", Happened(text=""), 1, context)
    with pytest.raises(ValueError):  # noqa: PT011 - the endpoint takes any and answers INTERNAL
        encode_failure(NotFoundError(details={"x": bad}), 1, None)


def test_strings_nan_and_infinity_are_allowed() -> None:
    """The strings "NaN" and "Infinity" are sent like any other."""
    words = {"NaN": "Infinity", "x": ["-Infinity", "NaN"]}
    sent = load_strict(RUNS.encode_request(make_context(metadata_context=words)))
    assert sent["metadata"]["context"] == words
    failure = load_strict(encode_failure(NotFoundError("NaN", details=words), 1, None))
    assert failure["error"]["details"] == words


@pytest.mark.parametrize(
    ("codec", "result"),
    [
        (RUNS, None), (RUNS, Thing(text="")), (RUNS, {"text": ""}), (RUNS, "x"),
        (FORGETS, Outcome(text="")), (GETS, Thing(text="")), (GETS, None),
        (RUNS, Outcome.model_construct(text=5)),
        (GETS, Entity.model_construct(id=IDENTITY, state=Outcome(text=""), revision=1)),
    ],
)  # fmt: skip
def test_wrong_result_error_names_types_only(codec: Any, result: Any) -> None:
    """A result that breaks the contract raises an error with types and without values."""
    with pytest.raises(ContractBreachError, match=r"must return \w+.*(, not \w+|: /\w+: [\w ]+)$"):
        codec.encode_success(result, 1, make_context())


@pytest.mark.parametrize("payload", [None, {"action": "go"}, Outcome(text="")])
def test_payload_of_wrong_type_is_rejected(payload: Any) -> None:
    """The client rejects a payload that is not of the operation's type."""
    with pytest.raises(InvalidArgumentError, match="the request of run cannot be encoded"):
        RUNS.encode_request(make_context(payload=payload))
