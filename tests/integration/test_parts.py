"""Calls and events whose parts are of any type, over a real server and in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import JsonValue

from testkit.parts import (
    BOOK,
    BOOKED,
    BOOKING,
    CONTRACT,
    ECHO,
    GET,
    RATE,
    TAG,
    TAGGED,
    Booking,
    Parts,
    RefusedError,
    UnknownError,
)
from weenats import (
    Command,
    Endpoint,
    Event,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    NotFoundError,
    PermissionDeniedError,
    ReceivedEvent,
    RequestContext,
    Response,
    ServiceClient,
)
from weenats.events import publish, subscribe
from weenats.schema import JsonSchemas, Judge, Schema
from weenats.testing import MemoryTransport

if TYPE_CHECKING:
    from weenats import CallNext, Transport

WRONG = Booking(price=Decimal("1.001"), kind="flight")


class PartsClient(ServiceClient):
    """A client of the service."""

    contract = CONTRACT


@pytest.fixture(params=["memory", "nats"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """A connection, in memory and to a server."""
    if request.param == "memory":
        yield MemoryTransport()
        return
    connection = NatsTransport(request.getfixturevalue("nats_url"))
    await connection.connect()
    yield connection
    await connection.close()


@pytest.fixture
def handlers() -> Parts:
    """The handlers of the running service."""
    return Parts()


@pytest.fixture
async def client(transport: Transport, handlers: Parts) -> AsyncIterator[PartsClient]:
    """A client of the running service."""
    async with NatsServiceBuilder(handlers, transport=transport).build():
        yield PartsClient(transport)


async def test_parts_of_any_type_arrive(client: PartsClient, handlers: Parts) -> None:
    """Models, lists, numbers, null and any JSON arrive as what they are, at both ends."""
    assert await client.execute(BOOK, "k", BOOKING) == BOOKING
    handlers.answer = lambda _: None
    assert await client.execute(TAG, "k", ["a", "b"]) is None
    assert await client.execute(RATE, "k", 7) is None  # type: ignore[func-returns-value]
    handlers.answer = lambda payload: payload
    for value in (None, [1, {"a": None}], "x", 0.5, {}):
        assert await client.query(ECHO, "k", value) == value
    entity = await client.query(GET, "k", None)
    assert (entity.id.key, entity.state, entity.revision) == ("k", 5, 1)
    assert handlers.seen == [BOOKING, ["a", "b"], 7, None, [1, {"a": None}], "x", 0.5, {}]


async def test_wrong_payload_is_not_sent(client: PartsClient, handlers: Parts) -> None:
    """The client judges a payload before it sends it."""
    for operation, payload in ((BOOK, WRONG), (TAG, ["a", "a"]), (RATE, 11), (TAG, None)):
        with pytest.raises(InvalidArgumentError) as refused:
            await client.execute(operation, "k", payload)  # type: ignore[misc]
        assert not refused.value.remote
    assert handlers.seen == []


async def test_wrong_payload_is_refused(
    client: PartsClient, transport: Transport, handlers: Parts
) -> None:
    """The service judges a payload that a foreign client sends, and names the places."""
    payload = {"price": 1.001, "kind": "room", "secret": "s3cret"}
    body = {"aggregateId": {"type": "part", "key": "k"}, "command": payload}
    reply = await transport.request(
        BOOK.subject, json.dumps(body).encode(), b"", asyncio.get_running_loop().time() + 60, bool
    )
    error = json.loads(reply.payload)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert {(each["pointer"], each["keyword"]) for each in error["details"]["violations"]} == {
        ("/command/price", "multipleOf"),
        ("/command/nights", "required"),
    }
    assert "s3cret" not in str(error)
    assert handlers.seen == []
    assert await client.execute(BOOK, "k", BOOKING) == BOOKING


async def test_wrong_result_is_not_sent(
    client: PartsClient, handlers: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """The service judges what its handlers return; the log says what is wrong with it."""
    for call, wrong in (
        (client.execute(BOOK, "k", BOOKING), WRONG),
        (client.execute(TAG, "k", ["a"]), "a"),
        (client.execute(RATE, "k", 1), 1),
        (client.query(ECHO, "k", 1), object()),
        (client.query(GET, "k", None), 4),
    ):
        handlers.answer = lambda _, wrong=wrong: wrong
        with pytest.raises(InternalError) as failed:
            await call
        assert failed.value.remote
        assert failed.value.details is None
    assert "must return Booking according to its contract: /price: Input should be" in caplog.text
    assert "must return Entity[Odd]" in caplog.text


@pytest.mark.parametrize(
    "make", [lambda: RefusedError(details=["a"]), lambda: UnknownError(details=None)]
)
async def test_details_of_any_type_arrive(
    client: PartsClient, handlers: Parts, make: Callable[[], Exception]
) -> None:
    """A declared error arrives with its details, whatever their type is."""
    error: Any = make()

    def fail(_: object) -> None:
        raise error

    handlers.answer = fail
    with pytest.raises(type(error)) as failed:
        await client.execute(BOOK, "k", BOOKING)
    assert failed.value.details == error.details
    assert failed.value.remote


async def test_wrong_details_are_not_sent(
    client: PartsClient, handlers: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """Details that break their schema are an error of the service, and logged."""

    def fail(_: object) -> None:
        raise RefusedError(details=["twice", "twice"])

    handlers.answer = fail
    with pytest.raises(InternalError):
        await client.execute(BOOK, "k", BOOKING)
    assert "cannot be sent unchanged: Input should not have equal items" in caplog.text
    assert "twice" not in caplog.text


async def test_events_of_any_type_arrive(transport: Transport) -> None:
    """Data that is judged or a list arrives; data that breaks its schema is not published."""
    arrived: asyncio.Queue[ReceivedEvent[Any]] = asyncio.Queue()
    async with (
        await subscribe(transport, TAGGED, arrived.put),
        await subscribe(transport, BOOKED, arrived.put),
    ):
        with pytest.raises(InvalidArgumentError):
            await publish(transport, TAGGED, "k", ["a", "a"], revision=1)
        await publish(transport, TAGGED, "k", ["a"], revision=1)
        assert (await arrived.get()).data == ["a"]
        await publish(transport, BOOKED, "k", BOOKING, revision=1)
        assert (await arrived.get()).data == BOOKING


async def test_refused_callers_learn_nothing(transport: Transport) -> None:
    """An interceptor that refuses callers does so before any judge sees their payload."""

    async def refuse(context: RequestContext, call_next: CallNext) -> Response:
        del context, call_next
        raise PermissionDeniedError

    handlers = Parts()
    builder = NatsServiceBuilder(handlers, transport=transport).with_interceptor(refuse)
    async with builder.build():
        body = b'{"aggregateId":{"type":"part","key":"k"},"command":{"price":%b}}'
        replies = []
        for price in (b"1.001", b"1.01"):
            reply = await transport.request(
                BOOK.subject, body % price, b"", asyncio.get_running_loop().time() + 60, bool
            )
            replies.append(json.loads(reply.payload)["error"])
    assert replies[0] == replies[1]
    assert replies[0]["code"] == "PERMISSION_DENIED"


async def test_schemas_are_compiled_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A running service has compiled its schemas, those of its errors and events included."""
    schemas = JsonSchemas(json.dumps({"$defs": dict.fromkeys(("A", "B", "C", "D"), True)}))
    parts = {name: Schema[JsonValue](JsonValue, schemas[name]) for name in ("A", "B", "C", "D")}

    class FreshError(NotFoundError):
        name = "fresh"
        details_type = parts["C"]

    event = Event(name="fresh", contract=CONTRACT, data=parts["D"], description="Fresh.")
    command = Command(
        name="fresh",
        contract=CONTRACT,
        payload=parts["A"],
        result=parts["B"],
        errors=(FreshError,),
        emits=(event,),
        description="Fresh.",
    )

    class Fresh(Parts):
        def endpoints(self) -> tuple[Endpoint, ...]:
            return (Endpoint.command(command, self.respond),)

    compiled: list[str] = []
    compile_schema = Judge.compile

    def spy(judge: Judge) -> Any:
        compiled.append(judge.name)
        return compile_schema(judge)

    monkeypatch.setattr(Judge, "compile", spy)
    async with NatsServiceBuilder(Fresh(), transport=MemoryTransport()).build():
        assert set(compiled) == {"A", "B", "C", "D"}
