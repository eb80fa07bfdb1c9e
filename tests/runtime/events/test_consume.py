"""Durable consumers: order of keys, several instances, restarts, replay, the end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from testkit.parcels import (
    DELIVERED,
    MOVED,
    PARCELS_EVENTS_STREAM,
    SHIPPED,
    Delivered,
    DepotClosed,
    Hired,
    Parcels,
    ParcelsClient,
    Recorder,
    Shipped,
    parcel_streams,
    remove_streams,
)
from testkit.telemetry import EVERYTHING, recording
from testkit.transports import connected
from testkit.waiting import ask_until, cancel_call, eventually, settle, until
from weenats import (
    FailedPreconditionError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
)
from weenats._internal.tracebacks import MAX_FRAMES
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.events import EventConsumer, EventRoute, ReceivedEvent, consume, publish
from weenats.protocol.partitions import partition_of
from weenats.streams.consumer_states import ConsumerState, consumer_states
from weenats.streams.consumers import StreamConsumer
from weenats.telemetry import TelemetryManager, TelemetrySettings
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream, StreamMissingError

STREAM = PARCELS_EVENTS_STREAM


async def deliver(parcels: ParcelsClient, key: str, *counts: int) -> None:
    """Publish events of a key, in order."""
    for count in counts:
        await parcels.publish_delivered(key, Delivered(count=count))


async def test_every_event_reaches_its_method(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Events of all aggregates and streams, before and after the start, with their types."""
    courier = uuid4()
    await parcels.publish_shipped("p-1", Shipped(depot="A"))
    await parcels.publish_hired(courier, Hired(name="Ann"))
    events: list[ReceivedEvent[Any, Any]] = []

    async def act(event: ReceivedEvent[Any, Any]) -> None:
        events.append(event)

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing"):
        await parcels.publish_depot_closed(DepotClosed(depot="B"))
        await parcels.publish_delivered("p-1", Delivered(count=2), revision=7)
        await until(lambda: len(recorder.seen) == 4)
    assert sorted(recorder.seen, key=str) == sorted(
        [("p-1", "A"), (courier, "Ann"), (None, "B"), ("p-1", 2)], key=str
    )
    last = next(each for each in events if each.revision == 7)
    assert (last.sequence, last.attempt, type(last.data)) == (3, 1, Delivered)


async def test_instances_share_events_in_order(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Each event is processed once by one of three instances; those of a key are in order."""
    instances = [Recorder() for _ in range(3)]
    order: dict[str, list[int]] = defaultdict(list)
    working: set[int] = set()
    most = 0

    async def act(event: ReceivedEvent[Delivered]) -> None:
        nonlocal most
        partition = partition_of(event.key, STREAM.partitions)
        assert partition not in working, "two events of one partition at a time"
        working.add(partition)
        most = max(most, len(working))
        await asyncio.sleep(0)
        order[event.key].append(event.data.count)
        working.remove(partition)

    for each in instances:
        each.act = act
    runs = [await consume(transport, each, "billing") for each in instances]
    keys = [f"p-{number}" for number in range(12)]
    await asyncio.gather(*(deliver(parcels, key, *range(20)) for key in keys))
    await until(lambda: sum(map(len, order.values())) == 12 * 20)
    assert order == {key: list(range(20)) for key in keys}
    assert most > 1
    assert sum(bool(each.seen) for each in instances) > 1
    for run in runs:
        await run.stop()


async def test_consumers_are_independent(parcels: ParcelsClient, transport: NatsTransport) -> None:
    """Two names get all events each; one name goes on where it was."""
    await deliver(parcels, "p-1", 1, 2)
    first, second, again = Recorder(), Recorder(), Recorder()
    async with (
        await consume(transport, first, "billing"),
        await consume(transport, second, "statistics"),
    ):
        await until(lambda: len(first.seen) == len(second.seen) == 2)
    await deliver(parcels, "p-1", 3)
    async with await consume(transport, again, "billing"):
        await until(lambda: again.seen)
    assert again.seen == [("p-1", 3)]


async def test_order_is_kept_while_an_event_is_retried(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Later events of its key wait until the failing one succeeds; other keys go on."""
    keys = ["p-1", next(f"p-{n}" for n in range(99) if partition_of(f"p-{n}", 4) != _PARTITION)]
    for key in keys:
        await deliver(parcels, key, 1, 2)

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if event.key == "p-1" and event.data.count == 1 and event.attempt < 3:
            raise ConnectionError("the database is away")

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", backoff=[0.05]):
        await until(lambda: len(recorder.seen) == 4)
    of_key = [count for key, count in recorder.seen if key == "p-1"]
    assert of_key == [1, 2]
    assert recorder.seen[0][0] == keys[1]


async def test_exception_with_many_frames_keeps_no_events(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """A stored exception that handlers of durable events raise again loses its many frames."""
    stored = ConnectionError("the connection broke")

    def fail(frames: int) -> None:
        if not frames:
            raise stored
        fail(frames - 1)

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if event.attempt < 3:
            fail(MAX_FRAMES)

    await deliver(parcels, "p-1", 1)
    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", backoff=[0.05]):
        await until(lambda: recorder.seen)
    assert stored.__traceback__ is None


_PARTITION = partition_of("p-1", 4)


@pytest.mark.parametrize("start", ["beginning", "new", "sequence", "time"])
async def test_a_new_consumer_begins_anywhere(
    parcels: ParcelsClient, transport: NatsTransport, start: str
) -> None:
    """It begins with the first event, the next one, a sequence or a time."""
    await deliver(parcels, "p-1", 1, 2)
    await until_later(await JetStream(transport).get(STREAM.name, 2))
    moment = datetime.now(UTC)
    await deliver(parcels, "p-1", 3)
    places: dict[str, Any] = {"sequence": 2, "time": moment}
    recorder = Recorder()
    async with await consume(transport, recorder, "billing", start=places.get(start, start)):
        await deliver(parcels, "p-1", 4)
        await until(lambda: ("p-1", 4) in recorder.seen)
    expected = {"beginning": [1, 2, 3, 4], "new": [4], "sequence": [2, 3, 4], "time": [3, 4]}
    assert [count for _, count in recorder.seen] == expected[start]


async def until_later(message: Any) -> None:
    """Wait until the clock is after the time of a message."""
    while datetime.now(UTC) <= message.time + timedelta(milliseconds=1):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_events_of_a_later_contract_reach_other(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """An event that the contract does not know is handled by `other`, by default ignored."""

    class Ignoring(Recorder):
        other = EventConsumer.other

    payload = (
        b'{"id":"01M8KT9Q53ZA8AFN1TC3NV5SJV","type":"lost","timestamp":"2026-11-29T14:10:45.539Z",'
        b'"aggregate":{"type":"parcel","key":"p-1"},"data":{"where":"sea"},"metadata":{'
        b'"messageId":"01M8KT9Q53ZA8AFN1TC3NV5SJV","timestamp":"2026-11-29T14:10:45.539Z"}}'
    )
    jetstream = JetStream(transport)
    info = await jetstream.stream_info(STREAM.name)
    subjects = (*info.config.subjects, "parcels.stream.*.parcel.lost")
    await jetstream.update_stream(replace(info.config, subjects=subjects))
    await jetstream.publish("parcels.stream.0.parcel.lost", payload)
    await jetstream.publish("parcels.stream.0.parcel.lost", payload)
    knowing, ignoring = Recorder(), Ignoring()
    async with (
        await consume(transport, knowing, "billing"),
        await consume(transport, ignoring, "statistics"),
    ):
        await until(lambda: len(knowing.seen) == 2)
        await eventually_idle(transport, "statistics")
    assert knowing.seen[0] == ("p-1", ("parcel.lost", {"where": "sea"}))
    assert ignoring.seen == []


async def eventually_idle(transport: NatsTransport, name: str) -> None:
    """Wait until a consumer has processed everything."""

    def is_idle(states: list[ConsumerState]) -> bool:
        [state] = [each for each in states if each.name == name]
        return not (state.pending or state.unacknowledged)

    await ask_until(is_idle, partial(consumer_states, transport, STREAM))


async def test_an_instance_that_dies_loses_nothing(nats_url: str, parcels: ParcelsClient) -> None:
    """What it had is delivered to another instance after ack_wait, still in order."""
    await deliver(parcels, "p-1", 1, 2, 3)
    dying, heir = NatsTransport(nats_url), NatsTransport(nats_url)
    begun = asyncio.Event()

    async def hang(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    lost = await consume(dying, Recorder(hang), "billing", ack_wait=0.3)
    await begun.wait()
    for task in [lost._work._heartbeats, *lost._work._pulling]:  # as if the process had died
        task.cancel()
    await dying.close()
    recorder = Recorder()
    async with await consume(heir, recorder, "billing", ack_wait=0.3):
        await eventually(lambda: len(recorder.seen) == 3)
    assert [*dict.fromkeys(recorder.seen)] == [("p-1", 1), ("p-1", 2), ("p-1", 3)]
    assert recorder.attempts[0] >= 2
    lost._work.abort()
    await heir.close()


@pytest.mark.timing
async def test_a_slow_handler_keeps_its_event(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Signs of life keep the server from delivering it again, longer than ack_wait."""
    await deliver(parcels, "p-1", 1)
    loop = asyncio.get_running_loop()

    async def act(_: object) -> None:
        end = loop.time() + 2.5
        while loop.time() < end:  # noqa: ASYNC110 - a condition of time
            await asyncio.sleep(0.01)

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", ack_wait=1.0):
        await eventually(lambda: recorder.seen)
    assert recorder.attempts == [1]


async def test_stopping_finishes_what_was_begun(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Running handlers end, what waits goes to others at once, and nothing new is taken."""
    await deliver(parcels, "p-1", 1, 2)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def act(_: object) -> None:
        begun.set()
        await may_end.wait()

    recorder = Recorder(act)
    running = await consume(transport, recorder, "billing")
    await begun.wait()
    stopping = asyncio.create_task(running.stop())
    await transport.fence()
    may_end.set()
    await stopping
    other = Recorder()
    async with await consume(transport, other, "billing"):
        await until(lambda: len(recorder.seen) + len(other.seen) == 2)
    assert recorder.seen + other.seen == [("p-1", 1), ("p-1", 2)]


async def test_a_drain_that_takes_too_long_returns_events(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler is cancelled, and another instance gets the event at once."""
    monkeypatch.setattr("weenats.events.running_consumer.DRAIN_TIMEOUT", 0.05)
    await deliver(parcels, "p-1", 1)
    begun = asyncio.Event()

    async def hang(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    running = await consume(transport, Recorder(hang), "billing")
    await begun.wait()
    await running.stop()
    other = Recorder()
    async with await consume(transport, other, "billing"):
        await until(lambda: other.seen)
    assert other.attempts == [2]


async def test_consumers_end_with_their_connection(nats_url: str, transport: NatsTransport) -> None:
    """One that nobody has stopped leaves no task when the connection is closed for good."""
    before = asyncio.all_tasks()
    async with connected(nats_url) as closing:
        await consume(closing, Recorder(), "billing", circuit_breaker=CircuitBreakerPolicy())
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_consuming_survives_a_restart(own_nats_server: NatsServer) -> None:
    """After the server was killed and started again, events arrive again."""
    async with parcel_streams(own_nats_server.url) as transport:
        parcels = ParcelsClient(transport)
        recorder = Recorder()
        async with await consume(transport, recorder, "billing"):
            await deliver(parcels, "p-1", 1)
            await until(lambda: len(recorder.seen) == 1)
            own_nats_server.kill()
            own_nats_server.start()
            await deliver(parcels, "p-1", 2)
            await eventually(lambda: len(recorder.seen) >= 2)
    assert [count for _, count in recorder.seen][-1] == 2


async def test_a_deleted_consumer_is_waited_for(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """It is logged; once somebody creates it again, running instances go on."""
    monkeypatch.setattr("weenats.events.pulling._PAUSE", 0.02)
    await deliver(parcels, "p-1", 1)
    recorder = Recorder()
    async with await consume(transport, recorder, "billing"):
        await until(lambda: len(recorder.seen) == 1)
        part = StreamConsumer(transport, STREAM, "billing")
        await part.delete()
        await until(lambda: "the consumer billing receives no events" in caplog.text)
        await part.prepare("beginning", 30.0)
        await until(lambda: len(recorder.seen) == 2)
    assert recorder.seen == [("p-1", 1), ("p-1", 1)]


async def test_without_streams_consuming_fails(nats_url: str) -> None:
    """The error names the stream and the command."""
    await remove_streams(nats_url)
    transport = NatsTransport(nats_url)
    with pytest.raises(StreamMissingError, match=r"parcels-events.*weenats streams apply"):
        await consume(transport, Recorder(), "billing")
    await transport.close()


async def test_other_partitions_are_refused(transport: NatsTransport) -> None:
    """A contract with another number of partitions would miss events."""
    jetstream = JetStream(transport)
    info = await jetstream.stream_info(STREAM.name)
    metadata = {**info.config.metadata, "weenats.partitions": "8"}
    await jetstream.update_stream(replace(info.config, metadata=metadata))
    with pytest.raises(FailedPreconditionError, match="has 8 partitions, and 4 in the contract"):
        await consume(transport, Recorder(), "billing")


async def test_options_of_a_consumer_change(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Another ack_wait holds from the next start on; progress stays."""
    await deliver(parcels, "p-1", 1)
    first, second = Recorder(), Recorder()
    async with await consume(transport, first, "billing"):
        await until(lambda: first.seen)
    async with await consume(transport, second, "billing", ack_wait=7):
        await deliver(parcels, "p-1", 2)
        await until(lambda: second.seen)
    assert second.seen == [("p-1", 2)]
    assert await StreamConsumer(transport, STREAM, "billing").ack_wait() == 7.0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"start": "yesterday"}, "start is "),
        ({"start": 0}, "start is "),
        ({"start": True}, "start is "),
        ({"max_deliver": 0}, "max_deliver is an integer of at least 1"),
        ({"max_concurrency": 0}, "max_concurrency is from 1"),
        ({"backoff": []}, "backoff has at least one pause"),
        ({"colour": 1}, "a durable consumer has no option colour"),
        ({"handler_timeout": -1}, "handler_timeout must be a positive"),
    ],
)
async def test_options_are_checked(options: dict[str, Any], problem: str) -> None:
    """A wrong option is an error at once, before anything is sent."""
    transport = NatsTransport("nats://127.0.0.1:1")
    with pytest.raises((TypeError, ValueError, InvalidArgumentError), match=problem):
        await consume(transport, Recorder(), "billing", **options)
    with pytest.raises(ValueError, match="not a valid queue group name"):
        await consume(transport, Recorder(), "Bil.ling")
    consumer: Any = Recorder
    with pytest.raises(TypeError, match="consumer must be an instance of a generated consumer"):
        await consume(transport, consumer, "billing")


def test_routes_need_durable_events_and_coroutines() -> None:
    """A route of an event that no stream keeps, or to a plain function, is refused."""
    with pytest.raises(ValueError, match="moved is not durable"):
        EventRoute.of(MOVED, Recorder().shipped)
    with pytest.raises(TypeError, match="the handler of event shipped must be"):
        EventRoute.of(SHIPPED, lambda _: None)  # type: ignore[arg-type]


async def test_a_consumer_ends_with_its_service(nats_url: str, parcels: ParcelsClient) -> None:
    """One that was started in the lifespan of a service finishes its event, and no other."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def act(_: object) -> None:
        begun.set()
        await may_end.wait()

    recorder = Recorder(act)

    class Consuming(Parcels):
        @asynccontextmanager
        async def lifespan(self) -> Any:
            await consume(self.transport, recorder, "billing", telemetry=self.telemetry)
            yield

    await deliver(parcels, "p-1", 1, 2)
    service = NatsServiceBuilder(Consuming(), nats_url).build()
    await service.start()
    await begun.wait()
    stopping = asyncio.create_task(service.stop())
    await settle()
    may_end.set()
    await stopping
    assert recorder.seen == [("p-1", 1)]


async def test_spans_of_a_consumer_continue_the_trace(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Publishing has a PRODUCER span; processing CONSUMER spans of the same trace."""
    with recording() as observed:
        manager = TelemetryManager(TelemetrySettings(sampling=EVERYTHING))

        async def act(event: ReceivedEvent[Delivered]) -> None:
            if event.attempt == 1:
                raise KeyError

        recorder = Recorder(act)
        data = Delivered(count=1)
        await publish(transport, DELIVERED, "p-1", data, manager)
        running = await consume(transport, recorder, "billing", manager, backoff=[0.01])
        async with running:
            await until(lambda: recorder.seen)
        sent, *processed = observed.spans
    assert sent.name == "publish parcels.events.parcel.delivered"
    assert [each.name for each in processed] == ["process parcels.events.parcel.delivered"] * 2
    assert {each.context.trace_id for each in processed} == {sent.context.trace_id}
    assert [each.status.description for each in processed] == ["KeyError", None]
    assert processed[0].attributes["messaging.consumer.group.name"] == "billing"


async def test_a_deleted_stream_is_reported(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Running instances say so in the log, and stop as usual."""
    monkeypatch.setattr("weenats.events.pulling._PAUSE", 0.02)
    async with await consume(transport, Recorder(), "billing"):
        await JetStream(transport).delete_stream(STREAM.name)
        await eventually(lambda: "billing receives no events: UNAVAILABLE" in caplog.text)


async def test_stopping_that_is_cancelled_goes_on(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The running handler ends, and nothing of the consumer is left."""
    await deliver(parcels, "p-1", 1)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def act(_: object) -> None:
        begun.set()
        await may_end.wait()

    recorder = Recorder(act)
    before = asyncio.all_tasks()
    running = await consume(transport, recorder, "billing")
    await begun.wait()
    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0)
    await cancel_call(stopping)
    may_end.set()
    await eventually(lambda: asyncio.all_tasks() <= before)
    assert recorder.seen == [("p-1", 1)]
