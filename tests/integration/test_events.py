"""Events over a real server: typed publish and subscribe, and metadata propagation."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, cancel_call
from weenats import InvalidArgumentError, ReceivedEvent, RequestContext

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient

SUBJECT = "probe.events.thing.happened"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Arrived = asyncio.Queue[ReceivedEvent[Happened]]


def happened(text: str = "x") -> Happened:
    """Return the data of an event."""
    return Happened.model_validate({"whatText": text})


async def test_event_arrives_as_typed_model(client: ProbeClient, raw: RawClient) -> None:
    """Data, key, revision, context and headers arrive; the message is an EventNotification."""
    arrived: Arrived = asyncio.Queue()
    foreign = await raw.subscribe(SUBJECT)
    await raw.flush()
    await raw.flush()
    async with await client.subscribe_happened(arrived.put):
        await client.publish_happened(
            "k", happened("ä"), revision=3, context={"tenant": "acme"}, headers={"X-One": "1"}
        )
        event = await arrived.get()
    assert (event.key, event.revision, event.data.text) == ("k", 3, "ä")
    assert (event.metadata_context, event.headers["x-one"]) == ({"tenant": "acme"}, "1")
    assert event.correlation_id
    assert event.causation_id is None
    wire = json.loads((await foreign.next_msg()).data)
    assert wire["type"] == "happened"
    assert wire["aggregate"] == {"type": "thing", "key": "k"}
    assert (wire["data"], wire["revision"], wire["id"]) == ({"whatText": "ä"}, 3, event.id)


async def test_queue_groups_share_events(client: ProbeClient) -> None:
    """Each subscriber gets every event, the members of a queue group share them."""
    counts = {"alone": 0, "one": 0, "two": 0}

    def counting(name: str) -> Any:
        async def count(_: ReceivedEvent[Happened]) -> None:
            counts[name] += 1

        return count

    subscriptions = [
        await client.subscribe_happened(counting("alone")),
        await client.subscribe_happened(counting("one"), queue_group="group"),
        await client.subscribe_happened(counting("two"), queue_group="group"),
    ]
    for revision in range(60):
        await client.publish_happened("k", happened(), revision=revision)
    for subscription in subscriptions:
        await subscription.unsubscribe()
    assert (counts["alone"], counts["one"] + counts["two"]) == (60, 60)
    assert min(counts.values()) > 0


async def test_event_handlers_run_up_to_max_concurrency(client: ProbeClient) -> None:
    """At most max_concurrency handlers run; unsubscribe() waits for all received events."""
    running = most = done = 0
    entered, opened = asyncio.Semaphore(0), asyncio.Event()

    async def hold(_: ReceivedEvent[Happened]) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        entered.release()
        await opened.wait()
        running -= 1
        done += 1

    subscription = await client.subscribe_happened(hold, max_concurrency=3)
    for revision in range(10):
        await client.publish_happened("k", happened(), revision=revision)
    for _ in range(3):
        await entered.acquire()
    ending = asyncio.create_task(subscription.unsubscribe())
    await client.transport.fence()
    assert (running, done, ending.done()) == (3, 0, False)
    opened.set()
    await ending
    assert (most, done) == (3, 10)
    await client.publish_happened("k", happened(), revision=11)
    await subscription.unsubscribe()
    assert done == 10


async def test_max_concurrency_of_one_keeps_event_order(client: ProbeClient) -> None:
    """With max_concurrency 1 events are handled in the order of arrival."""
    seen: list[int] = []

    async def note(event: ReceivedEvent[Happened]) -> None:
        await client.transport.fence()
        seen.append(event.revision)

    async with await client.subscribe_happened(note, max_concurrency=1):
        for revision in range(30):
            await client.publish_happened("k", happened(), revision=revision)
    assert seen == list(range(30))


@pytest.mark.parametrize("error", [ValueError("boom"), InvalidArgumentError("boom")])
async def test_failing_handler_does_not_end_the_subscription(
    client: ProbeClient, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """An exception of a handler is logged; the next events arrive."""
    seen: list[str] = []

    async def fail(event: ReceivedEvent[Happened]) -> None:
        seen.append(event.data.text)
        raise error

    async with await client.subscribe_happened(fail):
        for text in ("one", "two"):
            await client.publish_happened("k", happened(text), revision=1)
    assert seen == ["one", "two"]
    assert caplog.text.count("the handler of probe.events.thing.happened failed") == 2
    assert "boom" in caplog.text


async def test_malformed_events_are_skipped(
    client: ProbeClient, raw: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Malformed messages are logged and skipped; the next event arrives."""
    arrived: Arrived = asyncio.Queue()
    async with await client.subscribe_happened(arrived.put):
        for body in (b"", b"[]", b"\xff", b'{"id":1}'):
            await raw.publish(SUBJECT, body)
        await raw.flush()
        await client.publish_happened("k", happened("good"), revision=1)
        assert (await arrived.get()).data.text == "good"
    assert arrived.empty()
    assert caplog.text.count("does not match the contract") == 4


async def test_correlation_causation_and_trace_propagate(
    client: ProbeClient, handlers: Probe
) -> None:
    """Metadata propagates from a request to its event and on to a call of the event handler."""
    nested = asyncio.Event()
    events: list[ReceivedEvent[Happened]] = []

    async def tell(key: str, command: Run, context: RequestContext) -> Outcome:
        await handlers.publish_happened(key, happened(), revision=1)
        return Outcome(text="told")

    async def react(event: ReceivedEvent[Happened]) -> None:
        events.append(event)
        await client.run("k", Run(action="nested"))
        nested.set()

    handlers.actions["tell"] = tell
    async with await client.subscribe_happened(react):
        tracing = client.with_interceptor(_with_trace)
        await tracing.run("k", Run(action="tell"), correlation_id="order-1")
        await asyncio.wait_for(nested.wait(), LIMIT)
    request, call = handlers.seen
    (event,) = events
    assert request.correlation_id == event.correlation_id == call.correlation_id == "order-1"
    assert (event.causation_id, call.causation_id) == (request.message_id, event.message_id)
    assert [each.headers["traceparent"] for each in (request, event, call)] == [TRACE] * 3


async def _with_trace(context: RequestContext, call_next: Any) -> Any:
    return await call_next(context.replace(headers={**context.headers, "traceparent": TRACE}))


async def test_invalid_options_are_rejected(client: ProbeClient) -> None:
    """Invalid arguments to publish or subscribe are rejected before anything is sent."""
    for revision in (-1, True):
        with pytest.raises(InvalidArgumentError):
            await client.publish_happened("k", happened(), revision=revision)
    for key in ("", "x" * 300):
        with pytest.raises(InvalidArgumentError):
            await client.publish_happened(key, happened(), revision=1)
    with pytest.raises(InvalidArgumentError):
        await client.publish_happened("k", happened(), revision=1, headers={"Nats-Msg-Id": "1"})
    wrong: Any = 5
    with pytest.raises(InvalidArgumentError, match="context must be a mapping, not int"):
        await client.publish_happened("k", happened(), revision=1, context=wrong)
    refused: list[dict[str, Any]] = [{"max_concurrency": 0}, {"max_concurrency": 1001}]
    refused += [{"queue_group": each} for each in ("A b", None, 0, [])]
    for options in refused:
        with pytest.raises(ValueError, match=r"max_concurrency|queue group"):
            await client.subscribe_happened(asyncio.Queue().put, **options)


@pytest.mark.parametrize("own_task", [False, True], ids=["awaited", "in another task"])
async def test_handler_can_unsubscribe_itself(client: ProbeClient, own_task: bool) -> None:
    """Unsubscribing from inside the handler waits for the others, not for itself."""
    done = asyncio.Event()

    async def once(event: ReceivedEvent[Happened]) -> None:
        del event
        ending = subscription.unsubscribe()
        await (asyncio.create_task(ending) if own_task else ending)
        done.set()

    subscription = await client.subscribe_happened(once)
    await client.publish_happened("k", happened(), revision=1)
    await asyncio.wait_for(done.wait(), LIMIT)


async def test_unsubscribing_that_is_cancelled_goes_on(
    client: ProbeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that hangs is cancelled in the end, although nobody waits for it any more."""
    module = importlib.import_module("weenats.events.subscribe")
    monkeypatch.setattr(module, "_DRAIN_TIMEOUT", 0.05)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(event: ReceivedEvent[Happened]) -> None:
        del event
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    subscription = await client.subscribe_happened(hang)
    await client.publish_happened("k", happened(), revision=1)
    await asyncio.wait_for(begun.wait(), LIMIT)
    ending = asyncio.create_task(subscription.unsubscribe())
    await asyncio.sleep(0)
    await cancel_call(ending)
    await asyncio.wait_for(cancelled.wait(), LIMIT)
