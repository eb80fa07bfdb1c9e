"""What belongs to an event loop is refused on another one, at once and whatever is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest

from testkit.parcels import (
    DELIVERED,
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    parcel_streams,
)
from testkit.probe import HAPPENED, Happened, Probe, ProbeClient, Run
from testkit.projections import COUNTS, TOTAL
from testkit.waiting import LIMIT, ask_until, eventually, until
from weenats import NatsServiceBuilder, NatsTransport, ReceivedEvent, WrongEventLoopError
from weenats.discovery import list_infos, list_instances, list_stats
from weenats.events import consume, consuming, publish, read_events, subscribe
from weenats.events import pulling as pulling_module
from weenats.events import running_consumer as consumer_module
from weenats.transport.jetstream.api import call

STREAM: Final = PARCELS_EVENTS_STREAM.name
Uses = dict[str, Callable[[], Awaitable[Any]]]


async def ignore(_: ReceivedEvent[Any, Any]) -> None:
    """Take an event."""


@asynccontextmanager
async def all_uses(url: str) -> AsyncGenerator[Uses]:
    """Yield what can be done with all that belongs to this loop; all works here afterwards."""
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(parcel_streams(url))
        parcels = ParcelsClient(transport)
        await parcels.publish_delivered("p-1", Delivered(count=1))
        service = NatsServiceBuilder(Probe(), url).build()
        await service.start()
        client = await stack.enter_async_context(ProbeClient.connect(url))
        subscription = await subscribe(client.transport, HAPPENED, ignore)
        recorder = Recorder()
        consumer = await consume(transport, recorder, "recorder")
        read = read_events(transport, DELIVERED)
        closed = read_events(transport, DELIVERED)
        for reader in (read, closed):
            await anext(reader)
        events = await stack.enter_async_context(consuming(transport, "loop", DELIVERED))
        counts = await stack.enter_async_context(COUNTS.run(transport))
        await counts.caught_up()
        view = await counts.view()
        left_loop, left_projection = consuming(transport, "left", DELIVERED), COUNTS.run(transport)
        for block in (left_loop, left_projection):
            await block.__aenter__()
        yield {
            "call": lambda: client.run("k", Run(action="a")),
            "call with retries": lambda: client.with_retry().get("k"),
            "check_health": client.check_health,
            "get_service_info": client.get_service_info,
            "get_service_stats": client.get_service_stats,
            "get_contract_document": client.get_contract_document,
            "client.list_instances": client.list_instances,
            "on_all": lambda: client.on_all(ignore),
            "enter a client": client.__aenter__,
            "close a client": client.close,
            "list_instances": lambda: list_instances(transport),
            "list_infos": lambda: list_infos(transport),
            "list_stats": lambda: list_stats(transport),
            "publish": lambda: publish(client.transport, HAPPENED, "k", Happened(text="x")),
            "publish a durable event": lambda: parcels.publish_delivered("p", Delivered(count=9)),
            "subscribe": lambda: subscribe(client.transport, HAPPENED, ignore),
            "unsubscribe": subscription.unsubscribe,
            "start a service": NatsServiceBuilder(Probe(), transport=transport).build().start,
            "stop a service": service.stop,
            "wait for a service": service.wait_until_stopped,
            "consume": lambda: consume(transport, Recorder(), "other"),
            "stop a consumer": consumer.stop,
            "begin a loop": consuming(transport, "other", DELIVERED).__aenter__,
            "go on with a loop": lambda: anext(events),
            "end a loop": lambda: left_loop.__aexit__(None, None, None),
            "begin to read": lambda: anext(read_events(transport, DELIVERED)),
            "go on to read": lambda: anext(read),
            "end to read": closed.aclose,
            "run a projection": COUNTS.run(transport).__aenter__,
            "caught_up": counts.caught_up,
            "status": counts.status,
            "view": counts.view,
            "read a view": lambda: view.get(TOTAL),
            "close a projection": counts.close,
            "end a projection": lambda: left_projection.__aexit__(None, None, None),
            "close a connection": transport.close,
        }
        assert (await client.run("k", Run(action="here"))).text == "here"
        await parcels.publish_delivered("p-1", Delivered(count=2))
        await until(lambda: len(recorder.seen) == 2)
        assert [(await anext(events)).data.count for _ in range(2)] == [1, 2]
        await counts.caught_up()
        assert await view.get(TOTAL) == 3
        await service.stop()
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def check_refusals(uses: Uses) -> None:
    """Use everything on the running loop."""
    tasks = asyncio.all_tasks()
    for name, use in uses.items():
        outcome: object = None
        try:
            async with asyncio.timeout(LIMIT):
                outcome = await use()
        except (Exception, StopAsyncIteration) as error:  # noqa: BLE001 - which names the use
            outcome = error
        assert isinstance(outcome, WrongEventLoopError), (name, outcome)
        assert outcome.of_connection, name  # so that no service sends it to a caller
        assert asyncio.all_tasks() == tasks, name


@pytest.mark.parametrize("is_running", [True, False])
def test_every_use_on_another_event_loop(
    is_running: bool, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It raises the typed error at once and leaves nothing, whether the own loop runs or not."""
    for module in (pulling_module, consumer_module):
        monkeypatch.setattr(module, "DRAIN_TIMEOUT", 0.05)
    with asyncio.Runner() as runner:
        block = all_uses(nats_url)
        uses = runner.run(block.__aenter__())
        if is_running:
            runner.run(asyncio.to_thread(asyncio.run, check_refusals(uses)))
        else:
            asyncio.run(check_refusals(uses))
        runner.run(block.__aexit__(None, None, None))


@asynccontextmanager
async def reading(transport: NatsTransport) -> AsyncGenerator[object]:
    """Read an event, and another one at the end, which ends the reader elsewhere."""
    reader = read_events(transport, DELIVERED)
    await anext(reader)
    yield reader
    await anext(reader)


@pytest.mark.parametrize(
    "block",
    [reading, COUNTS.run, lambda transport: consuming(transport, "left", DELIVERED)],
    ids=["read_events", "projection", "consuming"],
)
async def test_what_is_left_on_another_event_loop_ends_on_its_own(
    block: Callable[[NatsTransport], AbstractAsyncContextManager[object]], nats_url: str
) -> None:
    """Its tasks and subscriptions end, and its consumer is gone, before the connection closes."""

    async def leave() -> None:
        async with asyncio.timeout(LIMIT):
            await entered.__aexit__(None, None, None)

    async with parcel_streams(nats_url) as transport:
        await ParcelsClient(transport).publish_delivered("p-1", Delivered(count=1))
        connection: Any = transport._connection
        before, subscriptions = asyncio.all_tasks(), len(connection.interests)
        entered = block(transport)
        await entered.__aenter__()
        with pytest.raises(WrongEventLoopError):
            await asyncio.to_thread(lambda: asyncio.run(leave()))
        await eventually(
            lambda: asyncio.all_tasks() == before and len(connection.interests) == subscriptions
        )
        await ask_until(
            lambda found: not [each for each in found["consumers"] or () if "reader" in each],
            lambda: call(transport, f"CONSUMER.NAMES.{STREAM}", {}, what=STREAM, timeout=LIMIT),
        )
