"""Error messages for invalid messages: where and why, without their content."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import ConfigDict, Field

from testkit.contexts import make_context
from testkit.probe import (
    CONTRACT,
    FORGET,
    GET,
    HAPPENED,
    RUN,
    THING,
    Happened,
    NotReadyError,
    Outcome,
    Run,
    Thing,
)
from testkit.wire import METADATA, dump, request
from weenats import Command, Model
from weenats.codec.events import EventCodec
from weenats.codec.failures import decode_model
from weenats.codec.failures import encode_failure as encode
from weenats.codec.operations import ContractBreachError, OperationCodec
from weenats.errors import InternalError, InvalidArgumentError, NotFoundError

RUNS, FORGETS, GETS = (OperationCodec(each) for each in (RUN, FORGET, GET))
OK = b'{"success":true,"result":{"text":"x"},"duration":1,'
WRONG_TEXT = Run.model_construct(action="\ud800")


def message_and_violations(error: Any) -> tuple[str, list[dict[str, str]]]:
    """Return the message of an error and its violations."""
    return error.message, error.details["violations"]


def payload_error(data: bytes) -> InvalidArgumentError:
    """Return the error of a request whose payload is invalid."""
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.decode_request(data).read_payload()
    return refused.value


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
def test_request_encoding_error_names_operation_and_reason(
    options: dict[str, Any], why: str
) -> None:
    """The error names the operation and the reason."""
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.encode_request(make_context(**options))
    assert refused.value.message == f"the request of run cannot be encoded: {why}"


def test_encoding_error_tells_classes_with_one_name_apart() -> None:
    """The model of another package, such as a client project, is named with its module."""
    payload = type("Run", (Model,), {"__module__": "other.models"})()
    with pytest.raises(
        InvalidArgumentError, match=r"expected testkit.*\.Run, got other\.models\.Run"
    ):
        RUNS.encode_request(make_context(payload=payload))


@pytest.mark.parametrize(
    ("key", "data", "why"),
    [
        ("", Happened(text="x"), "/key: String should have at least 1 character"),
        ("k", Happened.model_construct(text=5), "/whatText: Input should be a valid string"),
        ("k", Outcome(text="x"), "expected Happened, got Outcome"),
    ],
)
def test_event_encoding_error_names_event_and_reason(key: Any, data: Any, why: str) -> None:
    """The error names the event and the reason."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).encode(key, data, 1, make_context())
    assert refused.value.message == f"the event happened cannot be encoded: {why}"


def test_payload_is_validated_by_the_receiver() -> None:
    """A model built without validation is sent as it is, and reported with its pointer."""
    sent = RUNS.encode_request(make_context(payload=Run.model_construct(action=5)))
    error = payload_error(sent)
    told_of = "/command/action", "Input should be a valid string"
    assert message_and_violations(error) == (
        f"the payload of run breaks the contract: {': '.join(told_of)}",
        [{"pointer": told_of[0], "keyword": "type", "message": told_of[1]}],
    )


def test_names_that_a_caller_chose_are_in_the_violations_alone() -> None:
    """The message, which programs log, has a star for the key of a map and an unknown member."""

    class Stock(Model):
        model_config = ConfigDict(extra="forbid")
        counts: dict[str, int]

    command = Command(
        name="stock", contract=CONTRACT, aggregate=THING, payload=Stock, result=Outcome,
        description="Stock.",
    )  # fmt: skip
    for payload, pointer, shown in (
        ({"counts": {"s3cret": "x"}}, "/command/counts/s3cret", "/command/counts/*"),
        ({"counts": {}, "s3cret": 1}, "/command/s3cret", "/command/*"),
    ):
        with pytest.raises(InvalidArgumentError) as refused:
            OperationCodec(command).decode_request(dump(request(command=payload))).read_payload()
        message, violations = message_and_violations(refused.value)
        assert message.startswith(f"the payload of stock breaks the contract: {shown}: ")
        assert [each["pointer"] for each in violations] == [pointer]


def test_nan_and_infinity_are_reported_as_invalid_json() -> None:
    """NaN and infinities are found even if the message is otherwise valid."""
    no_json = [{"pointer": "", "message": "NaN is not valid JSON"}]
    error = payload_error(dump(request(later=float("nan"))))
    assert message_and_violations(error) == ("the request is not valid JSON", no_json)
    event = EventCodec(HAPPENED).encode("k", Happened(text="x"), 1, make_context())
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(event[:-1] + b',"later":NaN}')
    assert message_and_violations(refused.value) == (
        "the event happened breaks the contract",
        no_json,
    )
    with pytest.raises(InternalError) as failed:
        RUNS.decode_response(b'{"success":true,"result":{"text":"x"},"duration":1,"x":-Infinity}')
    assert (
        failed.value.message
        == f"the reply of {RUN.subject} is not valid JSON: -Infinity is not valid JSON"
    )


def test_envelope_error_message_has_the_first_violation() -> None:
    """The message has the first violation, the details have all of them."""
    with pytest.raises(InvalidArgumentError) as refused:
        RUNS.decode_request(dump(request(aggregateId={})))
    assert message_and_violations(refused.value) == (
        "the request envelope is invalid: /aggregateId/type: Field required",
        [
            {
                "pointer": f"/aggregateId/{each}",
                "keyword": "required",
                "message": "Field required",
            }
            for each in ("type", "key")
        ],
    )
    error = payload_error(dump(request(command=None)))
    assert error.message == "the payload of run breaks the contract: /command: Field required"


def test_event_error_message_has_the_first_violation() -> None:
    """The message has the first violation, the details have all of them."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(b"{")
    assert refused.value.message.startswith("the event happened breaks the contract: Invalid JSON")
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(b'{"id":5}')
    assert {each["pointer"] for each in message_and_violations(refused.value)[1]} >= {
        "/id",
        "/type",
        "/data",
    }


def test_invalid_reply_reports_violations() -> None:
    """The violations are those of a success reply; for a failure, those of a failure."""
    with pytest.raises(InternalError) as failed:
        RUNS.decode_response(b'{"success":true,"result":{"text":5},"duration":1}')
    assert message_and_violations(failed.value) == (
        f"the reply of {RUN.subject} breaks the contract",
        [
            {
                "pointer": "/result/text",
                "keyword": "type",
                "message": "Input should be a valid string",
            }
        ],
    )
    told_of_a_failure = RUNS.decode_failure(b'{"success":false,"error":5,"duration":1}')
    assert [each["pointer"] for each in message_and_violations(told_of_a_failure)[1]] == ["/error"]


def test_invalid_reply_metadata_is_reported_on_access() -> None:
    """Reading the metadata of a reply raises an error with its violations."""
    reply: Any = RUNS.decode_response(
        b'{"success":true,"result":{"text":"x"},"duration":1,"metadata":5}'
    )
    with pytest.raises(InternalError) as failed:
        reply.metadata  # noqa: B018 - reading it is the test
    message, found = message_and_violations(failed.value)
    assert message == "the metadata of the reply is invalid"
    assert [each["pointer"] for each in found] == ["/metadata"]


def test_decode_model_is_strict_and_uses_wire_names() -> None:
    """Only wire names are read, strictly; errors have the pointers of the violations."""

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
        message, found = message_and_violations(failed.value)
        assert message == f"the message is not a valid {model.__name__}"
        assert {each["pointer"] for each in found} == pointers


def test_violations_are_limited() -> None:
    """At most 20 violations are reported, with pointers of at most 200 characters."""

    class Numbers(Model):
        values: dict[str, int]

    with pytest.raises(InternalError) as failed:
        decode_model(Numbers, dump({"values": {"a" * 300 + str(each): "x" for each in range(30)}}))
    found = message_and_violations(failed.value)[1]
    assert len(found) == 20
    assert {each["pointer"] for each in found} == {"/values/" + "a" * 192}


def test_branches_of_a_union_are_reported_once() -> None:
    """What several branches of a union say of one place takes one of the 20 places."""

    class Left(Model):
        name: str

    class Right(Model):
        name: str | None

    class Pairs(Model):
        values: list[Left | Right]

    with pytest.raises(InternalError) as failed:
        decode_model(Pairs, dump({"values": [1] * 30}))
    found = message_and_violations(failed.value)[1]
    assert [each["pointer"] for each in found] == [f"/values/{at}" for at in range(20)]
    assert {each["message"] for each in found} == {"Input should be an object"}


def test_contract_breach_error_names_expected_type() -> None:
    """The error names the operation, the promised type and the returned one."""
    for codec, promised in ((RUNS, "Outcome"), (FORGETS, "NoneType"), (GETS, "Entity[Thing]")):
        with pytest.raises(ContractBreachError) as breach:
            codec.encode_success(Thing(text="x"), 1, make_context())
        assert str(breach.value) == (
            f"{codec.operation.name} must return {promised} according to its contract, not Thing"
        )


def test_failure_details_are_sent_unchanged() -> None:
    """Details that are not a model keep their names and values."""
    details = {"snake_case": 1, "deep": [{"x": None}]}
    with pytest.raises(NotFoundError) as failed:
        RUNS.decode_response(encode(NotFoundError(details=details), 1, None))
    assert failed.value.details == details


def test_declared_error_keeps_message_and_detail_names() -> None:
    """Details with other names than the declared ones are not the declared error."""

    class Shelf(Model):
        shelf_number: Annotated[int, Field(alias="shelfNumber")]

    class ShelfEmptyError(NotFoundError):
        name: ClassVar[str] = "shelf-empty"
        details_type = Shelf

    codec = OperationCodec(replace(RUN, errors=(ShelfEmptyError, NotReadyError)))
    with pytest.raises(NotReadyError, match=r"^FAILED_PRECONDITION not-ready: wait a little$"):
        codec.decode_response(encode(NotReadyError("wait a little"), 1, None))
    for name, kind in (("shelfNumber", ShelfEmptyError), ("shelf_number", NotFoundError)):
        error = NotFoundError("none", details={"error": "shelf-empty", "data": {name: 5}})
        with pytest.raises(NotFoundError) as failed:
            codec.decode_response(encode(error, 1, None))
        assert type(failed.value) is kind


def test_python_names_are_unknown_on_the_wire() -> None:
    """A member under its Python name is unknown and ignored."""
    unknown = dump(request(command={"action": "a", "retry_count": 1}))
    assert RUNS.decode_request(unknown).read_payload() == Run(action="a")
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
