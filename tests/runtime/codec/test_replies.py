"""Replies as they come: garbage, declared errors, and details of the wrong shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
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
from testkit.wire import METADATA, dump
from weenats.codec import OperationCodec, ReceivedResponse, encode_failure
from weenats.contract import Entity
from weenats.errors import CLASS_OF_CODE, InternalError, NotFoundError, ServiceError
from weenats.protocol.messages import AggregateId

RUNS, FORGETS, GETS, FINDS = (OperationCodec(each) for each in (RUN, FORGET, GET, FIND))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
REPLY = b'{"success":true,"result":{"text":"x"},"duration":1}'


def failure(code: str = "NOT_FOUND", **members: Any) -> bytes:
    """Return the reply of a request that failed."""
    error = {"code": code, "message": "m", **members}
    return dump({"success": False, "error": error, "duration": 1})


def raised(codec: OperationCodec, data: bytes) -> ServiceError:
    """Return the error that a reply raises."""
    with pytest.raises(ServiceError) as caught:
        codec.decode_response(data)
    return caught.value


@given(st.binary(max_size=300) | TEXTS.map(dump))
@example(b"")
@example(b'{"success":true}')
@example(b'{"success":false,"error":{"code":"NOT_FOUND"},"duration":1}')
@example(b"[" * 100_000)
def test_garbage_is_an_internal_error(data: bytes) -> None:
    """A reply that is none is InternalError of this side, with what is wrong in its details."""
    for codec in (RUNS, FORGETS, GETS, FINDS):
        error = raised(codec, data)
        assert type(error) is InternalError
        assert error.remote is False
        assert error.details["violations"]


@given(st.integers(0, 300), st.integers(0, 255), st.booleans())
def test_a_damaged_reply_raises_service_errors_only(at: int, byte: int, succeeded: bool) -> None:
    """One wrong byte anywhere never raises anything but a ServiceError."""
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
def test_results_arrive_as_they_were(text: str) -> None:
    """Results and entities are read as they were written, with duration and cause."""
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
def test_a_success_that_breaks_the_contract_is_an_internal_error(data: bytes) -> None:
    """A result that is missing or wrong, an impossible duration, or two verdicts are no answer."""
    assert type(raised(RUNS, data)) is InternalError


def test_what_an_operation_does_not_promise_is_ignored() -> None:
    """An answer where none is due and unknown members are passed over; the last member holds."""
    assert FORGETS.decode_response(REPLY).result is None
    assert RUNS.decode_response(REPLY[:-1] + b',"later":{}}').result == Outcome(text="x")
    doubled = REPLY[:-1] + b',"result":{"text":"y","text":"last"}}'
    assert RUNS.decode_response(doubled).result == Outcome(text="last")


def test_the_metadata_of_a_reply_is_read_on_demand() -> None:
    """A bad block disturbs nobody who does not ask; who asks learns it; none is None."""
    assert RUNS.decode_response(REPLY).metadata is None  # type: ignore[attr-defined]
    spoilt: Any = RUNS.decode_response(REPLY[:-1] + b',"metadata":5}')
    assert spoilt.result == Outcome(text="x")
    with pytest.raises(InternalError, match="the metadata of the reply is invalid"):
        spoilt.metadata  # noqa: B018 - reading it is the test
    whole: Any = RUNS.decode_response(REPLY[:-1] + b',"metadata":' + dump(METADATA) + b"}")
    assert whole.metadata.message_id == METADATA["messageId"]


@pytest.mark.parametrize("code", CLASS_OF_CODE)
def test_every_code_is_its_class_again(code: str) -> None:
    """The canonical errors arrive as their own classes, with message and details."""
    for details in (None, {"a": [1, {"b": None}]}):
        sent = CLASS_OF_CODE[code]("é\n", details=details)
        received = raised(RUNS, encode_failure(sent, 1, make_context()))
        assert type(received) is CLASS_OF_CODE[code]
        assert (received.message, received.details) == ("é\n", details)
        assert received.remote


@given(TEXTS, TEXTS)
def test_declared_errors_arrive_as_their_class(message: str, part: str) -> None:
    """A declared error is raised again as the generated class, its details typed."""
    sent = PartMissingError(message, details=MissingDetails(part=part))
    received = raised(RUNS, encode_failure(sent, 1, None))
    assert type(received) is PartMissingError
    assert (received.message, received.details) == (message, MissingDetails(part=part))
    assert received.remote
    assert type(raised(RUNS, encode_failure(NotReadyError(message), 1, None))) is NotReadyError


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
def test_details_of_the_wrong_shape_leave_the_canonical_class(details: Any) -> None:
    """What is not the declared error whole is its code's class; nothing that was said is lost."""
    error = raised(RUNS, failure(details=details))
    assert type(error) is NotFoundError
    assert error.message == "m"
    assert repr(error.details) == repr(details)


def test_a_declared_name_under_another_code_is_not_the_declared_error() -> None:
    """Code and name must both be the contract's; an operation knows its own errors only."""
    details = {"error": "part-missing", "data": {"part": "x"}}
    assert type(raised(RUNS, failure("ABORTED", details=details))) is CLASS_OF_CODE["ABORTED"]
    assert type(raised(FINDS, failure(details=details))) is NotFoundError


@pytest.mark.parametrize(
    "error",
    [
        {"code": "not_found"}, {"code": "OK"}, {"code": 404}, {"code": None}, {"message": None},
        {"message": 5}, {"details": None}, {"details": []}, {"details": "x"},
    ],
)  # fmt: skip
def test_a_failure_that_is_none_is_an_internal_error(error: Any) -> None:
    """An unknown code, no message or details that are no object break the contract."""
    assert type(raised(RUNS, failure(**error))) is InternalError
    assert raised(RUNS, failure(**error)).remote is False


def test_what_a_contract_lets_an_operation_raise() -> None:
    """Canonical errors always, declared ones where declared, no other class of the same name."""

    class ImpostorError(NotFoundError):
        name = "not-ready"

    assert RUNS.declares(NotFoundError())
    assert RUNS.declares(NotReadyError())
    assert not FINDS.declares(NotReadyError())
    assert not RUNS.declares(UndeclaredError())
    assert not RUNS.declares(ImpostorError())
