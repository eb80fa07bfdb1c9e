"""Cancelled calls: their handlers are cancelled wherever they run, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from nats.aio.client import Client as RawClient

from testkit.chained_service import ChainedService
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.transports import connected
from testkit.waiting import LIMIT, cancel_call, exceed_deadline
from weenats import (
    CancelledError,
    ConnectionOptions,
    NatsServiceBuilder,
    RequestContext,
    ResourceExhaustedError,
)
from weenats.testing import NatsServer

if TYPE_CHECKING:
    from conftest import Gate

RUN = "probe.command.thing.run"
HANG = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"hang"}}'
WITHIN = 0.05
TRIES = 20


async def next_reply(replies: asyncio.Queue[Any]) -> dict[str, Any]:
    """Return the next reply that a raw caller receives."""
    answer: dict[str, Any] = json.loads((await asyncio.wait_for(replies.get(), LIMIT)).data)
    return answer


@pytest.mark.timing
async def test_cancellation_propagates_through_a_call_chain(nats_url: str) -> None:
    """Cancelling a call cancels the handler two services on, within 50 ms (best of 20 tries)."""
    entered: asyncio.Queue[None] = asyncio.Queue()
    ended: asyncio.Queue[float] = asyncio.Queue()

    async def hang(context: RequestContext) -> None:
        entered.put_nowait(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.put_nowait(monotonic())
            raise

    async with AsyncExitStack() as stack:
        transports = [await stack.enter_async_context(connected(nats_url)) for _ in range(4)]

        async def call_c(context: RequestContext) -> None:
            await c.call(transports[2])

        async def call_b(context: RequestContext) -> None:
            await b.call(transports[1])

        a, b, c = (
            ChainedService("hop-a", call_b),
            ChainedService("hop-b", call_c),
            ChainedService("hop-c", hang),
        )
        for hop, transport in zip((a, b, c), transports[1:], strict=True):
            await stack.enter_async_context(NatsServiceBuilder(hop, transport=transport).build())
        took: list[float] = []
        while len(took) < TRIES:
            call = asyncio.create_task(a.call(transports[0]))
            await entered.get()
            started = monotonic()
            await cancel_call(call)
            took.append(await asyncio.wait_for(ended.get(), LIMIT) - started)
        assert min(took) < WITHIN


async def test_cancelled_call_frees_its_slot_and_is_counted(
    nats_url: str, gate: Gate, raw: RawClient
) -> None:
    """Cancelling a running or waiting call frees its slot; statistics show CANCELLED."""
    builder = NatsServiceBuilder(Probe(hang=gate), nats_url).with_queue_group("probe", 1)
    async with builder.build(), ProbeClient.connect(nats_url) as client:
        running, waiting, last = (
            asyncio.create_task(client.run(name, Run(action="hang"))) for name in "abc"
        )
        await gate.entered.acquire()
        await cancel_call(waiting)
        await cancel_call(running)
        await gate.entered.acquire()
        assert gate.cancelled == 1
        gate.opened.set()
        assert (await last).text == "c"
        stats = (await client.get_service_stats()).endpoints[0]
        assert (stats.num_requests, stats.num_errors, stats.last_error) == (3, 2, "CANCELLED")


async def test_cancelled_waiting_call_frees_its_queue_slot(nats_url: str, gate: Gate) -> None:
    """A cancelled call leaves the queue, and another call can take its place."""
    builder = NatsServiceBuilder(Probe(hang=gate), nats_url).with_queue_group(
        "probe", 1, max_queue=1
    )
    async with builder.build(), ProbeClient.connect(nats_url) as client:
        running, waiting = (
            asyncio.create_task(client.run(name, Run(action="hang"))) for name in "ab"
        )
        await gate.entered.acquire()
        with pytest.raises(ResourceExhaustedError):
            await client.run("refused", Run(action="hang"))
        await cancel_call(waiting)
        next_one = asyncio.create_task(client.run("c", Run(action="hang")))
        await client.check_health()  # the service has taken all that was sent before
        gate.opened.set()
        assert (await running, await next_one) == (Outcome(text="a"), Outcome(text="c"))


async def test_raw_client_can_cancel_its_call(
    service: Any, raw: RawClient, handlers: Probe, gate: Gate
) -> None:
    """An empty message with the reply subject cancels a call; the reply is CANCELLED."""
    handlers.actions["hang"] = gate
    replies: asyncio.Queue[Any] = asyncio.Queue()
    inbox = raw.new_inbox()
    await raw.subscribe(inbox, cb=replies.put)
    await raw.publish(RUN, HANG, reply=inbox)
    await gate.entered.acquire()
    await raw.publish("probe.cancel", b"", reply=inbox)
    answer = await next_reply(replies)
    assert (answer["success"], answer["error"]["code"]) == (False, "CANCELLED")
    await raw.publish("probe.cancel", b"", reply=inbox)
    await raw.request("probe.health", b"")
    assert (gate.cancelled, replies.qsize()) == (1, 0)


async def test_forged_cancel_messages_are_ignored(
    client: ProbeClient, raw: RawClient, handlers: Probe, gate: Gate, caplog: Any
) -> None:
    """Unknown, forged and malformed cancel messages cancel no calls and are not logged."""
    handlers.actions["hang"] = gate
    call = asyncio.create_task(client.run("k", Run(action="hang")))
    await gate.entered.acquire()
    caplog.clear()
    own = raw.new_inbox()
    for number in range(5000):
        await raw.publish("probe.cancel", b"", reply=f"{own}.{number}")
    for payload, reply in (
        (b"", ""),
        (b"", RUN),
        (b"x" * 100_000, own),
        (b'{"reply":"_INBOX.>"}', ""),
        (b"", "probe.cancel"),
    ):
        await raw.publish("probe.cancel", payload, reply=reply)
    await raw.request("probe.health", b"")
    assert not call.done()
    gate.opened.set()
    assert (await call).text == "k"
    assert (gate.cancelled, caplog.records) == (0, [])
    stats = (await client.get_service_stats()).endpoints[0]
    assert (stats.num_requests, stats.num_errors) == (1, 0)


async def test_cancelling_after_the_reply_has_no_effect(
    client: ProbeClient, raw: RawClient, service: Any
) -> None:
    """A late cancel message does not affect the next call with the same reply subject."""
    replies: asyncio.Queue[Any] = asyncio.Queue()
    inbox = raw.new_inbox()
    await raw.subscribe(inbox, cb=replies.put)
    for _ in range(3):
        await raw.publish(RUN, HANG.replace(b"hang", b"go"), reply=inbox)
        assert (await next_reply(replies))["result"] == {"text": "go"}
        await raw.publish("probe.cancel", b"", reply=inbox)
    stats = (await client.get_service_stats()).endpoints[0]
    assert (stats.num_requests, stats.num_errors, replies.qsize()) == (3, 0, 0)


async def test_calls_sharing_a_reply_subject_get_one_reply_each(
    service: Any, raw: RawClient, handlers: Probe, gate: Gate, client: ProbeClient
) -> None:
    """Two calls with the same reply subject get one reply each, and the service goes on."""
    handlers.actions["hang"] = gate
    replies: asyncio.Queue[Any] = asyncio.Queue()
    inbox = raw.new_inbox()
    await raw.subscribe(inbox, cb=replies.put)
    for _ in range(2):
        await raw.publish(RUN, HANG, reply=inbox)
        await gate.entered.acquire()
    for _ in range(3):
        await raw.publish("probe.cancel", b"", reply=inbox)
    assert (await next_reply(replies))["error"]["code"] == "CANCELLED"
    gate.opened.set()
    assert (await next_reply(replies))["success"] is True
    assert (await client.run("k", Run(action="on"))).text == "on"
    assert (gate.cancelled, replies.qsize()) == (1, 0)


async def test_handler_that_ignores_cancellation_replies_once(
    client: ProbeClient, handlers: Probe, raw: RawClient
) -> None:
    """The caller gets CANCELLED and no second reply, whatever the handler returns later."""
    entered, released, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn(key: str, command: Run, context: RequestContext) -> Outcome:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await released.wait()
        ended.set()
        return Outcome(text="late")

    handlers.actions["hang"] = stubborn
    replies: asyncio.Queue[Any] = asyncio.Queue()
    inbox = raw.new_inbox()
    await raw.subscribe(inbox, cb=replies.put)
    await raw.publish(RUN, HANG, reply=inbox)
    await entered.wait()
    await raw.publish("probe.cancel", b"", reply=inbox)
    assert (await next_reply(replies))["error"]["code"] == "CANCELLED"
    released.set()
    await ended.wait()
    await client.run("k", Run(action="on"))
    assert replies.qsize() == 0


async def test_shielded_work_finishes_after_cancellation(
    nats_url: str, client: ProbeClient, handlers: Probe
) -> None:
    """Work inside shield_from_deadline() and its nested calls finish after a cancellation."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    log: list[str] = []

    async def commit(key: str, command: Run, context: RequestContext) -> Outcome:
        with context.shield_from_deadline():
            inside.set()
            await go_on.wait()
            log.append((await client.run("k", Run(action="nested"))).text)
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")
        return Outcome(text="never")

    handlers.actions["commit"] = commit
    call = asyncio.create_task(client.run("k", Run(action="commit")))
    await inside.wait()
    await cancel_call(call)
    await client.check_health()
    go_on.set()
    async with asyncio.timeout(LIMIT):
        while log != ["nested", "ended"]:
            await client.check_health()


async def test_timed_out_call_is_counted_once(
    client: ProbeClient, handlers: Probe, gate: Gate
) -> None:
    """A call that times out ends its handler and counts as one failed request."""
    handlers.actions["hang"] = gate
    for times in range(1, 11):
        await exceed_deadline(
            lambda timeout: client.run("k", Run(action="hang"), timeout=timeout),
            lambda times=times: len(handlers.seen) == times,
        )
    async with asyncio.timeout(LIMIT):
        while gate.cancelled < 10:
            await client.check_health()
    stats = (await client.get_service_stats()).endpoints[0]
    assert stats.num_requests == stats.num_errors >= 10
    assert stats.last_error in ("DEADLINE_EXCEEDED", "CANCELLED")


async def test_draining_does_not_wait_for_cancelled_calls(nats_url: str, gate: Gate) -> None:
    """stop() does not wait for calls that their callers cancelled."""
    service = NatsServiceBuilder(Probe(hang=gate), nats_url).with_drain_timeout(60).build()
    await service.start()
    async with ProbeClient.connect(nats_url, timeout=60) as client:
        call = asyncio.create_task(client.run("k", Run(action="hang")))
        await gate.entered.acquire()
        stopping = asyncio.create_task(service.stop())
        while service.is_serving:
            await client.check_health()
        await cancel_call(call)
        await asyncio.wait_for(stopping, LIMIT)
    assert gate.cancelled == 1


async def test_cancelling_without_publish_permission(tmp_path: Path, gate: Gate) -> None:
    """A client that may not publish cancel messages can still cancel its calls and go on."""
    (tmp_path / "own.conf").write_text("""
        authorization { users = [
            {user: "all", password: "x"}
            {user: "me", password: "x", permissions: {publish: {deny: ["probe.cancel"]}}}
        ] }
    """)
    handlers = Probe(hang=gate)
    with NatsServer(arguments=["-c", str(tmp_path / "own.conf")]) as server:
        everything = ConnectionOptions(user="all", password="x")
        me = ConnectionOptions(user="me", password="x")
        builder = NatsServiceBuilder(handlers, server.url, connection=everything)
        async with (
            builder.build(),
            ProbeClient.connect(server.url, connection=me) as client,
        ):
            other, call = (
                asyncio.create_task(client.run(key, Run(action="hang"))) for key in ("a", "b")
            )
            await gate.entered.acquire()
            await gate.entered.acquire()
            await cancel_call(call)
            assert (await client.run("k", Run(action="on"))).text == "on"
            gate.opened.set()
            assert (await other).text == "a"


async def test_handler_raising_cancelled_error_fails_the_call(
    client: ProbeClient, handlers: Probe
) -> None:
    """A CANCELLED reply is an error of the call; the caller's task is not cancelled."""

    async def cancelled(key: str, command: Run, context: RequestContext) -> Outcome:
        raise CancelledError

    handlers.actions["cancelled"] = cancelled
    with pytest.raises(CancelledError) as error:
        await client.run("k", Run(action="cancelled"))
    assert error.value.remote
