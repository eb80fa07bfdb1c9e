"""A peer that implements only the wire protocol.

Raw nats-py and json, against our service and against our client.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from nats.aio.client import Client as RawClient

from testkit.probe import (
    FindParameters,
    Happened,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Probe,
    ProbeClient,
    Run,
)
from testkit.waiting import LIMIT
from weenats import InternalError, RequestContext, ServiceError
from weenats.errors import CLASS_OF_CODE

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NUMBERS = {
    "INVALID_ARGUMENT": "400",
    "UNAUTHENTICATED": "401",
    "PERMISSION_DENIED": "403",
    "NOT_FOUND": "404",
    "ALREADY_EXISTS": "409",
    "ABORTED": "409",
    "FAILED_PRECONDITION": "422",
    "RESOURCE_EXHAUSTED": "429",
    "CANCELLED": "499",
    "INTERNAL": "500",
    "UNIMPLEMENTED": "501",
    "UNAVAILABLE": "503",
    "DEADLINE_EXCEEDED": "504",
}
MESSAGE_ID = "01J9Z3NDEKTSV4RRFFQ69G5FAV"
METADATA = {
    "messageId": MESSAGE_ID,
    "timestamp": "2026-11-24T01:02:03.004Z",
    "correlation": {"correlationId": "order-1", "causationId": "click-1"},
    "authentication": {"type": "jwt", "token": "a.b.c"},
    "context": {"tenant": "acme"},
    "unknown": True,
}
RUN = {"aggregateId": {"type": "thing", "key": "k"}, "command": {"action": "a"}}


async def test_command_with_all_metadata(ask: Any, handlers: Probe) -> None:
    """The reply names the request as its cause and echoes no request header."""
    answer = await ask(
        "probe.command.thing.run", {**RUN, "metadata": METADATA, "x": 1}, {"X-Secret": "s"}
    )
    assert answer["success"] is True
    assert answer["result"] == {"text": "a"}
    assert answer["duration"] >= 0
    assert answer["headers"] == {}
    metadata = answer["metadata"]
    assert metadata["correlation"] == {"correlationId": "order-1", "causationId": MESSAGE_ID}
    assert ULID.fullmatch(metadata["messageId"])
    assert TIMESTAMP.fullmatch(metadata["timestamp"])
    (seen,) = handlers.seen
    assert (seen.message_id, seen.causation_id, seen.metadata_context) == (
        MESSAGE_ID,
        "click-1",
        {"tenant": "acme"},
    )


async def test_command_without_metadata(ask: Any) -> None:
    """The metadata of a request is optional."""
    assert (await ask("probe.command.thing.run", RUN))["result"] == {"text": "a"}


async def test_command_without_result(ask: Any) -> None:
    """The reply of a command without a result has no `result`."""
    answer = await ask("probe.command.thing.forget", RUN)
    assert answer["success"] is True
    assert "result" not in answer


async def test_query_get(ask: Any) -> None:
    """`get` needs no `query` member and returns the entity."""
    answer = await ask("probe.query.thing.get", {"aggregateId": {"type": "thing", "key": "k"}})
    assert answer["entity"] == {
        "id": {"type": "thing", "key": "k"},
        "state": {"text": "k"},
        "revision": 7,
    }


async def test_query_with_parameters(ask: Any) -> None:
    """Parameters are sent in `query`."""
    body = {"aggregateId": {"type": "thing", "key": "k"}, "query": {"pattern": "p"}}
    assert (await ask("probe.query.thing.find", body))["result"] == {"text": "k p"}


@pytest.mark.parametrize("code", NUMBERS)
async def test_error_code_is_sent_in_body_and_headers(ask: Any, handlers: Probe, code: str) -> None:
    """Each canonical error has its code in the body and its number in the headers.

    That of an executed request does not say that a token was refused.
    """

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise CLASS_OF_CODE[code]("because", details={"n": 1})

    handlers.actions["a"] = fail
    answer = await ask("probe.command.thing.run", {**RUN, "metadata": METADATA})
    assert answer["success"] is False
    assert answer["error"] == {"code": code, "message": "because", "details": {"n": 1}}
    assert answer["headers"] == {
        "Nats-Service-Error": "because",
        "Nats-Service-Error-Code": NUMBERS[code],
        **({"Wee-Token-Refused": "false"} if code == "UNAUTHENTICATED" else {}),
    }
    assert answer["metadata"]["correlation"] == {
        "correlationId": "order-1",
        "causationId": MESSAGE_ID,
    }


async def test_declared_errors_are_sent_with_name_and_data(ask: Any, handlers: Probe) -> None:
    """The `details` of a declared error contain its name and its typed data."""

    async def missing(key: str, command: Run, context: RequestContext) -> Outcome:
        raise PartMissingError(details=MissingDetails(part="wheel"))

    async def not_ready(key: str, command: Run, context: RequestContext) -> Outcome:
        raise NotReadyError

    handlers.actions["a"] = missing
    answer = await ask("probe.command.thing.run", RUN)
    assert answer["error"]["details"] == {"error": "part-missing", "data": {"part": "wheel"}}
    handlers.actions["a"] = not_ready
    answer = await ask("probe.command.thing.run", RUN)
    assert answer["error"]["details"] == {"error": "not-ready"}


async def test_health(raw: RawClient, service: Any) -> None:
    """`{service}.health` returns a HealthCheck."""
    answer = json.loads((await raw.request("probe.health", b"")).data)
    assert answer == {
        "type": "io.nats.micro.v1.ping_response",
        "name": "probe",
        "id": service.instance_id,
        "version": "1.2.3",
        "status": "ok",
        "data": {"live": True, "ready": True, "checks": []},
    }


async def test_events_use_the_wire_format(raw: RawClient, nats_url: str) -> None:
    """Published events have the wire format; events of a foreign peer arrive as typed models."""
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    await raw.subscribe("probe.events.thing.*", cb=arrived.put)
    await raw.flush()
    await raw.flush()
    async with ProbeClient.connect(nats_url) as client:
        await client.publish_happened(
            "k", Happened(text="x"), revision=3, context={"a": 1}, headers={"X-A": "b"}
        )
        sent = await asyncio.wait_for(arrived.get(), LIMIT)
        body = json.loads(sent.data)
        assert ULID.fullmatch(body.pop("id"))
        assert TIMESTAMP.fullmatch(body.pop("timestamp"))
        metadata = body.pop("metadata")
        assert metadata["context"] == {"a": 1}
        assert body == {
            "type": "happened",
            "aggregate": {"type": "thing", "key": "k"},
            "revision": 3,
            "data": {"whatText": "x"},
        }
        assert sent.headers == {"X-A": "b"}
        received: asyncio.Queue[Any] = asyncio.Queue()
        async with await client.subscribe_happened(received.put):
            foreign = {**body, "id": MESSAGE_ID, "timestamp": METADATA["timestamp"], "unknown": 1}
            await raw.publish("probe.events.thing.happened", json.dumps(foreign).encode())
            event = await asyncio.wait_for(received.get(), LIMIT)
            assert (event.id, event.key, event.revision, event.data) == (
                MESSAGE_ID,
                "k",
                3,
                Happened(text="x"),
            )


async def _serve_reply(
    raw: RawClient, subject: str, answer: dict[str, Any]
) -> list[dict[str, Any]]:
    """Run a foreign service with this reply; return the list of requests it gets."""
    requests: list[dict[str, Any]] = []

    async def reply(message: Any) -> None:
        requests.append({**json.loads(message.data), "headers": message.headers})
        await raw.publish(message.reply, json.dumps(answer).encode())

    await raw.subscribe(subject, cb=reply)
    await raw.flush()
    await raw.flush()
    return requests


async def test_client_calls_a_foreign_service(raw: RawClient, nats_url: str) -> None:
    """The client needs only the wire protocol from a service, and sends only that."""
    answer = {"result": {"text": "hi"}, "duration": 2, "success": True, "other": 1}
    requests = await _serve_reply(raw, "probe.query.thing.find", answer)
    async with ProbeClient.connect(nats_url, token="a.b.c") as client:
        assert (await client.find("k", FindParameters(pattern="p"), timeout=60)).text == "hi"
    (request,) = requests
    metadata = request["metadata"]
    assert request["aggregateId"] == {"type": "thing", "key": "k"}
    assert request["query"] == {"pattern": "p"}
    assert metadata["authentication"] == {"type": "jwt", "token": "a.b.c"}
    assert metadata["correlation"] == {"correlationId": metadata["messageId"]}
    assert 60_000 - 1000 * LIMIT < int(request["headers"]["Wee-Timeout"]) <= 60_000


@pytest.mark.parametrize("code", NUMBERS)
async def test_error_code_is_raised_as_its_class(raw: RawClient, nats_url: str, code: str) -> None:
    """An error of a foreign service is raised as the class of its code."""
    error = {"code": code, "message": "because", "details": {"n": 1}}
    await _serve_reply(
        raw, "probe.command.thing.run", {"success": False, "error": error, "duration": 0}
    )
    async with ProbeClient.connect(nats_url) as client:
        with pytest.raises(ServiceError) as raised:
            await client.run("k", Run(action="a"))
    assert type(raised.value) is CLASS_OF_CODE[code]
    assert (raised.value.message, raised.value.details, raised.value.remote) == (
        "because",
        {"n": 1},
        True,
    )


@pytest.mark.parametrize(
    "error",
    [
        {"code": "NO_SUCH_CODE", "message": "x"},
        {"code": "NOT_FOUND"},
        {"code": "NOT_FOUND", "message": 5},
        "broken",
    ],
)
async def test_malformed_error_raises_internal_error(
    raw: RawClient, nats_url: str, error: Any
) -> None:
    """An error reply that breaks the wire protocol raises a local InternalError."""
    await _serve_reply(
        raw, "probe.command.thing.run", {"success": False, "error": error, "duration": 0}
    )
    async with ProbeClient.connect(nats_url) as client:
        with pytest.raises(InternalError, match="breaks the contract"):
            await client.run("k", Run(action="a"))


@pytest.mark.parametrize("data", [None, {}, {"part": 5}, "x"])
async def test_declared_error_with_wrong_details_keeps_its_code(
    raw: RawClient, nats_url: str, data: Any
) -> None:
    """If the typed details do not match, the caller gets the class of the error code."""
    error = {
        "code": "NOT_FOUND",
        "message": "x",
        "details": {"error": "part-missing", "data": data},
    }
    await _serve_reply(
        raw, "probe.command.thing.run", {"success": False, "error": error, "duration": 0}
    )
    async with ProbeClient.connect(nats_url) as client:
        with pytest.raises(ServiceError) as raised:
            await client.run("k", Run(action="a"))
    assert raised.value.code == "NOT_FOUND"
    assert not isinstance(raised.value, PartMissingError)
