"""Parts of any type, which JSON Schemas judge where their models are not exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.parts import (
    BOOK,
    BOOKED,
    BOOKING,
    ECHO,
    GET,
    JSON_SCHEMAS,
    RATE,
    TAG,
    TAGGED,
    Booking,
    Odd,
    RefusedError,
    UnknownError,
)
from testkit.probe import RUN, Run
from testkit.wire import dump
from weenats import (
    Entity,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    Model,
    NotFoundError,
    ServiceError,
)
from weenats.codec.events import EventCodec
from weenats.codec.failures import encode_failure
from weenats.codec.json import UNREADABLE, is_unreadable
from weenats.codec.numbers import load_decimals
from weenats.codec.operations import ContractBreachError, OperationCodec
from weenats.contract import AnyOperation
from weenats.events import ReceivedEvent
from weenats.idempotency.entries import Entry, decode_entry, done
from weenats.schema import Judge, Schema

BOOKS, TAGS, RATES, ECHOES, GETS = map(OperationCodec, (BOOK, TAG, RATE, ECHO, GET))
VALID = {"price": 1.10, "kind": "flight"}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"price": 1.001}, "/price", "multipleOf"),
    ({"price": 0}, "/price", "exclusiveMinimum"),
    ({"price": "1.10"}, "/price", "type"),
    ({"kind": "room"}, "/nights", "required"),
    ({"from": "2026-12-01"}, "", "dependentRequired"),
    ({"nights": 1, "from": "2026-13-01"}, "/from", "format"),
    ({"stay": "P1Y"}, "/stay", "format"),  # valid, but Python cannot hold it
    ({"note": "\u0661"}, "/note", "pattern"),
    ({"file": "?"}, "/file", "format"),
    ({"unknown": 1}, "", "unevaluatedProperties"),
    ({"nights": 1.5}, "/nights", "type"),
    ({"nights": None}, "/nights", "type"),
]


def in_request(payload: Any, **members: Any) -> bytes:
    """Return a request with a payload."""
    return dump({"aggregateId": {"type": "part", "key": "k"}, "command": payload, **members})


def shuffled(payload: Any) -> bytes:
    """Return a request whose payload comes first, so that it is not found by its place."""
    return dump({"command": payload, "aggregateId": {"type": "part", "key": "k"}})


def refusal(codec: OperationCodec, data: bytes) -> InvalidArgumentError:
    """Return the error of a request whose payload is invalid."""
    with pytest.raises(InvalidArgumentError) as refused:
        codec.decode_request(data).read_payload()
    assert refused.value.__context__ is None
    return refused.value


def received(codec: EventCodec, data: bytes) -> Any:
    """Return the data of an event."""
    return ReceivedEvent[Any](codec.decode(data), {}).data


def test_judged_payload_keeps_every_value() -> None:
    """What is encoded is decoded to the same, with all digits, at both ends."""
    request = BOOKS.encode_request(make_context(operation=BOOK, payload=BOOKING))
    assert b'"price":12345678901234567890.10,' in request
    assert b'"stay":"P400D"' in request
    decoded: Any = BOOKS.decode_request(request).read_payload()
    assert decoded == BOOKING
    assert str(decoded.price) == "12345678901234567890.10"
    reply = BOOKS.encode_success(BOOKING, 1, make_context())
    assert BOOKS.decode_response(reply).result == BOOKING
    context = make_context()
    event = EventCodec(BOOKED).encode("k", BOOKING, 1, context)
    assert received(EventCodec(BOOKED), event) == BOOKING


@pytest.mark.parametrize("make", [in_request, shuffled])
@pytest.mark.parametrize(("change", "pointer", "keyword"), REFUSED)
def test_judged_payload_is_refused(make: Any, change: Any, pointer: str, keyword: str) -> None:
    """Each violation has the pointer into the request, and its keyword."""
    found: list[dict[str, str]] = refusal(BOOKS, make({**VALID, **change})).details["violations"]
    assert (f"/command{pointer}", keyword) in {(each["pointer"], each["keyword"]) for each in found}
    assert BOOKS.decode_request(make(VALID)).read_payload() == Booking(
        price=Decimal("1.1"), kind="flight"
    )


@pytest.mark.parametrize(("change", "pointer", "keyword"), REFUSED)
def test_judged_results_and_events_are_refused(
    change: dict[str, Any], pointer: str, keyword: str
) -> None:
    """A reply that breaks the contract is an InternalError, an event an InvalidArgumentError."""
    value = {**VALID, **change}
    with pytest.raises(InternalError) as broken:
        BOOKS.decode_response(dump({"success": True, "result": value, "duration": 1}))
    found = broken.value.details["violations"]
    assert (f"/result{pointer}", keyword) in {(each["pointer"], each["keyword"]) for each in found}
    event = EventCodec(BOOKED).encode("k", BOOKING, 1, make_context())
    document = json.loads(event) | {"data": value}
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(BOOKED).decode(dump(document))
    found = refused.value.details["violations"]
    assert (f"/data{pointer}", keyword) in {(each["pointer"], each["keyword"]) for each in found}


def test_values_are_judged_when_they_are_encoded() -> None:
    """A model with the right types that breaks its schema is refused before it is sent."""
    wrong = Booking(price=Decimal("1.001"), kind="flight")
    with pytest.raises(InvalidArgumentError, match="/command/price: Input should be a multiple"):
        BOOKS.encode_request(make_context(operation=BOOK, payload=wrong))
    with pytest.raises(ContractBreachError, match=r"book must return Booking .*: /price: Input"):
        BOOKS.encode_success(wrong, 1, make_context())
    with pytest.raises(InvalidArgumentError, match="the event booked cannot be encoded: /price"):
        EventCodec(BOOKED).encode("k", wrong, 1, make_context())
    for value, why in (
        (Booking(price=Decimal(1), kind="room"), "/nights"),
        ({"price": 1, "kind": "flight"}, "not dict"),
        (Booking.model_construct(price=Decimal(1), kind="flight", nights="x"), "/nights"),
    ):
        with pytest.raises(ContractBreachError, match=why):
            BOOKS.encode_success(value, 1, make_context())


@pytest.mark.parametrize(
    ("codec", "values", "wrong"),
    [
        (TAGS, [[], ["a", "b"]], [["a", "a"], [""], "a", [1], None, {}]),
        (RATES, [0, 10], [11, -1, "1", 1.5, True, None, []]),
        (
            ECHOES,
            [None, 0, "x", [1, {"a": None}], {"b": True}, 1.5],
            [object(), {1: 2}, float("nan")],
        ),
    ],
)  # fmt: skip
def test_payloads_of_any_type(codec: OperationCodec, values: list[Any], wrong: list[Any]) -> None:
    """Values that are not models are checked where they are sent and where they arrive."""
    member = "query" if codec is ECHOES else "command"
    for value in values:
        data = codec.encode_request(make_context(operation=codec.operation, payload=value))
        assert json.loads(data)[member] == value
        assert codec.decode_request(data).read_payload() == value
    for value in wrong:
        with pytest.raises(InvalidArgumentError):
            codec.encode_request(make_context(operation=codec.operation, payload=value))
        if codec is not ECHOES:
            assert refusal(codec, in_request(value)).details["violations"]
    missing = dump({"aggregateId": {"type": "part", "key": "k"}})
    assert f"/{member}: Field required" in refusal(codec, missing).message


@pytest.mark.parametrize(
    ("codec", "values", "wrong"),
    [
        (TAGS, [None, "ab"], ["a", 5, []]),
        (RATES, [None], [0, ""]),
        (ECHOES, [None, 0, [None], "x"], [object(), float("inf")]),
    ],
)
def test_results_of_any_type(codec: OperationCodec, values: list[Any], wrong: list[Any]) -> None:
    """A result that may be null is sent as null, which differs from no result."""
    for value in values:
        data = codec.encode_success(value, 1, make_context())
        assert json.loads(data)["result"] == value
        assert codec.decode_response(data).result == value
    for value in wrong:
        with pytest.raises(ContractBreachError):
            codec.encode_success(value, 1, make_context())
        if codec is not ECHOES:
            with pytest.raises(InternalError):
                codec.decode_response(dump({"success": True, "result": value, "duration": 1}))
    with pytest.raises(InternalError):
        codec.decode_response(b'{"success":true,"duration":1}')


def test_states_of_any_type() -> None:
    """The state of an entity is judged; its id and revision are as ever."""
    entity: Any = Entity[Odd](id=make_context(operation=GET).aggregate_id, state=5, revision=1)
    data = GETS.encode_success(entity, 1, make_context(operation=GET))
    assert GETS.decode_response(data).result == entity
    for state in (4, "5", None):
        changed = entity.model_copy(update={"state": state})
        with pytest.raises(ContractBreachError):
            GETS.encode_success(changed, 1, make_context(operation=GET))
        document = json.loads(data)
        document["entity"]["state"] = state
        with pytest.raises(InternalError) as broken:
            GETS.decode_response(dump(document))
        assert broken.value.details["violations"][0]["pointer"] == "/entity/state"


def test_details_of_any_type() -> None:
    """Details of declared errors are judged as well; others are the class of their code."""
    for error in (
        RefusedError(details=["a"]),
        UnknownError(details=None),
        UnknownError(details="x"),
    ):
        with pytest.raises(type(error)) as failed:
            BOOKS.decode_response(encode_failure(error, 1, None))
        assert failed.value.details == error.details
    for details in (["a", "a"], "a", None):
        with pytest.raises(ValueError):  # noqa: PT011 - any reason
            encode_failure(RefusedError(details=details), 1, None)  # type: ignore[arg-type]
        sent = b'{"success":false,"error":%b,"duration":1}'
        body = {"error": "refused", "data": details}
        failure = BOOKS.decode_failure(
            sent % dump({"code": "FAILED_PRECONDITION", "message": "x", "details": body})
        )
        assert type(failure) is FailedPreconditionError
        assert failure.details == body
    without = encode_failure(NotFoundError(details={"error": "unknown"}), 1, None)
    assert type(BOOKS.decode_failure(without)) is NotFoundError


def test_whole_floats_are_integers() -> None:
    """JSON Schema calls 1.0 and 1e2 integers, in parts with and without a judge."""

    class Counted(Model):
        count: int
        share: float
        big: int = 0

    exact = OperationCodec(replace(RUN, payload=Counted, result=Counted))
    for text, count in ((b"1.0", 1), (b"1e2", 100), (b"-2.50E1", -25), (b"10.00e-1", 1)):
        payload = b'{"count":%b,"share":2.0}' % text
        for data in (
            b'{"aggregateId":{"type":"thing","key":"k"},"command":%b}' % payload,
            b'{"command":%b,"aggregateId":{"type":"thing","key":"k"}}' % payload,
        ):
            assert exact.decode_request(data).read_payload() == Counted(count=count, share=2)
        reply = b'{"success":true,"result":%b,"duration":1}' % payload
        assert exact.decode_response(reply).result == Counted(count=count, share=2)
    booking: Any = BOOKS.decode_request(in_request({**VALID, "nights": 2.0})).read_payload()
    assert (booking.nights, type(booking.nights)) == (2, int)
    huge = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"count":1,"share":1,"big":%b}}'
    assert exact.decode_request(huge % b"1e22").read_payload() == Counted(
        count=1, share=1, big=10**22
    )
    for text in (b"1.5", b"1e999", b"1e99999999999999999999", b"5e-1"):
        assert refusal(exact, huge % text).details["violations"][0]["pointer"] == "/command/big"


def test_decimals_have_no_limits_of_floats() -> None:
    """Decimals are read and written beyond the digits and the range of a float."""
    for text in ("1E+400", "0.010", "1e-2", "100", "123456789.12"):
        data = b'{"aggregateId":{"type":"part","key":"k"},"command":{"price":%b,"kind":"flight"}}'
        booking: Any = BOOKS.decode_request(data % text.encode()).read_payload()
        assert booking.price == Decimal(text)
        again = BOOKS.encode_request(make_context(operation=BOOK, payload=booking))
        assert BOOKS.decode_request(again).read_payload() == booking
    refused = refusal(BOOKS, data % b"1e99999999999999999999")
    assert refused.details["violations"]


@pytest.mark.parametrize("number", [b"1e9999", b"1e309", b"1e999999999"])
def test_large_decimals_are_few(number: bytes) -> None:
    """Only a few numbers of a message may be larger than floats, since judging them is slow."""
    accepted, refused = (b"[%b]" % b",".join([number] * count) for count in (100, 101))
    assert len(load_decimals(accepted)) == 100
    with pytest.raises(ValueError, match="too many numbers have large exponents"):
        load_decimals(refused)
    assert len(load_decimals(b"[%b]" % b",".join([b"1e308", b"0.1"] * 500))) == 1000


def test_text_in_place_of_digits_is_not_replaced() -> None:
    """No text of a member is taken for a number of another one."""
    booking = BOOKING.model_copy(update={"anything": ['"1.5"', "0123456789abcdef1.5"]})
    data = BOOKS.encode_request(make_context(operation=BOOK, payload=booking))
    assert BOOKS.decode_request(data).read_payload() == booking


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"[NaN]"])
@pytest.mark.parametrize("codec", [BOOKS, TAGS, ECHOES])
def test_nan_is_refused_in_any_part(codec: OperationCodec, text: bytes) -> None:
    """NaN and infinities are not JSON, whatever the type of the part."""
    member = b"query" if codec is ECHOES else b"command"
    data = b'{"aggregateId":{"type":"part","key":"k"},"%b":%b}' % (member, text)
    assert refusal(codec, data).details["violations"]
    with pytest.raises(InternalError):
        codec.decode_response(b'{"success":true,"result":%b,"duration":1}' % text)


def test_nan_of_members_is_not_sent() -> None:
    """A member of any type may hold NaN in Python; it is neither sent nor replaced by null."""

    class Loose(Model):
        anything: Any

    codec = OperationCodec(replace(RUN, payload=Loose, result=Loose))
    for number in (float("nan"), float("inf"), -float("inf")):
        loose = Loose(anything={"deep": [number]})
        with pytest.raises(ContractBreachError, match="is not valid JSON"):
            codec.encode_success(loose, 1, make_context())
        with pytest.raises(InvalidArgumentError, match="is not valid JSON"):
            codec.encode_request(make_context(operation=codec.operation, payload=loose))
    fine = Loose(anything="NaN Infinity")
    assert codec.decode_response(codec.encode_success(fine, 1, make_context())).result == fine


def test_payload_of_refused_callers_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding a request does not look at a payload that a judge will decide about."""
    calls: list[object] = []

    def is_valid(judge: Judge, value: object) -> bool:
        calls.append((judge.name, value))
        return False

    monkeypatch.setattr(Judge, "is_valid", is_valid)
    request = TAGS.decode_request(in_request(["a"]))
    assert calls == []
    with pytest.raises(InvalidArgumentError):
        request.read_payload()
    assert calls[0] == ("Tags", ["a"])


def test_names_in_judged_events_are_hidden() -> None:
    """What is logged of an event has no names of members but those that its schemas declare."""
    event = EventCodec(BOOKED).encode("k", BOOKING, 1, make_context())
    document = json.loads(event)
    document["data"]["prices"] = {"s3cret": 0.00001}
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(BOOKED).decode(dump(document))
    assert [each["pointer"] for each in refused.value.details["violations"]] == ["/data/prices/*"]
    assert "s3cret" not in str(refused.value)


def test_unknown_schema_is_an_error_of_the_codec() -> None:
    """Schemas are compiled when a service starts: a missing one is found then."""
    broken: AnyOperation = replace(TAG, payload=Schema[list[str]](list[str], JSON_SCHEMAS["No"]))
    with pytest.raises(KeyError, match="No"):
        OperationCodec(broken)


def test_judged_events_of_any_type() -> None:
    """The data of an event may be a list."""
    codec = EventCodec(TAGGED)
    assert received(codec, codec.encode("k", ["a"], 1, make_context())) == ["a"]
    with pytest.raises(InvalidArgumentError):
        codec.encode("k", ["a", "a"], 1, make_context())


def nested(levels: int) -> Any:
    """Return lists within lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def reversed_members(data: bytes) -> bytes:
    """Return an object with its members in the other order."""
    return json.dumps(dict(reversed(json.loads(data).items()))).encode()


def test_nesting_leaves_room_for_what_is_around_a_part() -> None:
    """What is sent can be read again in any message, whoever wrote its members in which order."""
    codec, event = OperationCodec(ECHO), EventCodec(replace(TAGGED, data=ECHO.payload))
    deep, deeper = nested(190), nested(191)
    context = make_context(operation=ECHO, payload=deep)
    request = codec.encode_request(context)
    reply = codec.encode_success(deep, 1, context)
    assert codec.decode_request(request).read_payload() == deep
    assert codec.decode_request(reversed_members(request)).read_payload() == deep
    assert codec.decode_response(reply).result == deep
    assert received(event, event.encode("k", deep, 1, context)) == deep
    assert decode_entry(done("f", reply)) == Entry("done", "f", reply)
    with pytest.raises(InvalidArgumentError, match="nests deeper than 190 levels"):
        codec.encode_request(make_context(operation=ECHO, payload=deeper))
    with pytest.raises(InvalidArgumentError, match="nests deeper than 190 levels"):
        event.encode("k", deeper, 1, context)
    with pytest.raises(ContractBreachError, match="nests deeper than 190 levels"):
        codec.encode_success(deeper, 1, context)
    larger = request.replace(dump(deep), dump(deeper))
    for data in (larger, reversed_members(larger)):
        with pytest.raises(InvalidArgumentError) as refused:
            codec.decode_request(data).read_payload()
        assert refused.value.details["violations"] == [{"pointer": "/query", "message": UNREADABLE}]


@pytest.mark.parametrize("around", [[], ["]"], ["[", "]"], ['"]'], ["\\"], {"}": 1}, {'"}': "}"}])
def test_strings_do_not_hide_how_deep_a_text_nests(around: Any) -> None:
    """Brackets, quotes and backslashes in strings count as text, beside and around a value."""
    for levels, is_deep in ((185, False), (195, True)):
        value: Any = 1
        for _ in range(levels):
            value = [*around, value] if isinstance(around, list) else {**around, "next": value}
        assert is_unreadable(dump(value)) is is_deep
        assert is_unreadable(dump([value, "[" * 300, [[]] * 300])) is is_deep


@pytest.mark.parametrize("value", [[[1]] * 1000, 10**4299, "9" * 5000, ["9" * 4300, 9], "[" * 500])
def test_what_can_be_read_is_sent(value: Any) -> None:
    """Any number of lists beside each other, and any text, may be sent."""
    context = make_context(operation=ECHO, payload=value)
    assert ECHOES.decode_request(ECHOES.encode_request(context)).read_payload() == value


@pytest.mark.parametrize("digits", [4300, 4301, 8599, 20_000])
@pytest.mark.parametrize("before", [0, 1, 4299, 4300, 5000])
def test_integers_that_cannot_be_read_are_not_sent(digits: int, before: int) -> None:
    """Python and its JSON parsers read 4300 digits; more are written, but not sent."""
    context = make_context(operation=ECHO, payload=["x" * before, 10**digits])
    with pytest.raises(InvalidArgumentError, match="an integer of more than 4300 digits"):
        ECHOES.encode_request(context)
    with pytest.raises(ContractBreachError, match="an integer of more than 4300 digits"):
        ECHOES.encode_success(context.payload, 1, context)
    run = Run(action="x" + "x" * before, retry_count=10**digits)
    with pytest.raises(InvalidArgumentError, match="an integer of more than 4300 digits"):
        OperationCodec(RUN).encode_request(make_context(operation=RUN, payload=run))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_any_json_survives(value: Any) -> None:
    """Any JSON value arrives unchanged as a payload and as a result."""
    data = ECHOES.encode_request(make_context(operation=ECHO, payload=value))
    assert ECHOES.decode_request(data).read_payload() == value
    assert ECHOES.decode_response(ECHOES.encode_success(value, 1, make_context())).result == value


def failure_of(action: Callable[[], object]) -> ServiceError | None:
    """Return the error that an action raises, None without; other exceptions are not caught."""
    try:
        action()
    except ServiceError as error:
        return error
    return None


@given(st.binary(max_size=60) | st.text(max_size=40).map(dump))
def test_garbage_raises_only_typed_errors(data: bytes) -> None:
    """Whatever arrives as a part is refused with a typed error, or is valid."""
    request = b'{"aggregateId":{"type":"part","key":"k"},"command":%b}' % data
    reply = b'{"success":true,"result":%b,"duration":1}' % data
    for codec in (BOOKS, TAGS):
        refused = failure_of(lambda codec=codec: codec.decode_request(request).read_payload())
        assert refused is None or refused.details["violations"]
        broken = failure_of(lambda codec=codec: codec.decode_response(reply))
        assert broken is None or type(broken) is InternalError
