"""Metrics: names, units, buckets, attributes and values."""

from __future__ import annotations

import asyncio
import gc
from time import monotonic_ns
from typing import Any, Final
from weakref import ref

import pytest
from opentelemetry.trace import SpanKind

from testkit.contexts import answered, make_served_request
from testkit.probe import Happened, Outcome, Probe, Run
from testkit.telemetry import NOTHING, Recording, calling, serving
from testkit.waiting import until
from weenats import JwtAuthConfig, NatsServiceBuilder, ReceivedEvent, RequestContext, ServiceError

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
EVENT: Final = "probe.events.thing.happened"
RPC: Final = {"rpc.system.name": "nats", "rpc.method": "probe/run"}
MESSAGING: Final = {"messaging.system": "nats", "messaging.destination.name": EVENT}
LISTENERS: Final = {**MESSAGING, "messaging.consumer.group.name": "listeners"}
PUBLISHED: Final = {**MESSAGING, "messaging.operation.name": "publish"}
PROCESSED: Final = {**LISTENERS, "messaging.operation.name": "process"}
OK: Final = {**RPC, "rpc.response.status_code": "OK"}
FAILED: Final = {**RPC, "rpc.response.status_code": "INTERNAL", "error.type": "INTERNAL"}


def counts_of(observed: Recording, name: str) -> list[tuple[dict[str, Any], float]]:
    """Return attributes and count of each point of a metric."""
    return sorted(
        (
            (dict(point.attributes), getattr(point, "count", None) or point.value)
            for point in observed.points(name)
        ),
        key=str,
    )


async def crash(*_: Any) -> Outcome:
    """Raise ValueError."""
    raise ValueError


async def test_call_duration_is_recorded_on_both_sides(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Durations are in seconds, with the standard buckets, by outcome, sampled or not."""
    handlers.actions["crash"] = crash
    async with (
        serving(nats_url, handlers, sampling=NOTHING),
        calling(nats_url, sampling=NOTHING) as client,
    ):
        for _ in range(5):
            await client.run("k", Run(action="go"))
        with pytest.raises(ServiceError):
            await client.run("k", Run(action="crash"))
    assert not observed.spans
    for side in ("client", "server"):
        name = f"rpc.{side}.call.duration"
        assert counts_of(observed, name) == [(FAILED, 1), (OK, 5)]
        assert observed.metrics[name].unit == "s"
        assert {point.explicit_bounds for point in observed.points(name)} == {BUCKETS}
        assert all(0 < point.min <= point.max < 5 for point in observed.points(name))


@pytest.mark.timing
async def test_server_duration_includes_queue_time(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """The duration starts at the arrival, like the span, and the client's is longer."""
    async with serving(nats_url, handlers), calling(nats_url) as client:
        await client.run("k", Run(action="go"))
    (server,) = observed.points("rpc.server.call.duration")
    (client_point,) = observed.points("rpc.client.call.duration")
    assert server.sum < client_point.sum
    span = observed.one(SpanKind.SERVER)
    assert span.end_time is not None
    assert span.start_time is not None
    assert server.sum == pytest.approx((span.end_time - span.start_time) / 1e9, rel=0.5)


async def test_duration_does_not_depend_on_the_clock(
    observed: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set during a call, back or by hours, does not change its duration."""
    from testkit.probe import RUN
    from weenats.telemetry import TelemetryManager, TelemetrySettings
    from weenats.telemetry.server import ServedOperation

    served = ServedOperation(TelemetryManager(TelemetrySettings(sampling=NOTHING)), RUN, "g", {})
    job, context = make_served_request(received=monotonic_ns() - 10**9)
    await served(context, answered)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    monkeypatch.setattr("weenats._internal.timestamps.time_ns", lambda: 2**62)
    job.notify(context, None)
    (point,) = observed.points("rpc.server.call.duration")
    assert (point.count, point.sum) == (1, pytest.approx(300, abs=299))


async def test_published_and_consumed_events_are_counted(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Count, duration and errors: of the handler, the payload, and the publishing."""
    seen: list[int] = []

    async def take(event: ReceivedEvent[Happened]) -> None:
        seen.append(event.revision)
        if event.revision == 1:
            raise ValueError
        if event.revision == 2:
            raise asyncio.CancelledError

    async with calling(nats_url, sampling=NOTHING) as client:
        async with await client.subscribe_happened(take, queue_group="listeners"):
            for revision in range(5):
                await client.publish_happened("k", Happened(whatText="x"), revision=revision)
            client.transport.publish(EVENT, b"junk")
        with pytest.raises(ServiceError):
            await client.publish_happened("k", Happened(whatText="x" * 1_100_000), revision=1)
    assert sorted(seen) == [0, 1, 2, 3, 4]
    large = {**PUBLISHED, "error.type": "RESOURCE_EXHAUSTED"}
    for name in ("messaging.client.sent.messages", "messaging.client.operation.duration"):
        assert counts_of(observed, name) == [(large, 1), (PUBLISHED, 5)]
    cancelled = {**PROCESSED, "error.type": "CANCELLED"}
    failed = {**PROCESSED, "error.type": "ValueError"}
    junk = {**PROCESSED, "error.type": "INVALID_ARGUMENT"}
    handled = [(cancelled, 1), (failed, 1), (PROCESSED, 3)]
    assert counts_of(observed, "messaging.process.duration") == handled
    assert counts_of(observed, "messaging.client.consumed.messages") == sorted(
        [*handled, (junk, 1)], key=str
    )
    metrics = observed.metrics
    assert metrics["messaging.client.sent.messages"].unit == "{message}"
    assert metrics["messaging.client.consumed.messages"].unit == "{message}"
    assert metrics["messaging.process.duration"].unit == "s"
    assert observed.points("messaging.process.duration")[0].explicit_bounds == BUCKETS


async def test_event_spans_have_error_types(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """A failing handler and an invalid event have a CONSUMER span with an error."""
    secret = "hunter2"

    async def fail(_: ReceivedEvent[Happened]) -> None:
        raise ValueError(secret)

    async with calling(nats_url) as client:
        async with await client.subscribe_happened(fail):
            await client.publish_happened("k", Happened(whatText=secret), revision=1)
            client.transport.publish(EVENT, secret.encode())
        with pytest.raises(ServiceError):
            await client.publish_happened("k", Happened(whatText="x" * 1_100_000), revision=1)
    told = sorted(
        (span.kind.name, (span.attributes or {}).get("error.type"), span.status.description)
        for span in observed.spans
        if not span.status.is_ok or span.status.description
    )
    assert told == [
        ("CONSUMER", "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("CONSUMER", "ValueError", "ValueError"),
        ("PRODUCER", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"),
    ]
    assert secret not in observed.text()


async def test_event_instruments_are_created_once(
    nats_url: str, observed: Recording, handlers: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing an event repeatedly creates its instruments once."""
    from weenats.telemetry.messaging import EventTelemetry

    made: list[Any] = []
    initial = EventTelemetry.__init__

    def counting(self: EventTelemetry, *given: Any) -> None:
        made.append(given)
        initial(self, *given)

    monkeypatch.setattr(EventTelemetry, "__init__", counting)
    async with calling(nats_url) as client:
        for revision in range(10):
            await client.publish_happened("k", Happened(whatText="x"), revision=revision)
    assert len(made) == 1


def test_telemetry_of_events_does_not_keep_a_manager_alive() -> None:
    """The telemetry of publishers ends with the client or the service that has it."""
    from testkit.probe import HAPPENED
    from weenats.telemetry import TelemetryManager, TelemetrySettings
    from weenats.telemetry.messaging import EventTelemetry

    manager = TelemetryManager(TelemetrySettings())
    assert EventTelemetry.of_publisher(manager, HAPPENED) is EventTelemetry.of_publisher(
        manager, HAPPENED
    )
    alive = ref(manager)
    del manager
    gc.collect()
    assert alive() is None


def gauges(observed: Recording, name: str) -> dict[str, float]:
    """Return the values of a gauge by instance."""
    points = observed.points(f"weenats.{name}")
    assert {point.attributes["weenats.service.name"] for point in points} <= {"probe"}
    return {point.attributes["weenats.service.instance.id"]: point.value for point in points}


async def test_gauges_report_running_queued_and_draining(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Each instance reports its own values while it runs, and none before or after."""
    entered, opened = asyncio.Semaphore(0), asyncio.Event()

    async def hold(key: str, command: Run, context: RequestContext) -> Outcome:
        entered.release()
        await opened.wait()
        return Outcome(text=key)

    handlers.actions["hold"] = hold
    async with serving(nats_url, handlers) as busy, calling(nats_url) as client:
        calls = [asyncio.create_task(client.run("k", Run(action="hold"))) for _ in range(5)]
        for _ in range(2):
            await entered.acquire()
        await until(lambda: busy.gauges()["weenats.server.requests.queued"] == 3)
        async with serving(nats_url, Probe()) as idle:
            both = {busy.instance_id: 2, idle.instance_id: 0}
            assert gauges(observed, "server.requests.in_flight") == both
            waiting = {busy.instance_id: 3, idle.instance_id: 0}
            assert gauges(observed, "server.requests.queued") == waiting
            stopping = asyncio.create_task(busy.stop())
            await until(lambda: gauges(observed, "server.draining")[busy.instance_id] == 1)
            assert gauges(observed, "server.draining")[idle.instance_id] == 0
            opened.set()
            await stopping
            assert gauges(observed, "server.requests.in_flight") == {idle.instance_id: 0}
        await asyncio.gather(*calls)
    assert gauges(observed, "server.draining") == {}
    assert gauges(observed, "auth.jwks.age") == {}


async def test_gauges_do_not_keep_a_service_alive(nats_url: str, observed: Recording) -> None:
    """A dropped service can be garbage collected."""
    async with serving(nats_url, Probe()) as service:
        kept = ref(service)
        assert gauges(observed, "server.draining")
    del service
    gc.collect()
    assert kept() is None


async def test_jwks_age_gauge_reports_seconds_since_the_fetch(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Without a fetch there is no value."""
    from testkit.http_server import HttpServer

    server = HttpServer()
    config = JwtAuthConfig(
        algorithms=["EdDSA"], jwks_uri=server.uri, issuer="https://i.example", audience="probe"
    )
    builder = NatsServiceBuilder(handlers, nats_url).with_auth(config).with_telemetry()
    try:
        async with builder.build() as service:
            await until(lambda: service.jwks_state and service.jwks_state.age is not None)
            (age,) = gauges(observed, "auth.jwks.age").values()
    finally:
        server.stop()
    assert 0 <= age < 5
