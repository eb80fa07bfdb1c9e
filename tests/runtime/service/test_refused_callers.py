"""What callers learn about their payload before an interceptor has let them in: nothing."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from testkit.probe import GET, RUN, Probe, Run
from testkit.tokens import FakeValidator
from testkit.transports import soon
from testkit.wire import METADATA, dump, request
from weenats import NatsServiceBuilder, ResourceExhaustedError
from weenats.codec.operations import OperationCodec
from weenats.context import RequestContext, Response
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.interceptors import CallNext
from weenats.testing import MemoryTransport

NAN = float("nan")
PAYLOADS: list[Any] = [
    {"action": "go"},
    {"action": 5},
    {"action": "go", "amount": NAN},
    {str(number): 1 for number in range(50)},
    {},
    5,
    None,
]
"""Valid, invalid in several ways, and missing."""
ENVELOPES: list[dict[str, Any]] = [
    {},
    {"metadata": METADATA},
    {"later": NAN},
    {"metadata": {**METADATA, "context": {"x": NAN}}},
    {"query": {"action": "go"}},
    {"aggregateId": {"type": "other", "key": "k"}},
    {"aggregateId": {"type": "thing", "key": 5}},
    {"aggregateId": {"type": "thing", "key": NAN}},
    {"metadata": {}},
    {"metadata": {**METADATA, "authentication": {"type": "other"}}},
    {"metadata": {**METADATA, "timestamp": NAN}},
]
HEADERS = [b"", b"Wee-Timeout: 5000\r\n", b"Wee-Timeout: soon\r\n", b"Wee-Timeout: 0\r\n"]


async def answers(transport: MemoryTransport, headers: bytes, **envelope: Any) -> set[str]:
    """Return the errors for all payloads within one envelope."""
    told: set[str] = set()
    for payload in PAYLOADS:
        data = dump(request(**{"command": payload, **envelope}))
        reply = await transport.request(RUN.subject, data, headers, soon())
        error = json.loads(reply.payload)["error"]
        told.add(json.dumps(error, sort_keys=True))
    return told


async def reject(context: RequestContext, call_next: CallNext) -> Response:
    """Refuse every caller."""
    del context, call_next
    raise ResourceExhaustedError("too many")


@pytest.mark.parametrize("feature", ["authentication", "interceptor"])
async def test_refusals_do_not_depend_on_the_payload(feature: str) -> None:
    """Whatever is wrong with envelope and headers, each payload gets the same error."""
    transport = MemoryTransport()
    builder = NatsServiceBuilder(Probe(), transport=transport)
    if feature == "authentication":
        builder = builder.with_auth(validator=FakeValidator())
    else:
        builder = builder.with_interceptor(reject)
    codes: set[str] = set()
    async with builder.build():
        for headers, envelope in product(HEADERS, ENVELOPES):
            told = await answers(transport, headers, **envelope)
            assert len(told) == 1
            codes.add(json.loads(told.pop())["code"])
    expected = "UNAUTHENTICATED" if feature == "authentication" else "RESOURCE_EXHAUSTED"
    assert codes == {expected, "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"}


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_payload_of_a_refused_caller_is_not_read(
    monkeypatch: pytest.MonkeyPatch, payload: Any
) -> None:
    """Finding out takes time, which a caller could measure, and spend on purpose."""
    read: list[bytes] = []
    monkeypatch.setattr(OperationCodec, "_read", lambda _, key, data, place: read.append(data))
    transport = MemoryTransport()
    async with NatsServiceBuilder(Probe(), transport=transport).with_interceptor(reject).build():
        data = dump(request(command=payload))
        await transport.request(RUN.subject, data, b"", soon())
    assert read == []


async def test_handler_does_not_get_an_invalid_request() -> None:
    """The payload is checked before the handler runs, even if the handler does not read it."""
    transport, handlers, errors = MemoryTransport(), Probe(), list[ServiceError | None]()

    async def observe(context: RequestContext, call_next: CallNext) -> Response:
        context.on_answer(lambda _, error: errors.append(error))
        return await call_next(context)

    invalid = [(RUN, request(command=each)) for each in PAYLOADS[1:]]
    invalid.append((GET, request(command=None, later=NAN)))
    async with NatsServiceBuilder(handlers, transport=transport).with_interceptor(observe).build():
        for operation, body in invalid:
            reply = await transport.request(operation.subject, dump(body), b"", soon())
            assert json.loads(reply.payload)["error"]["code"] == "INVALID_ARGUMENT"
    assert handlers.seen == []
    assert [type(error) for error in errors] == [InvalidArgumentError] * len(invalid)


async def test_interceptor_may_replace_a_valid_payload() -> None:
    """A replaced payload reaches the handler; that of the message must be valid all the same."""
    transport, handlers = MemoryTransport(), Probe()
    changed = Run(action="changed")

    async def replace(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context.replace(payload=changed))

    async with NatsServiceBuilder(handlers, transport=transport).with_interceptor(replace).build():
        for payload in PAYLOADS:
            await transport.request(RUN.subject, dump(request(command=payload)), b"", soon())
    assert [context.payload for context in handlers.seen] == [changed]
