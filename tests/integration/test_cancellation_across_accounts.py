"""Cancelled calls of another account, whose reply subjects the server replaces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.transports import connected, soon
from testkit.waiting import cancel_call, eventually
from weenats import ConnectionOptions, NatsServiceBuilder, NatsTransport
from weenats.protocol.headers import encode
from weenats.testing import NatsServer

if TYPE_CHECKING:
    from conftest import Gate

CONFIG = """
accounts {
  SERVICES {
    users: [{user: service, password: x}]
    exports: [{service: "probe.>"}]
  }
  CALLERS {
    users: [{user: caller, password: x}]
    imports: [{service: {account: SERVICES, subject: "probe.>"}}]
  }
}
"""
RUN = "probe.command.thing.run"
ULID = "01JD8Q3X7B9Z6M0N4R5S8T2VWY"


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server with an account of services, and one of callers that imports them."""
    with NatsServer(config=CONFIG) as server:
        yield server


def options(user: str) -> ConnectionOptions:
    """Return the options of a user."""
    return ConnectionOptions(user=user, password="x")


@pytest.fixture
async def callers(server: NatsServer) -> AsyncIterator[NatsTransport]:
    """A connection of the callers' account."""
    async with connected(server.url, options("caller")) as transport:
        yield transport


async def test_cancelled_call_of_another_account_ends(
    server: NatsServer, callers: NatsTransport, gate: Gate
) -> None:
    """A running call and one that waits end when a caller of another account gives them up."""
    probe = Probe(hang=gate)
    builder = NatsServiceBuilder(probe, server.url, connection=options("service"))
    async with builder.with_queue_group("probe", 1).build():
        client = ProbeClient(callers)
        running, waiting, last = (
            asyncio.create_task(client.run(name, Run(action="hang"))) for name in "abc"
        )
        await gate.entered.acquire()
        await cancel_call(waiting)
        await cancel_call(running)
        await gate.entered.acquire()
        assert gate.cancelled == 1
        gate.opened.set()
        assert await last == Outcome(text="c")
        assert gate.entered.locked()  # the one that waited did not run


async def test_id_alone_does_not_cancel_a_call(
    server: NatsServer, callers: NatsTransport, gate: Gate
) -> None:
    """The id of a message is known to others; they do not know the digest of its payload."""
    payload = json.dumps(
        {
            "aggregateId": {"type": "thing", "key": "k"},
            "command": {"action": "hang"},
            "metadata": {"messageId": ULID, "timestamp": "2026-03-01T09:30:00.125Z"},
        }
    ).encode()
    digest = sha256(payload).hexdigest()
    forged: list[dict[str, str]] = [
        {"Wee-Message-Id": ULID},
        {"Wee-Message-Digest": digest},
        {"Wee-Message-Id": ULID, "Wee-Message-Digest": ""},
        {"Wee-Message-Id": ULID, "Wee-Message-Digest": digest[:-1]},
        {"Wee-Message-Id": ULID.lower(), "Wee-Message-Digest": digest},
    ]
    probe = Probe(hang=gate)
    async with NatsServiceBuilder(probe, server.url, connection=options("service")).build():
        call = asyncio.create_task(callers.request(RUN, payload, b"", soon()))
        await gate.entered.acquire()
        for headers in forged:
            callers.publish("probe.cancel", b"", encode(headers), "_INBOX.unknown")
        await ProbeClient(callers).check_health()
        assert (gate.cancelled, call.done()) == (0, False)
        genuine = {"Wee-Message-Id": ULID, "Wee-Message-Digest": digest}
        callers.publish("probe.cancel", b"", encode(genuine), "_INBOX.unknown")
        assert json.loads((await call).payload)["error"]["code"] == "CANCELLED"


async def test_cancelled_calls_are_forgotten_in_the_end(
    server: NatsServer, callers: NatsTransport, gate: Gate
) -> None:
    """Names of calls that may wait are kept in bounded number."""
    probe = Probe(hang=gate)
    builder = NatsServiceBuilder(probe, server.url, connection=options("service"))
    service = builder.with_queue_group("probe", 1).build()
    async with service:
        client = ProbeClient(callers)
        calls = [asyncio.create_task(client.run(name, Run(action="hang"))) for name in "ab"]
        await gate.entered.acquire()
        assert service._assembly is not None
        admission = service._assembly.admission
        await eventually(lambda: admission.queued == 1)
        for number in range(3000):
            headers = {"Wee-Message-Id": f"{number:026}", "Wee-Message-Digest": "0" * 64}
            callers.publish("probe.cancel", b"", encode(headers), "_INBOX.unknown")
        await client.check_health()
        await eventually(lambda: f"{2999:026}" in admission.cancelled)
        assert len(admission.cancelled) == 1000
        gate.opened.set()
        await asyncio.gather(*calls)
