"""Requests whose reply subject is not an inbox: a service is no deputy of its callers."""

from __future__ import annotations

from typing import Any

import pytest
from nats.aio.client import Client as RawClient

from testkit.probe import Outcome, Probe, ProbeClient, Run
from weenats import RequestContext
from weenats.protocol.subjects import is_inbox
from weenats.transport import Delivery

GOOD = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"go"}}'
FORBIDDEN = [
    "probe.stream.0.thing.happened",
    "probe.events.thing.happened",
    "probe.commits.0.thing.k",
    "probe.command.thing.forget",
    "probe.cancel",
    "orders.stream.0.order.placed",
    "orders.dead-letters.orders-events.billing",
    "$KV.probe-limits.x",
    "$JS.API.STREAM.PURGE.orders-events",
    "$JS.ACK.orders-events.billing.1.5.5.1.0",
]
INBOXES = [
    "_INBOX.x.1",
    "_INBOX_till.x",
    "_R_.abc",
    "_GR_.abc.x",
    "till.inbox.1",
    "Orders.stream.1",
    "orders.streams.1",
    "commits.x",
    "\U0001f980.1",
]


@pytest.mark.parametrize("subject", [*FORBIDDEN, ""])
def test_subjects_that_are_no_inbox(subject: str) -> None:
    """Those of services, of their streams and of NATS itself."""
    assert not is_inbox(subject)


@pytest.mark.parametrize("subject", INBOXES)
def test_inboxes(subject: str) -> None:
    """Any other subject, whatever its prefix is."""
    assert is_inbox(subject)


@pytest.mark.parametrize("reply", FORBIDDEN[:3])
@pytest.mark.parametrize(
    "subject",
    [
        "probe.command.thing.run",
        "probe.health",
        "probe.contract",
        "$SRV.PING.probe",
        "$SRV.STATS.probe",
        "probe.instance.{id}.query.thing.get",
        "probe.instance.{id}.command.thing.run",
    ],
)
async def test_request_without_an_inbox_is_dropped(
    client: ProbeClient,
    handlers: Probe,
    raw: RawClient,
    caplog: pytest.LogCaptureFixture,
    subject: str,
    reply: str,
) -> None:
    """Nothing is executed, and nothing is sent to the reply subject, not even an error."""
    arrived: list[Delivery] = []
    client.transport.subscribe(reply, arrived.append)
    await client.transport.fence()

    async def go(key: str, command: Run, context: RequestContext) -> Outcome:
        return Outcome(text=key)

    handlers.actions["go"] = go
    (instance,) = await client.list_instances()
    subject = subject.format(id=instance.id)
    for body in (GOOD, b"garbage"):
        await raw.publish(subject, body, reply=reply)
    await raw.flush()
    for _ in range(2):  # what the service has sent before its replies has arrived
        await client.get("other")
        await client.check_health()
    # The request itself, where its subject is that of the reply.
    assert all(each.payload in {GOOD, b"garbage"} for each in arrived)
    assert [each.key for each in handlers.seen if each.key == "k"] == []
    if subject.startswith("probe.command"):
        assert f"its reply subject is no inbox: {reply}" in caplog.text


async def test_other_inboxes_are_answered(client: ProbeClient, raw: RawClient) -> None:
    """A client in another language may have any prefix."""
    del client
    subscription: Any = await raw.subscribe("till.inbox.1")
    await raw.publish("probe.command.thing.run", GOOD, reply="till.inbox.1")
    message = await subscription.next_msg(timeout=5)
    assert b'"success"' in message.data
