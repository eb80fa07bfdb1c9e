"""How far durable consumers are, in metrics and health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from testkit.parcels import (
    PARCELS_EVENTS_STREAM,
    Delivered,
    Parcels,
    ParcelsClient,
    Recorder,
)
from testkit.telemetry import Recording, recording
from testkit.waiting import ask_until, eventually, until
from weenats import NatsServiceBuilder, NatsTransport
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.events import consume
from weenats.protocol.messages import HealthCheckEntry
from weenats.streams.consumer_states import all_consumer_states, consumer_states
from weenats.streams.consumers import StreamConsumer
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.transport.jetstream import JetStream
from weenats.transport.jetstream.api import call

STREAM = PARCELS_EVENTS_STREAM


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weenats.events.pulling._PAUSE", 0.02)
    monkeypatch.setattr("weenats.streams.consumer_health._INTERVAL", 0.02)


class Consuming(Parcels):
    """A service that consumes its own events."""

    def __init__(self, recorder: Recorder, **options: Any) -> None:
        super().__init__()
        self.recorder = recorder
        self.options = options

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Consume."""
        await consume(
            self.transport, self.recorder, "billing", telemetry=self.telemetry, **self.options
        )
        yield


def values(observed: Recording, name: str) -> dict[str, float]:
    """Return the values of a gauge of `billing`, by stream."""
    return {
        point.attributes["weenats.stream.name"]: point.value
        for point in observed.points(f"weenats.consumer.{name}")
        if point.attributes["messaging.consumer.group.name"] == "billing"
    }


async def checked(parcels: ParcelsClient) -> tuple[str, list[HealthCheckEntry]]:
    """Return the health of the service."""
    health = await parcels.check_health()
    assert health.data is not None
    return health.status, list(health.data.checks)


async def test_gauges_show_how_far_a_consumer_is(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Pending, in work, repeated, age of the oldest, dead letters; nothing after the end."""
    may_end = asyncio.Event()

    async def act(event: Any) -> None:
        if event.data.count == 9:
            raise ValueError
        if event.attempt == 1:
            raise ConnectionError
        await may_end.wait()

    for count in range(3):
        await parcels.publish_delivered("p-1", Delivered(count=count))
    with recording() as observed:
        telemetry = TelemetryManager(TelemetrySettings())
        running = await consume(
            transport, Recorder(act), "billing", telemetry, backoff=[0.01], max_deliver=2
        )
        async with running:
            await eventually(lambda: values(observed, "redelivered").get(STREAM.name) == 1)
            await eventually(lambda: values(observed, "pending").get(STREAM.name) == 2)
            assert values(observed, "unacknowledged") == {STREAM.name: 1, "couriers": 0}
            assert values(observed, "lag")[STREAM.name] > 0
            assert values(observed, "lag")["couriers"] == 0
            assert values(observed, "paused") == {STREAM.name: 0, "couriers": 0}
            may_end.set()
            await eventually(lambda: values(observed, "lag").get(STREAM.name) == 0)
            await parcels.publish_delivered("p-1", Delivered(count=9))
            await eventually(lambda: observed.points("weenats.consumer.dead_letters"))
        assert values(observed, "dead_letters") == {STREAM.name: 1}
        [letters] = observed.points("weenats.consumer.dead_letters")
        assert letters.attributes["error.type"] == "INTERNAL"
        assert values(observed, "pending") == {}


async def test_lag_is_the_age_of_the_oldest_event(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Of all partitions, whether it is in work or was never delivered."""
    part = StreamConsumer(transport, STREAM, "billing")
    await part.prepare("beginning", 30)
    assert (await part.state()).lag == 0
    for key in ("p-1", "p-2", "p-3"):
        await parcels.publish_delivered(key, Delivered(count=1))
    oldest = (await JetStream(transport).get(STREAM.name, 1)).time
    before = datetime.now(UTC)
    state = await part.state()
    assert state.lag is not None
    assert before - oldest <= timedelta(seconds=state.lag) <= datetime.now(UTC) - oldest
    assert (state.pending, state.paused) == (3, False)
    assert [each.name for each in await consumer_states(transport, STREAM)] == ["billing"]
    streams = await JetStream(transport).streams()
    found = await all_consumer_states(transport, streams, "parcels")
    assert [(each.name, each.pending) for each in found["parcels"]] == [("billing", 3)]
    assert await all_consumer_states(transport, streams, "orders") == {}


async def test_a_service_reports_its_consumers(nats_url: str, parcels: ParcelsClient) -> None:
    """It is healthy while events arrive, and not while the consumer does not exist."""
    recorder = Recorder()
    async with NatsServiceBuilder(Consuming(recorder), nats_url).with_health().build():
        assert await checked(parcels) == (
            "ok",
            [HealthCheckEntry(name="consumer billing", status="ok")],
        )
        transport = NatsTransport(nats_url)
        part = StreamConsumer(transport, STREAM, "billing")
        await part.delete()
        found = await ask_until(lambda found: found[0] != "ok", partial(checked, parcels))
        [entry] = found[1]
        assert (entry.name, entry.status) == ("consumer billing", "error")
        assert entry.message is not None
        assert entry.message.startswith("it receives no events: UNAVAILABLE: billing-")
        await part.prepare("beginning", 30)
        await ask_until(lambda found: found[0] == "ok", partial(checked, parcels))
        await parcels.publish_delivered("p-1", Delivered(count=1))
        await until(lambda: recorder.seen)
        await transport.close()


async def test_a_service_reports_what_delays_events(
    nats_url: str, parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late consumer, one that an operator paused, and one whose breaker is open are named."""
    is_away = True

    async def act(_: object) -> None:
        if is_away:
            raise ConnectionError

    async def report(text: str) -> None:
        def shows_it(found: tuple[str, list[HealthCheckEntry]]) -> bool:
            status, [entry] = found
            assert (status, entry.status) == ("ok", "ok")
            return text in (entry.message or "nothing")

        await ask_until(shows_it, partial(checked, parcels))

    policy = CircuitBreakerPolicy(failure_threshold=1, recovery_timeout=0.3)
    options = {"circuit_breaker": policy, "backoff": [0.01]}
    handlers = Consuming(Recorder(act), **options)
    async with NatsServiceBuilder(handlers, nats_url).with_health().build():
        await parcels.publish_delivered("p-1", Delivered(count=1))
        await report("its circuit breaker is open")
        is_away = False
        await report("nothing")
        until_later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        for pause in ({"pause_until": until_later}, {}):
            operation = f"CONSUMER.PAUSE.{STREAM.name}.billing-0"
            await call(transport, operation, pause, what="pause", timeout=5)
            await report("it is paused on the server" if pause else "nothing")
        monkeypatch.setattr("weenats.streams.consumer_health._LATE", 0.0)
        await report("it is late by 0 s, 0 events are not processed")


async def test_lag_is_unknown_without_direct_access(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The rest is known all the same."""
    part = StreamConsumer(transport, STREAM, "billing")
    await part.prepare("beginning", 30)
    await parcels.publish_delivered("p-1", Delivered(count=1))
    info = await JetStream(transport).stream_info(STREAM.name)
    config = json.loads(json.dumps({**info.config.to_json(), "allow_direct": False}))
    await call(transport, f"STREAM.UPDATE.{STREAM.name}", config, what="update", timeout=5)
    state = await part.state()
    assert (state.lag, state.pending) == (None, 1)
