"""Events on the span of a request, also those added before it starts."""

from __future__ import annotations

import asyncio
from time import monotonic_ns, time_ns
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from testkit.contexts import make_served_request
from testkit.probe import HAPPENED, RUN, Outcome, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, NOTHING, Recording, calling
from testkit.waiting import LIMIT, until
from weenats import NatsServiceBuilder, RequestContext, ResourceExhaustedError, Response
from weenats.admission.job import Job
from weenats.events.received_event import EventRunner
from weenats.events.subscribe import _EventWorker
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.telemetry.server import ServedOperation
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

SECOND = 1_000_000_000


async def serve(sampling: dict[str, float], events: int) -> RequestContext:
    """Serve a request to which so many events happen."""
    manager = TelemetryManager(TelemetrySettings(sampling=sampling))
    job, context = make_served_request(received=monotonic_ns() - 3600 * SECOND)

    async def happen(served: RequestContext) -> Response:
        for number in range(events):
            served.add_event(f"event {number}", reason="one")
        return Response(None)

    await ServedOperation(manager, RUN, "group", {})(context, happen)
    job.notify(context, None)
    return context


async def test_a_span_starts_when_its_request_arrived(observed: Recording) -> None:
    """Events of interceptors and handlers are on it."""
    context = await serve(EVERYTHING, 2)
    (span,) = observed.spans
    told = [(event.name, dict(event.attributes or {})) for event in span.events]
    assert told == [("event 0", {"reason": "one"}), ("event 1", {"reason": "one"})]
    assert span.start_time == pytest.approx(time_ns() - 3600 * SECOND, abs=600 * SECOND, rel=0)
    assert context.arrival == pytest.approx(span.start_time, abs=600 * SECOND, rel=0)


async def test_events_of_an_unsampled_request_are_dropped(observed: Recording) -> None:
    """Any number of events uses no memory."""
    context = await serve(NOTHING, 1000)
    assert context.span is None
    assert not observed.spans


async def test_nothing_is_recorded_after_the_answer(observed: Recording, handlers: Probe) -> None:
    """A handler that continues after its caller cancelled adds nothing; the SDK logs nothing."""
    entered, finished = asyncio.Event(), asyncio.Event()

    async def late(key: str, command: Run, context: RequestContext) -> Outcome:
        with context.shield_from_deadline():
            entered.set()
            await until(lambda: observed.of(SpanKind.SERVER))
        context.add_event("too late")
        context.set_attribute("too", "late")
        finished.set()
        raise ValueError(key)

    handlers.actions["late"] = late
    transport = MemoryTransport()
    builder = NatsServiceBuilder(handlers, transport=transport).with_circuit_breaker(1)
    async with builder.with_telemetry(sampling=EVERYTHING).build():
        call = asyncio.create_task(ProbeClient(transport).run("k", Run(action="late")))
        await entered.wait()
        call.cancel()
        await asyncio.wait_for(finished.wait(), LIMIT)
    span = observed.one(SpanKind.SERVER)
    assert "too" not in (span.attributes or {})
    assert list(span.events) == []


async def test_interceptors_and_handlers_can_use_the_span(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Both can add to the span; it is None if the request is unsampled."""

    async def audit(context: RequestContext, call_next: Any) -> Any:
        if context.span is not None:
            context.span.set_attribute("audited", "yes")
        return await call_next(context)

    async def add_event_and_answer(key: str, command: Run, context: RequestContext) -> Outcome:
        context.add_event("handled", part="of an event")
        return Outcome(text=key)

    handlers.actions["go"] = add_event_and_answer
    for sampling in (EVERYTHING, NOTHING):
        builder = NatsServiceBuilder(handlers, nats_url).with_interceptor(audit)
        service = builder.with_telemetry(sampling=sampling).build()
        async with service, calling(nats_url, sampling=sampling) as client:
            await client.run("k", Run(action="go"))
    server = observed.one(SpanKind.SERVER)
    assert (server.attributes or {})["audited"] == "yes"
    assert [event.name for event in server.events] == ["handled"]
    assert "audited" not in (observed.one(SpanKind.CLIENT).attributes or {})


async def test_add_event_without_telemetry_does_nothing(nats_url: str, handlers: Probe) -> None:
    """Without telemetry add_event() stores nothing."""

    async def add_event_and_answer(key: str, command: Run, context: RequestContext) -> Outcome:
        context.add_event("handled")
        context.set_attribute("name", "value")
        return Outcome(text=str(context.span))

    handlers.actions["go"] = add_event_and_answer
    service = NatsServiceBuilder(handlers, nats_url).build()
    async with service, ProbeClient.connect(nats_url) as client:
        assert (await client.run("k", Run(action="go"))).text == "None"


async def _ignore(_: Any) -> None:
    """Ignore an event."""


def test_dropped_event_has_a_span_and_is_counted(observed: Recording) -> None:
    """An event dropped before its handler has a CONSUMER span with the reason."""
    manager = TelemetryManager(TelemetrySettings(sampling=EVERYTHING))
    worker = _EventWorker(HAPPENED, EventRunner(HAPPENED, _ignore, manager, ""))
    worker.refuse(Job(worker, Delivery(HAPPENED.subject, "", b"")), ResourceExhaustedError())
    (span,) = observed.spans
    assert (span.kind.name, span.status.description) == ("CONSUMER", "RESOURCE_EXHAUSTED")
    (point,) = observed.points("messaging.client.consumed.messages")
    assert point.attributes["error.type"] == "RESOURCE_EXHAUSTED"
