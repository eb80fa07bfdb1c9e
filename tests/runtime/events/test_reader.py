"""Reading durable events in order, and consuming them in a loop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from testkit.parcels import (
    DELIVERED,
    HIRED,
    MOVED,
    PARCELS_EVENTS_STREAM,
    SHIPPED,
    Delivered,
    ParcelsClient,
    Shipped,
    parcel_streams,
    remove_streams,
)
from testkit.transports import connected
from testkit.waiting import LIMIT, ask_until, eventually, until
from weenats import (
    ConnectionClosedError,
    ConnectionOptions,
    InvalidArgumentError,
    NatsTransport,
    WrongEventLoopError,
)
from weenats.events import consuming, read_events
from weenats.events.reader import count_stored
from weenats.streams import apply_streams, plan_streams
from weenats.streams.consumer_states import consumer_states
from weenats.streams.dead_letters import DeadLetters
from weenats.testing import NatsServer
from weenats.transport import Delivery
from weenats.transport.jetstream import (
    JetStream,
    PulledMessage,
    StreamMissingError,
    StreamReplacedError,
)
from weenats.transport.jetstream.api import call
from weenats.transport.jetstream.gapless_pull import GaplessPull

STREAM = PARCELS_EVENTS_STREAM
_BEFORE_ALL_TIMES = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))


async def deliver(parcels: ParcelsClient, *counts: int) -> None:
    """Publish events of several keys, in order."""
    for count in counts:
        await parcels.publish_delivered(f"p-{count}", Delivered(count=count))


async def test_a_reader_has_the_order_of_the_stream(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Events of all partitions come in the order in which they were stored, up to the last one."""
    await deliver(parcels, *range(20))
    await parcels.publish_shipped("p-1", Shipped(depot="A"))
    read = [each async for each in read_events(transport, DELIVERED, follow=False)]
    assert [each.data.count for each in read] == list(range(20))
    assert [each.sequence for each in read] == list(range(1, 21))
    both = [each.data async for each in read_events(transport, DELIVERED, SHIPPED, follow=False)]
    assert both[-1] == Shipped(depot="A")
    rest = read_events(transport, DELIVERED, start=19, follow=False)
    assert [each.data.count async for each in rest] == [18, 19]
    assert [each async for each in read_events(transport, DELIVERED, start=99, follow=False)] == []
    await ask_until(
        lambda info: info.consumers == 0, partial(JetStream(transport).stream_info, STREAM.name)
    )


async def test_a_stream_that_was_made_anew_ends_a_reader(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The sequence that it goes on with says nothing about another stream of this name."""
    await deliver(parcels, 1, 2)
    reading = read_events(transport, DELIVERED)
    async with asyncio.timeout(LIMIT):
        assert [(await anext(reading)).sequence, (await anext(reading)).sequence] == [1, 2]
        await JetStream(transport).delete_stream(STREAM.name)
        await apply_streams(transport, await plan_streams(transport, [STREAM]))
        await deliver(parcels, 3)
        with pytest.raises(StreamReplacedError, match="the stream parcels-events was deleted"):
            await anext(reading)


async def test_a_reader_follows_over_restarts(own_nats_server: NatsServer) -> None:
    """New events arrive, also after the server that kept the place of the reader restarted."""
    async with parcel_streams(own_nats_server.url) as transport:
        parcels = ParcelsClient(transport)
        await deliver(parcels, 1)
        counts: list[int] = []
        async with asyncio.timeout(30):
            async for event in read_events(transport, DELIVERED):
                counts.append(event.data.count)
                if len(counts) == 2:
                    own_nats_server.restart()
                if len(counts) == 4:
                    break
                await deliver(parcels, len(counts) + 1)
        assert counts == [1, 2, 3, 4]


async def test_a_reader_ends_beside_a_server_that_hangs(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`close_timeout` bounds the end, however long JetStream may take to answer."""
    monkeypatch.setattr(JetStream.__init__, "__defaults__", (3600.0,))
    async with parcel_streams(own_nats_server.url) as transport:
        await deliver(ParcelsClient(transport), 1)
        options = ConnectionOptions(close_timeout=0.05)
        async with connected(own_nats_server.url, options) as impatient:
            reading = read_events(impatient, DELIVERED)
            assert (await anext(reading)).data.count == 1
            waiting = asyncio.ensure_future(anext(reading))
            await asyncio.sleep(0)
            own_nats_server.pause()
            waiting.cancel()
            await asyncio.wait_for(asyncio.wait([waiting]), LIMIT)
            assert waiting.cancelled()
        own_nats_server.resume()


async def test_a_lost_message_is_read_again(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap in the deliveries begins anew after the last event."""
    await deliver(parcels, *range(5))
    lost = lose(monkeypatch, b'"count":2')
    read = [each async for each in read_events(transport, DELIVERED, follow=False)]
    assert [each.data.count for each in read] == list(range(5))
    assert len(lost) == 1


async def test_a_lost_message_is_read_again_although_none_follows(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat of the server says that the last event was delivered, but it never arrived."""
    monkeypatch.setattr("weenats.transport.jetstream.pull._HEARTBEAT", 0.2)
    await deliver(parcels, *range(5))
    lost = lose(monkeypatch, b'"count":4')
    async with asyncio.timeout(LIMIT):
        read = [each async for each in read_events(transport, DELIVERED, follow=False)]
    assert [each.data.count for each in read] == list(range(5))
    assert len(lost) == 1


async def test_a_reader_ends_when_somebody_purges_its_stream(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the events that followed when its last one was delivered."""
    monkeypatch.setattr("weenats.events.reader._AHEAD", 2)
    await deliver(parcels, *range(20))
    async with asyncio.timeout(LIMIT):
        reading = read_events(transport, DELIVERED, follow=False)
        read = [await anext(reading)]
        await JetStream(transport).purge(STREAM.name)
        read += [each async for each in reading]
    assert [each.data.count for each in read] == list(range(len(read)))
    assert len(read) < 20


async def test_a_reader_ends_at_the_last_event_of_the_leader(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of its consumer may have old data after a restart, and know of no more events."""
    know_nothing_of_what_follows(monkeypatch)
    await deliver(parcels, *range(5))
    async with asyncio.timeout(LIMIT):
        read = [each async for each in read_events(transport, DELIVERED, SHIPPED, follow=False)]
    assert [each.data.count for each in read] == list(range(5))
    for start in (6, datetime.now(UTC) + timedelta(hours=1)):
        rest = read_events(transport, DELIVERED, start=start, follow=False)
        assert [each async for each in rest] == []
    counts = [await count_stored(transport, DELIVERED, start=start) for start in (5, 6)]
    assert counts == [1, 0]


async def test_a_reader_ends_when_what_its_server_does_not_know_is_purged(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the last event of the leader, but not for ever."""
    know_nothing_of_what_follows(monkeypatch)
    lose(monkeypatch, b'"count":1', times=9)
    await deliver(parcels, 0, 1)
    reading = read_events(transport, DELIVERED, follow=False)
    async with asyncio.timeout(LIMIT):
        read = [await anext(reading)]
        await JetStream(transport).purge(STREAM.name)
        read += [each async for each in reading]
    assert [each.data.count for each in read] == [0]


@pytest.mark.parametrize("follow", [True, False])
async def test_a_consumer_that_gets_nothing_is_replaced(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    """Its server may not get new events; the next consumer may be on another one."""
    monkeypatch.setattr("weenats.events.reader._IDLE", 0.02)
    monkeypatch.setattr("weenats.events.reader._QUIET", 0.02)
    jetstream, create, paused = JetStream(transport), JetStream.create_consumer, list[str]()

    async def create_paused(*args: Any) -> Any:
        info = await create(*args)
        if not paused:
            paused.append(info.config.name)
            body = {"pause_until": "2999-01-01T00:00:00Z"}
            operation = f"CONSUMER.PAUSE.{STREAM.name}.{paused[0]}"
            await call(transport, operation, body, what="pause", timeout=LIMIT)
            await deliver(parcels, 1)
        return replace(info, pending=0)

    await deliver(parcels, 0)
    monkeypatch.setattr(JetStream, "create_consumer", create_paused)
    async with asyncio.timeout(LIMIT):
        reading = read_events(transport, DELIVERED, start=2, follow=follow)
        assert (await anext(reading)).data.count == 1
        await reading.aclose()
    await ask_until(lambda info: info.consumers == 0, partial(jetstream.stream_info, STREAM.name))


def know_nothing_of_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server of a consumer say that no event follows, as one that has just restarted."""
    create = JetStream.create_consumer

    async def create_ignorant(*args: Any) -> Any:
        return replace(await create(*args), pending=0)

    monkeypatch.setattr(JetStream, "create_consumer", create_ignorant)
    monkeypatch.setattr(PulledMessage, "pending", 0)


async def test_an_invalid_event_is_named(parcels: ParcelsClient, transport: NatsTransport) -> None:
    """A note of the error says which one it is; those before it are read."""
    await deliver(parcels, 1)
    await JetStream(transport).publish("parcels.stream.0.parcel.delivered", b"{}")
    reading = read_events(transport, DELIVERED)
    assert (await anext(reading)).data.count == 1
    with pytest.raises(InvalidArgumentError) as raised:
        await anext(reading)
    assert raised.value.__notes__ == ["event 2 of the stream parcels-events"]
    assert raised.value.of_connection


async def test_the_first_of_new_events_is_read_again(
    parcels: ParcelsClient, transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored after the begin is read, also if the first delivery is lost."""
    await deliver(parcels, 0)
    lost = lose(monkeypatch, b'"count":1')
    reading = read_events(transport, DELIVERED, start="new")
    first = asyncio.create_task(anext(reading))
    jetstream = JetStream(transport)
    await ask_until(lambda info: info.consumers, partial(jetstream.stream_info, STREAM.name))
    await deliver(parcels, 1, 2)
    assert [(await first).data.count, (await anext(reading)).data.count] == [1, 2]
    assert len(lost) == 1
    await reading.aclose()


def lose(monkeypatch: pytest.MonkeyPatch, payload: bytes, times: int = 1) -> list[Delivery]:
    """Lose the first deliveries with this in their payloads; return what was lost."""
    on_delivery, lost = GaplessPull._on_delivery, list[Delivery]()

    def deliver_or_lose(pull: Any, delivery: Delivery) -> None:
        if payload in delivery.payload and len(lost) < times:
            lost.append(delivery)
        else:
            on_delivery(pull, delivery)

    monkeypatch.setattr(GaplessPull, "_on_delivery", deliver_or_lose)
    return lost


async def test_a_reader_needs_durable_events_of_one_stream(
    nats_url: str, transport: NatsTransport
) -> None:
    """Other events are refused; what does not match the contract is an error."""
    for events, problem in (
        ([], "there are no events"),
        ([MOVED], "parcel.moved is not a durable event"),
        ([DELIVERED, HIRED], r"in several streams \(couriers, parcels-events\)"),
        ([DELIVERED, MOVED], "parcel.moved is not a durable event"),
    ):
        with pytest.raises(ValueError, match=problem):
            await anext(read_events(transport, *events))
    await JetStream(transport).publish("parcels.stream.0.parcel.delivered", b"{}")
    with pytest.raises(InvalidArgumentError):
        await anext(read_events(transport, DELIVERED))
    await remove_streams(nats_url)
    with pytest.raises(StreamMissingError, match="weenats streams apply"):
        await anext(read_events(transport, DELIVERED))


async def test_a_loop_processes_events(parcels: ParcelsClient, transport: NatsTransport) -> None:
    """What the loop went past is processed, also the last event before a break."""
    await deliver(parcels, 1, 2, 3)
    seen: set[int] = set()
    async with consuming(transport, "billing", DELIVERED) as events:
        async for event in events:
            seen.add(event.data.count)
            if len(seen) == 2:
                break
    async with consuming(transport, "billing", DELIVERED) as events:
        event = await anext(aiter(events))
        assert seen | {event.data.count} == {1, 2, 3}
    [state] = await consumer_states(transport, STREAM)
    assert (state.pending, state.unacknowledged) == (0, 0)


async def test_an_exception_in_a_loop_is_a_failure(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """The event of the exception is repeated, and becomes a dead letter in the end."""
    await deliver(parcels, 1)
    options: Any = {"max_deliver": 2, "backoff": [0.01]}

    async def fail() -> None:
        async with consuming(transport, "billing", DELIVERED, **options) as events:
            async for _ in events:
                raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            await fail()
    [letter] = [each async for each in DeadLetters(transport, STREAM).list()]
    assert letter.error == "RuntimeError"
    assert letter.attempts >= 2


async def test_a_loop_slower_than_the_timeout(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """Events whose attempts end meanwhile come again; what the loop raises is raised."""
    await deliver(parcels, 1, 2, 3)
    options: Any = {"max_deliver": 99, "handler_timeout": 0.02, "backoff": [0.01]}
    tasks = asyncio.all_tasks()

    async def work() -> None:
        async with consuming(transport, "billing", DELIVERED, **options) as events:
            await anext(aiter(events))
            queue: Any = events._handed  # type: ignore[attr-defined]
            await until(queue.qsize)
            await asyncio.wait([queue._queue[0].processed])
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    await until(lambda: asyncio.all_tasks() == tasks)
    async with consuming(transport, "billing", DELIVERED) as events:
        seen = {(await anext(aiter(events))).data.count for _ in range(3)}
    assert seen == {1, 2, 3}


async def test_a_loop_ends_with_its_connection(transport: NatsTransport) -> None:
    """Those that wait for an event, or ask for one later, get an error; nothing waits for ever."""
    closing = NatsTransport(transport.servers)
    async with consuming(closing, "billing", DELIVERED) as events:
        waiting = [asyncio.create_task(anext(events)) for _ in range(2)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await closing.close()
        await asyncio.wait_for(asyncio.wait(waiting), LIMIT)
        for ended in (*waiting, anext(events)):
            with pytest.raises(ConnectionClosedError):
                await ended


def test_a_program_that_ends_within_a_loop(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its exception keeps the reader until asyncio closes all generators: nothing is logged."""

    async def fail() -> None:
        async with parcel_streams(nats_url) as transport:
            await deliver(ParcelsClient(transport), 1)
            reading = read_events(transport, DELIVERED)
            async for _ in reading:
                raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(fail())
    assert not caplog.records


async def test_loops_on_another_event_loop_are_refused(
    parcels: ParcelsClient, transport: NatsTransport
) -> None:
    """They take no event, whether one waits or not, and the loop on its own event loop goes on."""
    await deliver(parcels, 1)

    async def next_on_another_loop(events: Any) -> None:
        with pytest.raises(WrongEventLoopError):
            await asyncio.to_thread(lambda: asyncio.run(anext(events)))

    async with consuming(transport, "billing", DELIVERED) as events:
        queue: Any = events._handed  # type: ignore[attr-defined]
        await until(queue.qsize)
        await next_on_another_loop(events)
        assert (await anext(aiter(events))).data.count == 1
        await next_on_another_loop(events)
    await next_on_another_loop(JetStream(transport).pull(STREAM.name, "billing-0"))
    reading = read_events(transport, DELIVERED)
    await anext(reading)
    await asyncio.wait_for(next_on_another_loop(reading), LIMIT)


async def test_a_reader_that_is_cancelled_at_once_deletes_its_consumer_when_it_is_there(
    transport: NatsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may execute two requests in another order: it deletes nothing, then creates it."""
    log: list[str] = []
    create, discard, go_on = JetStream.create_consumer, JetStream.discard_consumer, asyncio.Event()

    async def slow(self: JetStream, *arguments: Any) -> Any:
        log.append("begun")
        await go_on.wait()
        info = await create(self, *arguments)
        log.append("created")
        return info

    def noted(self: JetStream, *arguments: Any) -> None:
        log.append("discarded")
        discard(self, *arguments)

    monkeypatch.setattr(JetStream, "create_consumer", slow)
    monkeypatch.setattr(JetStream, "discard_consumer", noted)
    reading = asyncio.create_task(anext(read_events(transport, DELIVERED)))  # type: ignore[arg-type]
    await until(lambda: log)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    go_on.set()
    await eventually(lambda: log == ["begun", "created", "discarded"])


async def test_a_loop_ends_with_its_block(transport: NatsTransport) -> None:
    """Nothing waits for events of a consumer that was stopped."""
    async with consuming(transport, "billing", DELIVERED) as events:
        waiting = [asyncio.ensure_future(anext(aiter(events), None)) for _ in range(2)]
        await asyncio.sleep(0)
    assert [await each for each in waiting] == [None, None]
    assert [each async for each in events] == []


async def test_a_loop_needs_events(transport: NatsTransport) -> None:
    """Without events, or with one that is not durable, there is nothing to consume."""
    for events in ([], [MOVED]):
        with pytest.raises(ValueError, match=r"at least one event|not durable"):
            async with consuming(transport, "billing", *events):
                pass


@pytest.mark.parametrize(
    "start", [None, "1", 1.5, [], "middle", 0, -1, True, 2**63, _BEFORE_ALL_TIMES]
)
async def test_start_of_reading_is_checked(transport: NatsTransport, start: Any) -> None:
    """What is neither a place nor a sequence nor a time is refused."""
    with pytest.raises(InvalidArgumentError, match="start is 'beginning', 'new', a sequence"):
        await anext(read_events(transport, DELIVERED, start=start))
