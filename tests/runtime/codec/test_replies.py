"""Decoding of replies: garbage, declared errors, and details of the wrong shape."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.parts import BOOK
from testkit.probe import (
    FIND,
    FORGET,
    GET,
    RUN,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Thing,
    UndeclaredError,
)
from testkit.wire import METADATA, NESTED, dump, no_objects
from weenats.codec.failures import decode_model, encode_failure
from weenats.codec.operations import OperationCodec, ReceivedResponse
from weenats.codec.replies import is_acknowledgement, is_reply
from weenats.contract import Entity
from weenats.errors import CLASS_OF_CODE, InternalError, NotFoundError, ServiceError
from weenats.protocol.messages import AggregateId, InfoResponse
from weenats.transport.base import Delivery

RUNS, FORGETS, GETS, FINDS = (OperationCodec(each) for each in (RUN, FORGET, GET, FIND))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
REPLY = b'{"success":true,"result":{"text":"x"},"duration":1}'


def failure(code: str = "NOT_FOUND", **members: Any) -> bytes:
    """Return a failure reply."""
    error = {"code": code, "message": "m", **members}
    return dump({"success": False, "error": error, "duration": 1})


def error_of(codec: OperationCodec, data: bytes) -> ServiceError:
    """Return the error that a reply raises."""
    with pytest.raises(ServiceError) as caught:
        codec.decode_response(data)
    return caught.value


@given(st.binary(max_size=300) | TEXTS.map(dump))
@example(b"")
@example(b'{"success":true}')
@example(b'{"success":false,"error":{"code":"NOT_FOUND"},"duration":1}')
@example(b"[" * 100_000)
def test_garbage_raises_internal_error(data: bytes) -> None:
    """An invalid reply raises a local InternalError with violations in its details."""
    for codec in (RUNS, FORGETS, GETS, FINDS):
        error = error_of(codec, data)
        assert type(error) is InternalError
        assert error.remote is False
        assert error.details["violations"]


@given(st.integers(0, 300), st.integers(0, 255), st.booleans())
def test_damaged_reply_raises_only_service_errors(at: int, byte: int, succeeded: bool) -> None:
    """One wrong byte or a truncation raises nothing but a ServiceError."""
    whole = (
        RUNS.encode_success(Outcome(text="é"), 1, make_context())
        if succeeded
        else encode_failure(PartMissingError(details=MissingDetails(part="é")), 1, make_context())
    )
    data = bytearray(whole)
    data[at % len(data)] = byte
    for damaged in (bytes(data), whole[: at % len(whole)]):
        try:
            RUNS.decode_response(damaged)
        except ServiceError:
            continue


@given(TEXTS)
def test_results_survive_a_round_trip(text: str) -> None:
    """Results and entities decode unchanged, with duration and causation id."""
    request = make_context(correlation_id="c")
    reply = RUNS.decode_response(RUNS.encode_success(Outcome(text=text), 1.25, request))
    assert isinstance(reply, ReceivedResponse)
    assert (reply.result, reply.duration) == (Outcome(text=text), 1.25)
    assert reply.metadata is not None
    assert reply.metadata.correlation.causation_id == request.message_id
    entity = Entity(id=AggregateId(type="thing", key="k"), state=Thing(text=text), revision=3)
    assert GETS.decode_response(GETS.encode_success(entity, 1, request)).result == entity
    assert FORGETS.decode_response(FORGETS.encode_success(None, 1, request)).result is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"success":true,"duration":1}',
        b'{"success":true,"result":null,"duration":1}',
        b'{"success":true,"result":{"text":5},"duration":1}',
        b'{"success":true,"result":{"text":"x"},"duration":-1}',
        b'{"success":true,"result":{"text":"x"},"duration":NaN}',
        b'{"success":true,"result":{"text":"x"},"duration":1e999}',
        b'{"success":true,"result":{"text":"x"},"duration":"1"}',
        b'{"success":"true","result":{"text":"x"},"duration":1}',
        b'{"success":true,"success":false,"result":{"text":"x"},"duration":1}',
    ],
)
def test_invalid_success_raises_internal_error(data: bytes) -> None:
    """A missing or wrong result, an impossible duration or a bad verdict is an error."""
    assert type(error_of(RUNS, data)) is InternalError


def test_unexpected_reply_members_are_ignored() -> None:
    """Unknown members and an unexpected result are ignored; the last duplicate wins."""
    assert FORGETS.decode_response(REPLY).result is None
    assert RUNS.decode_response(REPLY[:-1] + b',"later":{}}').result == Outcome(text="x")
    doubled = REPLY[:-1] + b',"result":{"text":"y","text":"last"}}'
    assert RUNS.decode_response(doubled).result == Outcome(text="last")


def test_reply_metadata_is_decoded_lazily() -> None:
    """Invalid metadata raises only on access; missing metadata is None."""
    assert RUNS.decode_response(REPLY).metadata is None  # type: ignore[attr-defined]
    spoilt: Any = RUNS.decode_response(REPLY[:-1] + b',"metadata":5}')
    assert spoilt.result == Outcome(text="x")
    with pytest.raises(InternalError, match="the metadata of the reply is invalid"):
        spoilt.metadata  # noqa: B018 - reading it is the test
    whole: Any = RUNS.decode_response(REPLY[:-1] + b',"metadata":' + dump(METADATA) + b"}")
    assert whole.metadata.message_id == METADATA["messageId"]


@pytest.mark.parametrize("code", CLASS_OF_CODE)
def test_every_code_maps_to_its_error_class(code: str) -> None:
    """Canonical errors arrive as their own classes, with message and details."""
    for details in (None, {"a": [1, {"b": None}]}):
        sent = CLASS_OF_CODE[code]("é\n", details=details)
        received = error_of(RUNS, encode_failure(sent, 1, make_context()))
        assert type(received) is CLASS_OF_CODE[code]
        assert (received.message, received.details) == ("é\n", details)
        assert received.remote


@given(TEXTS, TEXTS)
def test_declared_errors_keep_their_class(message: str, part: str) -> None:
    """A declared error arrives as the generated class, with typed details."""
    sent = PartMissingError(message, details=MissingDetails(part=part))
    received = error_of(RUNS, encode_failure(sent, 1, None))
    assert type(received) is PartMissingError
    assert (received.message, received.details) == (message, MissingDetails(part=part))
    assert received.remote
    assert type(error_of(RUNS, encode_failure(NotReadyError(message), 1, None))) is NotReadyError


@pytest.mark.parametrize(
    "details",
    [
        {"error": "part-missing"},
        {"error": "part-missing", "data": None},
        {"error": "part-missing", "data": {}},
        {"error": "part-missing", "data": {"part": 5}},
        {"error": "part-missing", "data": [1]},
        {"error": "part-missing", "data": {"part": float("nan")}},
        {"error": "undeclared", "data": {"part": "x"}},
        {"error": "Part-Missing", "data": {"part": "x"}},
        {"error": ["part-missing"], "data": {"part": "x"}},
        {"error": None},
        {"error": ""},
        {"data": {"part": "x"}},
        {},
    ],
)
def test_malformed_details_give_the_canonical_class(details: Any) -> None:
    """An incomplete declared error arrives as the class of its code, details unchanged."""
    error = error_of(RUNS, failure(details=details))
    assert type(error) is NotFoundError
    assert error.message == "m"
    assert repr(error.details) == repr(details)


def test_declared_error_requires_matching_name_and_code() -> None:
    """Name and code must both match, and the operation must declare the error."""
    details = {"error": "part-missing", "data": {"part": "x"}}
    assert type(error_of(RUNS, failure("ABORTED", details=details))) is CLASS_OF_CODE["ABORTED"]
    assert type(error_of(FINDS, failure(details=details))) is NotFoundError


@pytest.mark.parametrize(
    "error",
    [
        {"code": "not_found"}, {"code": "OK"}, {"code": 404}, {"code": None}, {"message": None},
        {"message": 5}, {"details": None}, {"details": []}, {"details": "x"},
    ],
)  # fmt: skip
def test_malformed_failure_raises_internal_error(error: Any) -> None:
    """An unknown code, a missing message or malformed details break the contract."""
    assert type(error_of(RUNS, failure(**error))) is InternalError
    assert error_of(RUNS, failure(**error)).remote is False


def test_declares_accepts_canonical_and_declared_errors() -> None:
    """An undeclared error or another class of the same name is not accepted."""

    class ImpostorError(NotFoundError):
        name = "not-ready"

    assert RUNS.declares(NotFoundError())
    assert RUNS.declares(NotReadyError())
    assert not FINDS.declares(NotReadyError())
    assert not RUNS.declares(UndeclaredError())
    assert not RUNS.declares(ImpostorError())


OUTCOME = b'{"success":true,"result":{"text":"x"},"duration":1}'


@pytest.mark.parametrize("codec", [RUNS, GETS, OperationCodec(BOOK)], ids=["run", "get", "book"])
@pytest.mark.parametrize(
    "reply",
    [
        b"%b",
        b'{"later":"success","x":%b}',
        b'{"success":%b}',
        b'{"success":true,"result":%b,"entity":1,"duration":1}',
        b'{"success":true,"result":{"text":%b},"duration":1}',
        b'{"success":true,"result":{"text":"x"},"duration":%b}',
        b'{"success":false,"error":%b,"duration":1}',
        b'{"success":false,"error":{"code":%b,"message":"m"},"duration":1}',
        b'{"success":false,"error":{"code":"ABORTED","message":"m"},"duration":1,"metadata":%b}',
    ],
)
def test_nested_replies_create_no_objects(codec: OperationCodec, reply: bytes) -> None:
    """What is wrong with a reply of many values is not listed, which would take seconds."""
    for data in (OUTCOME, failure(), b"{}"):  # what is created once
        with suppress(ServiceError):
            codec.decode_response(data)
    data = reply % NESTED
    with no_objects():
        assert is_reply(Delivery("", "", data)) is (b"success" in data)
        assert not is_acknowledgement(b'{"stream":1,"seq":%b}' % data)
        error = error_of(codec, data)
    assert "too many values" in error.details["violations"][0]["message"]


def test_nested_answers_create_no_objects() -> None:
    """A discovery answer and the metadata of a reply are read as cautiously as replies."""
    spoilt: Any = RUNS.decode_response(OUTCOME[:-1] + b',"metadata":{"messageId":%b}}' % NESTED)
    answer = b'{"type":"io.nats.micro.v1.info_response","metadata":{"a":%b}}' % NESTED
    for read in (lambda: spoilt.metadata, lambda: decode_model(InfoResponse, answer)):
        with suppress(InternalError):
            decode_model(InfoResponse, b"{}")  # what is created once
        with no_objects(), pytest.raises(InternalError) as failed:
            read()
        assert "too many values" in failed.value.details["violations"][0]["message"]
