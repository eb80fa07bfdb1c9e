"""Asking a service about itself is a call like others: a CLIENT span, and the trace goes along."""

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
async def test_each_has_a_span_that_names_no_instance(
    nats_url: str, observed: Recording, handlers: Probe, verb: str
) -> None:
    """Below the current span; its context is in the headers; counted like other calls."""
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
async def test_nobody_who_answers_is_told(nats_url: str, observed: Recording, verb: str) -> None:
    """The span fails as the call does."""
    async with calling(nats_url) as client:
        with pytest.raises(ServiceError):
            await ASKED[verb][0](client, "nobody")
    span = observed.one(SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "UNAVAILABLE"


async def test_they_are_sampled_as_queries(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """None of them is recorded where no query is; all succeed."""
    async with serving(nats_url, handlers), calling(nats_url, sampling=NOTHING) as client:
        for ask, _ in ASKED.values():
            assert await ask(client, None)
    assert not observed.spans
