"""What is told of a message that cannot be written or read: where and why, none of its content."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from testkit.contexts import make_context
from testkit.probe import FORGET, GET, HAPPENED, RUN, Happened, NotReadyError, Outcome, Run, Thing
from testkit.wire import METADATA, dump, request
from weenats import Model
from weenats.codec import ContractBreachError, EventCodec, OperationCodec, decode_model
from weenats.codec import encode_failure as encode
from weenats.errors import InternalError, InvalidArgumentError, NotFoundError

RUNS, FORGETS, GETS = (OperationCodec(each) for each in (RUN, FORGET, GET))
OK = b'{"success":true,"result":{"text":"x"},"duration":1,'
WRONG_TEXT = Run.model_construct(action="\ud800")


def told(error: Any) -> tuple[str, list[dict[str, str]]]:
    """Return the text of an error and its violations."""
    return error.message, error.details["violations"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"payload": None}, "expected Run, got NoneType"),
        ({"metadata_context": {"x": float("nan")}}, "NaN is not valid JSON"),
        ({"key": "\ud800"}, "it contains text that is not valid Unicode"),
        ({"correlation_id": "\ud800-"}, "it contains text that is not valid Unicode"),
        (
            {"payload": Run.model_construct(action="\ud800")},
            "it contains text that is not valid Unicode",
        ),
    ],
)
def test_a_request_that_cannot_be_written(options: dict[str, Any], why: str) -> None:
    """The caller learns the operation and the reason."""
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.encode_request(make_context(**options))
    assert refused.value.message == f"the request of run cannot be encoded: {why}"


@pytest.mark.parametrize(
    ("key", "data", "why"),
    [
        ("", Happened(text="x"), "/key: String should have at least 1 character"),
        (5, Happened(text="x"), "/key: Input should be a valid string"),
        ("k", Happened.model_construct(text=5), "it contains a value that its type does not allow"),
        ("k", Outcome(text="x"), "expected Happened, got Outcome"),
    ],
)
def test_an_event_that_cannot_be_written(key: Any, data: Any, why: str) -> None:
    """The publisher learns the event and the reason."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).encode(key, data, 1, make_context())
    assert refused.value.message == f"the event happened cannot be encoded: {why}"


def test_a_payload_is_judged_by_who_receives_it() -> None:
    """What was put past the checks of a model is sent as it is, and refused with its pointer."""
    sent = RUNS.encode_request(make_context(payload=Run.model_construct(action=5)))
    error = RUNS.decode_request(sent).payload_error
    told_of = "/command/action", "Input should be a valid string"
    assert told(error) == (
        f"the payload of run breaks the contract: {': '.join(told_of)}",
        [{"pointer": told_of[0], "message": told_of[1]}],
    )


def test_what_is_no_json_is_told_as_such() -> None:
    """NaN and infinities are found where nothing else is wrong with a message."""
    no_json = [{"pointer": "", "message": "NaN is not valid JSON"}]
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.decode_request(dump(request(later=float("nan"))))
    assert told(refused.value) == ("the request envelope is invalid", no_json)
    event = EventCodec(HAPPENED).encode("k", Happened(text="x"), 1, make_context())
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(event[:-1] + b',"later":NaN}')
    assert told(refused.value) == ("the event happened breaks the contract", no_json)
    with pytest.raises(InternalError) as failed:
        RUNS.decode_response(b'{"success":true,"result":{"text":"x"},"duration":1,"x":-Infinity}')
    assert (
        failed.value.message
        == f"the reply of {RUN.subject} is not valid JSON: -Infinity is not valid JSON"
    )


def test_an_envelope_is_told_with_its_first_fault() -> None:
    """The text has one fault, the details have all of them."""
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.decode_request(dump(request(aggregateId={})))
    assert told(refused.value) == (
        "the request envelope is invalid: /aggregateId/type: Field required",
        [
            {"pointer": f"/aggregateId/{each}", "message": "Field required"}
            for each in ("type", "key")
        ],
    )
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.decode_request(dump(request(command=None)))
    assert refused.value.message == "the request envelope is invalid: /command: Field required"


def test_an_event_is_told_with_its_first_fault() -> None:
    """Its subscriber logs it."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(b"{")
    assert refused.value.message.startswith(
        "the event happened breaks the contract: : Invalid JSON"
    )
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(b'{"id":5}')
    assert {each["pointer"] for each in told(refused.value)[1]} >= {"/id", "/type", "/data"}


def test_a_reply_that_is_none_is_told_with_what_keeps_it_from_being_a_success() -> None:
    """The caller waited for a result; what a failure would have needed says nothing to it."""
    with pytest.raises(InternalError) as failed:
        RUNS.decode_response(b'{"success":true,"result":{"text":5},"duration":1}')
    assert told(failed.value) == (
        f"the reply of {RUN.subject} breaks the contract",
        [{"pointer": "/result/text", "message": "Input should be a valid string"}],
    )
    told_of_a_failure = RUNS.decode_failure(b'{"success":false,"error":5,"duration":1}')
    assert [each["pointer"] for each in told(told_of_a_failure)[1]] == ["/error"]


def test_metadata_that_is_none_is_told() -> None:
    """Who asks for the metadata of a reply learns what is wrong with it."""
    reply: Any = RUNS.decode_response(
        b'{"success":true,"result":{"text":"x"},"duration":1,"metadata":5}'
    )
    with pytest.raises(InternalError) as failed:
        reply.metadata  # noqa: B018 - reading it is the test
    message, found = told(failed.value)
    assert message == "the metadata of the reply is invalid"
    assert [each["pointer"] for each in found] == ["/metadata"]


def test_a_message_that_is_one_model_is_read_as_the_wire_has_it() -> None:
    """By the names of the contract, strictly; what is none is told with its pointers."""

    class Either(Model):
        part: int | list[int]

    assert decode_model(Run, b'{"action":"a","retryCount":1}') == Run(action="a", retry_count=1)
    assert decode_model(Run, b'{"action":"a","retry_count":1}') == Run(action="a")
    for model, data, pointers in (
        (Run, b'{"action":5}', {"/action"}),
        (Run, b'{"action":"a","retryCount":"1"}', {"/retryCount"}),
        (Either, b'{"part":"x"}', {"/part"}),
    ):
        with pytest.raises(InternalError) as failed:
            decode_model(model, data)
        message, found = told(failed.value)
        assert message == f"the message is not a valid {model.__name__}"
        assert {each["pointer"] for each in found} == pointers


def test_faults_are_told_up_to_twenty() -> None:
    """And a pointer up to 200 characters: who sends faults does not say how long the reply is."""

    class Numbers(Model):
        values: dict[str, int]

    with pytest.raises(InternalError) as failed:
        decode_model(Numbers, dump({"values": {"a" * 300 + str(each): "x" for each in range(30)}}))
    found = told(failed.value)[1]
    assert len(found) == 20
    assert {each["pointer"] for each in found} == {"/values/" + "a" * 192}


def test_a_handler_that_breaks_its_contract_is_told_to_the_log() -> None:
    """With the operation, what it must return and what it did."""
    for codec, promised in ((RUNS, "Outcome"), (FORGETS, "NoneType"), (GETS, "Entity[Thing]")):
        with pytest.raises(ContractBreachError) as breach:
            codec.encode_success(Thing(text="x"), 1, make_context())
        assert str(breach.value) == (
            f"{codec.operation.name} must return {promised} according to its contract, not Thing"
        )


def test_details_of_failures_are_written_whole() -> None:
    """What no model has checked keeps its names and values."""
    details = {"snake_case": 1, "deep": [{"x": None}]}
    with pytest.raises(NotFoundError) as failed:
        RUNS.decode_response(encode(NotFoundError(details=details), 1, None))
    assert failed.value.details == details


def test_a_declared_error_keeps_its_text_and_the_names_of_its_details() -> None:
    """Details by any other names are not those that the contract declares."""

    class Shelf(Model):
        shelf_number: Annotated[int, Field(alias="shelfNumber")]

    class ShelfEmptyError(NotFoundError):
        name: ClassVar[str] = "shelf-empty"
        details_type: ClassVar[type[Model] | None] = Shelf

    codec = OperationCodec(replace(RUN, errors=(ShelfEmptyError, NotReadyError)))
    with pytest.raises(NotReadyError, match=r"^FAILED_PRECONDITION not-ready: wait a little$"):
        codec.decode_response(encode(NotReadyError("wait a little"), 1, None))
    for name, kind in (("shelfNumber", ShelfEmptyError), ("shelf_number", NotFoundError)):
        error = NotFoundError("none", details={"error": "shelf-empty", "data": {name: 5}})
        with pytest.raises(NotFoundError) as failed:
            codec.decode_response(encode(error, 1, None))
        assert type(failed.value) is kind


def test_the_wire_knows_the_names_of_the_contract_alone() -> None:
    """A member by the name that Python has for it is an unknown one, which is ignored."""
    unknown = dump(request(command={"action": "a", "retry_count": 1}))
    assert RUNS.decode_request(unknown).payload == Run(action="a")
    runs = OperationCodec(replace(RUN, result=Run))
    reply = b'{"success":true,"result":{"action":"a","retry_count":1},"duration":1}'
    assert runs.decode_response(reply).result == Run(action="a")
    event = EventCodec(HAPPENED).encode("k", Happened(text="x"), 1, make_context())
    with pytest.raises(InvalidArgumentError, match="/data/whatText: Field required"):
        EventCodec(HAPPENED).decode(event.replace(b"whatText", b"text"))
    told_of = METADATA["messageId"].encode(), METADATA["timestamp"].encode()
    by_python = b'"metadata":{"message_id":"%b","timestamp":"%b"}}' % told_of
    with pytest.raises(InternalError):
        _ = RUNS.decode_response(OK + by_python).metadata
    failure = b'{"success":false,"error":{"code":"NOT_FOUND","message":"x"},"duration":1,'
    assert type(RUNS.decode_failure(failure + by_python)) is InternalError
    by_contract = b'"metadata":{"messageId":"%b","timestamp":"%b"}}' % told_of
    assert type(RUNS.decode_failure(failure + by_contract)) is NotFoundError
    metadata = RUNS.decode_response(OK + by_contract).metadata
    assert metadata is not None
    assert metadata.message_id == METADATA["messageId"]
