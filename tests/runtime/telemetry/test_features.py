"""Rate limits, circuit breakers and retries on spans and gauges."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from testkit.probe import GET, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, Recording
from weenats import CallNext, NatsServiceBuilder, RequestContext, Response, TelemetrySettings
from weenats.errors import InternalError, ResourceExhaustedError, UnavailableError
from weenats.testing import MemoryTransport

GO = Run(action="go")
LIMIT = "nats.feature.ratelimit.triggered"
IDENTITY = "ratelimit.identity_type"
BREAKER = "nats.feature.circuitbreaker.state"


def builder(transport: MemoryTransport, handlers: Probe) -> NatsServiceBuilder:
    """Return a builder that records everything."""
    return NatsServiceBuilder(handlers, transport=transport).with_telemetry(sampling=EVERYTHING)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def events(span: ReadableSpan) -> list[str]:
    """Return the names of the events of a span."""
    return [event.name for event in span.events]


@pytest.mark.parametrize("first", ["limit", "user"])
async def test_rate_limited_request_is_marked_on_its_span(
    observed: Recording, handlers: Probe, first: str
) -> None:
    """Admitted and rejected requests differ, wherever the limit is in the chain."""

    async def audit(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context)

    transport = MemoryTransport()
    built = builder(transport, handlers)
    if first == "user":
        built = built.with_interceptor(audit)
    service = built.with_rate_limit(1, burst=1).with_interceptor(audit).build()
    async with service:
        client = ProbeClient(transport)
        await client.run("k", GO)
        with pytest.raises(ResourceExhaustedError):
            await client.run("k", GO)
    passed, refused = observed.of(SpanKind.SERVER)
    assert attributes(passed)[LIMIT] is False
    assert attributes(passed)[IDENTITY] == "all"
    assert events(passed) == []
    assert attributes(refused)[LIMIT] is True
    assert attributes(refused)["error.type"] == "RESOURCE_EXHAUSTED"
    assert events(refused) == ["rate_limit.refused"]


async def test_rate_limit_identity_is_on_the_span(observed: Recording, handlers: Probe) -> None:
    """A key_extractor is reported as "key"; without limit and breaker both are absent."""
    transport = MemoryTransport()
    limited = builder(transport, handlers).with_rate_limit(5, key_extractor=lambda _: "k").build()
    async with limited:
        await ProbeClient(transport).run("k", GO)
    async with builder(transport, handlers).build():
        await ProbeClient(transport).run("k", GO)
    with_limit, without = observed.of(SpanKind.SERVER)
    assert attributes(with_limit)[IDENTITY] == "key"
    assert not {LIMIT, IDENTITY, BREAKER} & attributes(without).keys()


async def test_breaker_state_and_changes_are_on_the_span(
    observed: Recording, handlers: Probe
) -> None:
    """Spans of closed, opening and open breakers show the state, change or rejection."""

    async def crash(*_: Any) -> Any:
        raise ConnectionError

    handlers.actions["go"] = crash
    transport = MemoryTransport()
    service = builder(transport, handlers).with_circuit_breaker(failure_threshold=2).build()
    async with service:
        client = ProbeClient(transport)
        for _ in range(2):
            with pytest.raises(InternalError):
                await client.run("k", GO)
        with pytest.raises(UnavailableError):
            await client.run("k", GO)
    first, opening, refused = observed.of(SpanKind.SERVER)
    assert (attributes(first)[BREAKER], events(first)) == ("closed", [])
    assert (attributes(opening)[BREAKER], events(opening)) == ("open", ["circuit_breaker.changed"])
    assert dict(opening.events[0].attributes or {}) == {"old": "closed", "new": "open"}
    assert (attributes(refused)[BREAKER], events(refused)) == ("open", ["circuit_breaker.refused"])


async def test_minimal_level_has_no_feature_attributes(
    observed: Recording, handlers: Probe
) -> None:
    """Rate limits, circuit breakers and attempts are absent on the minimal level."""

    async def crash(*_: Any) -> Any:
        raise UnavailableError

    handlers.actions["go"] = crash
    transport = MemoryTransport()
    least = TelemetrySettings(sampling=EVERYTHING, attributes="minimal")
    built = builder(transport, handlers).with_telemetry(sampling=EVERYTHING, attributes="minimal")
    guarded = built.with_circuit_breaker(failure_threshold=1).with_rate_limit(0.001, burst=1)
    async with guarded.build():
        client = ProbeClient(transport).with_telemetry(least).with_retry(initial_backoff=0.001)
        for error in (UnavailableError, ResourceExhaustedError):
            with pytest.raises(error):
                await client.run("k", GO)
        with pytest.raises(ResourceExhaustedError):
            await client.get("k")
    told = {name for span in observed.spans for name in attributes(span)}
    assert told == {
        "rpc.system.name",
        "rpc.method",
        "rpc.response.status_code",
        "error.type",
    }


async def test_gauges_count_open_breakers_and_rejections(
    observed: Recording, handlers: Probe
) -> None:
    """The gauges exist only where there is a limit or a breaker."""

    async def crash(*_: Any) -> Any:
        raise ConnectionError

    handlers.actions["go"] = crash
    transport = MemoryTransport()
    guarded = builder(transport, handlers).with_circuit_breaker(failure_threshold=1)
    async with guarded.with_rate_limit(0.001, burst=1).build():
        for error in (InternalError, ResourceExhaustedError):
            with pytest.raises(error):
                await ProbeClient(transport).run("k", GO)
        for name in ("weenats.server.circuit_breakers.open", "weenats.server.rate_limit.refusals"):
            assert [point.value for point in observed.points(name)] == [1]
    async with builder(transport, handlers).build():
        assert observed.points("weenats.server.circuit_breakers.open") == []
        assert observed.points("weenats.server.rate_limit.refusals") == []


async def test_each_attempt_has_a_numbered_span(observed: Recording, handlers: Probe) -> None:
    """A retried call has one CLIENT span for each attempt, with its number."""
    left = [UnavailableError("not yet")]

    async def fail_once(context: RequestContext, call_next: CallNext) -> Response:
        if left:
            raise left.pop()
        return await call_next(context)

    transport = MemoryTransport()
    async with builder(transport, handlers).with_interceptor(fail_once).build():
        client = ProbeClient(transport).with_telemetry(TelemetrySettings(sampling=EVERYTHING))
        await client.with_retry(initial_backoff=0.001, max_backoff=0.001).get("k")
    first, second = observed.of(SpanKind.CLIENT)
    assert [span.name for span in (first, second)] == [f"probe/{GET.label}"] * 2
    assert "weenats.attempt" not in attributes(first)
    assert attributes(first)["error.type"] == "UNAVAILABLE"
    assert attributes(second)["weenats.attempt"] == 2
    assert (events(first), events(second)) == ([], ["retried"])
