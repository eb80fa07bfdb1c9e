"""Interceptors, deadlines, rate limits and circuit breakers of durable consumers."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import Any

import pytest

from testkit.clocks import shift_time
from testkit.parcels import PARCELS_EVENTS_STREAM, Delivered, ParcelsClient, Recorder, Shipped
from testkit.telemetry import EVERYTHING, recording
from testkit.waiting import ask_until, eventually, settle, until
from weenats import CallNext, NatsTransport, Response
from weenats.circuit_breaker import CircuitBreakerPolicy, CircuitStateChange, IsFailure
from weenats.events import ReceivedEvent, consume
from weenats.protocol.partitions import partition_of
from weenats.streams.consumer_states import ConsumerState, consumer_states
from weenats.streams.dead_letters import DeadLetters
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.transport.jetstream import Pull, PulledMessage

STREAM = PARCELS_EVENTS_STREAM
AnyEvent = ReceivedEvent[Any, Any]
KEYS = [next(f"p-{n}" for n in range(99) if partition_of(f"p-{n}", 4) == part) for part in range(4)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weenats.events.pulling._PAUSE", 0.02)
    monkeypatch.setattr("weenats.events.pulling._PATIENCE", 0.1)


async def idle(transport: NatsTransport, name: str) -> None:
    """Wait until a consumer has processed everything."""

    def is_idle(states: list[ConsumerState]) -> bool:
        return not any(each.pending or each.unacknowledged for each in states if each.name == name)

    await ask_until(is_idle, partial(consumer_states, transport, STREAM))


async def letters(transport: NatsTransport) -> int:
    """Return how many dead letters there are."""
    return len([each async for each in DeadLetters(transport, STREAM).list()])


async def test_interceptors_run_around_handlers(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The first one is the outermost; they see the event with its deadline, within its span."""
    steps: list[Any] = []

    async def outer(event: AnyEvent, call_next: CallNext[AnyEvent]) -> Response:
        steps.append(("outer", event.key, event.data, event.sequence, event.attempt))
        assert event.remaining is not None
        assert 0 < event.remaining <= 20
        return await call_next(event)

    async def inner(event: AnyEvent, call_next: CallNext[AnyEvent]) -> Response:
        steps.append("inner")
        try:
            return await call_next(event)
        finally:
            steps.append("inner again")

    async def act(_: object) -> None:
        steps.append("handler")

    await parcels.publish_shipped("p-1", Shipped(depot="A"))
    with recording() as observed:
        telemetry = TelemetryManager(TelemetrySettings(sampling=EVERYTHING))
        running = await consume(
            transport,
            Recorder(act),
            "billing",
            telemetry,
            interceptors=[outer, inner],
            handler_timeout=20,
        )
        async with running:
            await until(lambda: "inner again" in steps)
            await idle(transport, "billing")
        assert [each.name for each in observed.spans] == ["process parcels.events.parcel.shipped"]
    first = ("outer", "p-1", Shipped(depot="A"), 1, 1)
    assert steps == [first, "inner", "handler", "inner again"]


async def test_an_interceptor_decides_about_an_event(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """One that raises has it delivered again; one that returns without a call acknowledges it."""
    attempts: list[int] = []

    async def decide(event: AnyEvent, call_next: CallNext[AnyEvent]) -> Response:
        attempts.append(event.attempt)
        if event.attempt == 1:
            raise ConnectionError("the directory is away")
        return Response(None) if event.data.count == 1 else await call_next(event)

    for count in (1, 2):
        await parcels.publish_delivered("p-1", Delivered(count=count))
    recorder = Recorder()
    async with await consume(transport, recorder, "billing", interceptors=[decide], backoff=[0.01]):
        await until(lambda: recorder.seen)
        await idle(transport, "billing")
    assert recorder.seen == [("p-1", 2)]
    assert attempts == [1, 2, 1, 2]
    assert await letters(transport) == 0


async def test_an_interceptor_must_pass_on_the_event(
    parcels: ParcelsClient, transport: NatsTransport, caplog: Any
) -> None:
    """Else the attempt has failed, and the log says why."""

    async def lose(event: AnyEvent, call_next: CallNext[AnyEvent]) -> Response:
        return await call_next(event if event.attempt > 1 else None)  # type: ignore[arg-type]

    await parcels.publish_delivered("p-1", Delivered(count=1))
    recorder = Recorder()
    async with await consume(transport, recorder, "billing", interceptors=[lose], backoff=[0.01]):
        await until(lambda: recorder.seen)
    assert recorder.attempts == [2]
    assert "TypeError: an interceptor must pass on its context" in caplog.text


async def test_events_above_the_rate_wait(parcels: ParcelsClient, transport: NatsTransport) -> None:
    """They are processed later, each once, and no faster than the limit."""
    for count in range(6):
        await parcels.publish_delivered(KEYS[count % 4], Delivered(count=count))
    recorder = Recorder()
    begun = monotonic()
    async with await consume(transport, recorder, "billing", rate_limit=20):
        await eventually(lambda: len(recorder.seen) == 6)
    assert monotonic() - begun >= 0.15  # two at once, and four more at 20 a second
    assert sorted(count for _, count in recorder.seen) == [*range(6)]
    assert recorder.attempts == [1] * 6


async def test_a_stop_returns_events_that_wait(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """What waits for the rate limit goes to another instance at once."""
    for count in range(4):
        await parcels.publish_delivered(KEYS[count], Delivered(count=count))
    slow, other = Recorder(), Recorder()
    async with await consume(transport, slow, "billing", rate_limit=0.001) as running:
        await until(lambda: slow.seen and len(running._work.working) == 3)
    async with await consume(transport, other, "billing"):
        await until(lambda: len(slow.seen) + len(other.seen) == 4)
    assert len(slow.seen) == 1


async def test_an_open_breaker_pauses_the_consumer(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """No event is lost or given up while all handlers fail; a trial that succeeds ends it."""
    changes: list[CircuitStateChange] = []
    is_away, calls = True, 0

    async def act(_: object) -> None:
        nonlocal calls
        calls += 1
        if is_away:
            raise ConnectionError("the database is away")

    recorder = Recorder(act)
    policy = CircuitBreakerPolicy(
        failure_threshold=2, recovery_timeout=0.05, listener=changes.append
    )
    for count in range(20):
        await parcels.publish_delivered(KEYS[count % 4], Delivered(count=count))
    async with await consume(
        transport, recorder, "billing", circuit_breaker=policy, backoff=[0.01], max_deliver=20
    ):
        await until(lambda: len(changes) >= 5)  # open, half-open, open, half-open, open
        assert calls <= 4 + len(changes)  # and not 20 events, again and again
        is_away = False
        await eventually(lambda: len(recorder.seen) == 20)
        await idle(transport, "billing")
    assert changes[-1].new == "closed"
    assert {(each.service, each.operation) for each in changes} == {("parcels", "billing")}
    for part, key in enumerate(KEYS):
        assert [count for each, count in recorder.seen if each == key] == [*range(part, 20, 4)]
    assert await letters(transport) == 0


async def test_other_instances_get_what_a_breaker_returns(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The events of an instance whose handlers fail are processed by the others."""
    opened = asyncio.Event()

    async def fail(_: object) -> None:
        raise ConnectionError("this host has no route")

    policy = CircuitBreakerPolicy(
        failure_threshold=1, recovery_timeout=3600, listener=lambda _: opened.set()
    )
    for count in range(12):
        await parcels.publish_delivered(KEYS[count % 4], Delivered(count=count))
    healthy = Recorder()
    broken = await consume(
        transport, Recorder(fail), "billing", circuit_breaker=policy, backoff=[0.01]
    )
    async with broken:
        await opened.wait()
        async with await consume(transport, healthy, "billing"):
            await eventually(lambda: len(healthy.seen) == 12)
    assert sorted(count for _, count in healthy.seen) == [*range(12)]


def broken(_: Exception) -> bool:
    """Fail to decide."""
    raise KeyError


def never(_: Exception) -> bool:
    """Take no exception for a failure."""
    return False


@pytest.mark.parametrize("is_failure", [None, broken, never])
async def test_a_breaker_counts_failures(
    parcels: ParcelsClient, transport: NatsTransport, is_failure: IsFailure | None
) -> None:
    """A handler that exceeds its time is a failure; an error about a value is none."""
    changes: list[CircuitStateChange] = []

    async def act(event: AnyEvent) -> None:
        if event.data.count == 1 and event.attempt == 1:
            raise ValueError("a value")
        if event.data.count == 2 and event.attempt == 1:
            await asyncio.Event().wait()

    policy = CircuitBreakerPolicy(
        failure_threshold=1,
        recovery_timeout=0.05,
        listener=changes.append,
        is_failure=is_failure,
    )
    recorder = Recorder(act)
    for count in (1, 2, 3):
        await parcels.publish_delivered("p-1", Delivered(count=count))
    async with await consume(
        transport,
        recorder,
        "billing",
        circuit_breaker=policy,
        backoff=[0.01],
        handler_timeout=1,
    ):
        await eventually(lambda: ("p-1", 3) in recorder.seen)
    assert [each.new for each in changes] == ["open", "half-open", "closed"]


async def test_a_slow_server_loses_no_event_of_a_trial(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that arrived in time is tried, however long it takes to end the request for it."""
    time, close, get_next = shift_time(), Pull.close, Pull.__anext__
    arrived: list[int] = []

    async def note(self: Pull) -> PulledMessage:
        message = await get_next(self)
        if self._batch == 1:
            arrived.append(message.attempt)
        return message

    async def slowly(self: Pull) -> None:
        if self._batch == 1:
            time.advance(5)
            await settle()
        await close(self)

    async def fail_once(event: AnyEvent) -> None:
        if event.attempt == 1:
            raise ConnectionError

    policy = CircuitBreakerPolicy(failure_threshold=1, recovery_timeout=0.05)
    recorder = Recorder(fail_once)
    monkeypatch.setattr("weenats.events.pulling._PATIENCE", 5.0)
    monkeypatch.setattr(Pull, "close", slowly)
    monkeypatch.setattr(Pull, "__anext__", note)
    await parcels.publish_delivered("p-1", Delivered(count=1))
    async with await consume(
        transport, recorder, "billing", circuit_breaker=policy, backoff=[0.01], ack_wait=10
    ):
        await eventually(lambda: recorder.seen)
    assert recorder.attempts == [1, *arrived]


async def test_a_deleted_consumer_pauses_trials(
    parcels: ParcelsClient, transport: NatsTransport, caplog: Any
) -> None:
    """While the breaker is open and the consumer is gone, that is logged, and a stop works."""

    async def fail(_: object) -> None:
        raise ConnectionError

    policy = CircuitBreakerPolicy(failure_threshold=1, recovery_timeout=0.05)
    await parcels.publish_delivered("p-1", Delivered(count=1))
    running = await consume(transport, Recorder(fail), "billing", circuit_breaker=policy)
    async with running:
        await until(lambda: "is open" in caplog.text)
        await running._work._sources[0][0].consumer.delete()
        await until(lambda: "the consumer billing receives no events" in caplog.text)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"interceptors": [lambda _: None]}, "an interceptor must be"),
        ({"rate_limit": 0}, "rate_limit is a number of events a second above 0, not 0"),
        ({"rate_limit": True}, "rate_limit is a number"),
        ({"rate_limit": "9"}, "rate_limit is a number"),
        ({"circuit_breaker": 5}, "circuit_breaker is a CircuitBreakerPolicy, not 5"),
    ],
)
async def test_wrong_options_are_errors(options: dict[str, Any], problem: str) -> None:
    """They are found before anything is sent."""
    transport = NatsTransport("nats://127.0.0.1:1")
    with pytest.raises((TypeError, ValueError), match=problem):
        await consume(transport, Recorder(), "billing", **options)
