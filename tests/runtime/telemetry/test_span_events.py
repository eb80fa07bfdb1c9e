"""What happens to a request is told on its one span, also what happens before it begins."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from testkit.contexts import make_context
from testkit.probe import HAPPENED, RUN, Outcome, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, NOTHING, Recording, calling
from weenats import NatsServiceBuilder, RequestContext, ResourceExhaustedError
from weenats.admission.job import Job
from weenats.events.subscribe import _EventWorker
from weenats.protocol.headers import NO_HEADERS
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.telemetry.messaging import EventTelemetry
from weenats.telemetry.server import ServedOperation
from weenats.transport import Delivery


def served_with(sampling: dict[str, float]) -> tuple[ServedOperation, RequestContext]:
    """Return an operation and a request that arrived."""
    manager = TelemetryManager(TelemetrySettings(sampling=sampling))
    context = make_context(side="server", headers=NO_HEADERS)
    context.arrival = 1_800_000_000_000_000_000
    return ServedOperation(manager, RUN, "group", {}), context


@pytest.mark.parametrize("then", ["begins", "is refused"])
def test_what_happened_before_the_span_is_told_on_it(observed: Recording, then: str) -> None:
    """Whether the request came to its handler or not."""
    served, context = served_with(EVERYTHING)
    context.add_event("first", reason="one")
    context.add_event("second")
    if then == "begins":
        copy_context().run(served.begin, context)
        context.add_event("third")
    served.end(context, Delivery("s", "r", b""), context.arrival, None)
    (span,) = observed.spans
    told = [(event.name, dict(event.attributes or {})) for event in span.events]
    third: list[tuple[str, dict[str, Any]]] = [("third", {})] if then == "begins" else []
    assert told == [("first", {"reason": "one"}), ("second", {}), *third]
    assert span.start_time == context.arrival


def test_events_of_a_request_that_nobody_records_are_not_kept(observed: Recording) -> None:
    """However many: a handler may tell as it likes."""
    served, context = served_with(NOTHING)
    copy_context().run(served.begin, context)
    for _ in range(1000):
        context.add_event("again")
    assert not context.span_events
    assert not observed.spans


async def test_interceptors_and_handlers_have_the_span(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Both may add to it; a span that is not recorded is none."""

    async def audit(context: RequestContext, call_next: Any) -> Any:
        if context.span is not None:
            context.span.set_attribute("audited", "yes")
        return await call_next(context)

    async def tell(key: str, command: Run, context: RequestContext) -> Outcome:
        context.add_event("handled", part="of an event")
        return Outcome(text=key)

    handlers.actions["go"] = tell
    for sampling in (EVERYTHING, NOTHING):
        builder = NatsServiceBuilder(handlers, nats_url).with_interceptor(audit)
        service = builder.with_telemetry(sampling=sampling).build()
        async with service, calling(nats_url, sampling=sampling) as client:
            await client.run("k", Run(action="go"))
    server = observed.one(SpanKind.SERVER)
    assert (server.attributes or {})["audited"] == "yes"
    assert [event.name for event in server.events] == ["handled"]
    assert "audited" not in (observed.one(SpanKind.CLIENT).attributes or {})


async def test_a_service_without_telemetry_keeps_nothing(nats_url: str, handlers: Probe) -> None:
    """`add_event` does nothing where nobody asks."""

    async def tell(key: str, command: Run, context: RequestContext) -> Outcome:
        context.add_event("handled")
        return Outcome(text=str(len(context.span_events)))

    handlers.actions["go"] = tell
    service = NatsServiceBuilder(handlers, nats_url).build()
    async with service, ProbeClient.connect(nats_url) as client:
        assert (await client.run("k", Run(action="go"))).text == "0"


async def _take(_: Any) -> None:
    """Take an event."""


def test_an_event_that_finds_no_place_is_told(observed: Recording) -> None:
    """Dropped before its handler: a CONSUMER span with why, and a count."""
    manager = TelemetryManager(TelemetrySettings(sampling=EVERYTHING))
    worker = _EventWorker(HAPPENED, _take, EventTelemetry(manager, HAPPENED))
    worker.refuse(Job(worker, Delivery(HAPPENED.subject, "", b"")), ResourceExhaustedError())
    (span,) = observed.spans
    assert (span.kind.name, span.status.description) == ("CONSUMER", "RESOURCE_EXHAUSTED")
    (point,) = observed.points("messaging.client.consumed.messages")
    assert point.attributes["error.type"] == "RESOURCE_EXHAUSTED"
