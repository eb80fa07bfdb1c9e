"""Spans of discovery and health calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from testkit.probe import Probe, ProbeClient
from testkit.telemetry import NOTHING, Recording, calling, serving
from weenats import ServiceError

ASKED: Final[dict[str, tuple[Callable[[ProbeClient, str | None], Awaitable[Any]], str]]] = {
    "INFO": (lambda client, which: client.get_service_info(which), "$SRV.INFO.probe"),
    "STATS": (lambda client, which: client.get_service_stats(which), "$SRV.STATS.probe"),
    "PING": (lambda client, _: client.list_instances(), "$SRV.PING.probe"),
    "HEALTH": (lambda client, _: client.check_health(), "probe.health"),
}


@pytest.mark.parametrize("verb", ASKED)
async def test_discovery_calls_have_a_client_span(
    nats_url: str, observed: Recording, handlers: Probe, verb: str
) -> None:
    """The span does not name the instance; trace context is sent and the call is counted."""
    ask, subject = ASKED[verb]
    headers: list[Mapping[str, str]] = []
    async with serving(nats_url, handlers) as service, calling(nats_url) as client:
        for each in (subject, f"{subject}.{service.instance_id}"):
            client.transport.subscribe(each, lambda got: headers.append(got.headers))
        await client.transport.fence()
        with trace.get_tracer("application").start_as_current_span("above") as above:
            await ask(client, service.instance_id)
        await client.transport.fence()
        instance_id = service.instance_id
    span = observed.one(SpanKind.CLIENT)
    assert span.name == f"probe/${verb}"
    attributes = dict(span.attributes or {})
    assert attributes["messaging.destination.name"] == subject
    assert attributes["rpc.method"] == span.name
    assert attributes["rpc.response.status_code"] == "OK"
    assert attributes["server.port"]
    assert span.parent == above.get_span_context()
    assert instance_id not in span.to_json()
    (carried,) = headers
    assert carried["traceparent"].split("-")[2] == f"{span.context.span_id:016x}"
    (point,) = observed.points("rpc.client.call.duration")
    assert (point.count, point.attributes["rpc.method"]) == (1, span.name)


@pytest.mark.parametrize("verb", ["INFO", "STATS", "HEALTH"])
async def test_discovery_without_responders_has_an_error_span(
    nats_url: str, observed: Recording, verb: str
) -> None:
    """The span fails like the call."""
    async with calling(nats_url) as client:
        with pytest.raises(ServiceError):
            await ASKED[verb][0](client, "nobody")
    span = observed.one(SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "UNAVAILABLE"


async def test_discovery_calls_are_sampled_as_queries(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Where no query is recorded, no discovery call is; all of them succeed."""
    async with serving(nats_url, handlers), calling(nats_url, sampling=NOTHING) as client:
        for ask, _ in ASKED.values():
            assert await ask(client, None)
    assert not observed.spans
