"""Call timeouts: from call options, client and contract, and across several hops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client as RawClient

from testkit.chained_service import ChainedService, Handle
from testkit.clocks import shift_time
from testkit.probe import ProbeClient
from testkit.transports import connected
from testkit.waiting import LIMIT, exceed_deadline, settle
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    DeadlineExceededError,
    NatsServiceBuilder,
    NatsTransport,
    RequestContext,
    UnavailableError,
)
from weenats.client import DEFAULT_TIMEOUT
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream, JetStreamUnavailableError

PATIENT = ConnectionOptions(connect_timeout=LIMIT)
REQUEST = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"go"}}'


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    """A connection that services and clients share."""
    async with connected(nats_url) as connection:
        yield connection


async def return_immediately(context: RequestContext) -> None:
    """Return immediately."""


async def hang(context: RequestContext) -> None:
    """Never return."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("options", "contract", "expected"),
    [
        ({}, None, DEFAULT_TIMEOUT),
        ({}, 30.0, 30.0),
        ({}, 2.0, 2.0),
        ({"patience": 20}, 30.0, 20.0),
        ({"patience": 40}, 30.0, 40.0),
        ({"patience": 5}, 30.0, 5.0),
        ({"timeout": 10}, 30.0, 10.0),
        ({"timeout": 60, "patience": 20}, 30.0, 60.0),
    ],
)
async def test_timeout_precedence(
    transport: NatsTransport, options: dict[str, float], contract: float | None, expected: float
) -> None:
    """The call's timeout applies, else the client's, else the contract's, else five seconds."""
    hop = ChainedService("hop", return_immediately, contract)
    async with NatsServiceBuilder(hop, transport=transport).build():
        await hop.call(transport, **options)
    text = hop.seen[0].headers["wee-timeout"]
    assert max(expected - 4, 0) < int(text) / 1000 <= expected


async def test_call_without_timeout_header(transport: NatsTransport, raw: RawClient) -> None:
    """Without Wee-Timeout the contract's timeout applies, or none; the header overrides it."""
    limited, open_ended = (
        ChainedService("limited", hang, 0.05),
        ChainedService("open-ended", return_immediately),
    )
    async with (
        NatsServiceBuilder(limited, transport=transport).build(),
        NatsServiceBuilder(open_ended, transport=transport).build(),
    ):
        reply = await raw.request("limited.command.thing.run", REQUEST)
        assert json.loads(reply.data)["error"]["code"] == "DEADLINE_EXCEEDED"
        await raw.request("open-ended.command.thing.run", REQUEST)
        assert open_ended.seen[0].deadline is None
        limited.handle = return_immediately
        headers = {"Wee-Timeout": "60000"}
        await raw.request("limited.command.thing.run", REQUEST, headers=headers)
    remaining = limited.seen[-1].remaining
    assert remaining is not None
    assert 60 - LIMIT < remaining < 60


async def test_remaining_time_shrinks_at_every_hop(nats_url: str) -> None:
    """Each service of a call chain gets less time than its caller, whatever its own timeout."""

    async def call_b(context: RequestContext) -> None:
        await b.call(transport, timeout=60)

    async def call_c(context: RequestContext) -> None:
        await c.call(transport)

    a, b, c = (
        ChainedService("hop-a", call_b, 10),
        ChainedService("hop-b", call_c, 20),
        ChainedService("hop-c", return_immediately, 30),
    )
    async with (
        connected(nats_url) as transport,
        NatsServiceBuilder(a, transport=transport).build(),
        NatsServiceBuilder(b, transport=transport).build(),
        NatsServiceBuilder(c, transport=transport).build(),
    ):
        await a.call(transport)
        told = [int(hop.seen[0].headers["wee-timeout"]) for hop in (a, b, c)]
        assert 10_000 >= told[0] > told[1] > told[2] > 0
        b.handle = a.handle = return_immediately

        async def in_a_hurry(context: RequestContext) -> None:
            await c.call(transport, timeout=1)

        b.handle = in_a_hurry
        await b.call(transport)
        assert int(c.seen[1].headers["wee-timeout"]) <= 1000


async def test_deadline_at_the_last_hop_ends_the_chain(nats_url: str) -> None:
    """When the time runs out, every call of the chain ends with a timeout or a cancellation."""
    outcomes: list[Any] = []

    def calling(next_hop: ChainedService) -> Handle:
        async def call(context: RequestContext) -> None:
            try:
                await next_hop.call(transport)
            except BaseException as error:
                outcomes.append(error)
                raise

        return call

    async with connected(nats_url) as transport:
        c = ChainedService("hop-c", hang)
        b = ChainedService("hop-b", calling(c))
        a = ChainedService("hop-a", calling(b))
        async with (
            NatsServiceBuilder(a, transport=transport).build(),
            NatsServiceBuilder(b, transport=transport).build(),
            NatsServiceBuilder(c, transport=transport).build(),
        ):
            await exceed_deadline(
                lambda timeout: a.call(transport, timeout=timeout), lambda: c.seen
            )
            async with asyncio.timeout(LIMIT):
                while len(outcomes) < 2:
                    await transport.fence()
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds <= {DeadlineExceededError, asyncio.CancelledError}


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.list_instances(),
        lambda client: client.on_all(lambda one: one.get("k"), max_wait=0.05),
        lambda client: client.get_service_info(),
        lambda client: client.get("k"),
    ],
)
async def test_unreachable_server_and_discovery(ask: Any) -> None:
    """The timeout of the client bounds connecting as well."""
    client = ProbeClient.connect("nats://127.0.0.1:1", connection=PATIENT, timeout=0.05)
    async with asyncio.timeout(LIMIT / 2):
        with pytest.raises(UnavailableError, match="until the deadline"):
            await ask(client)
    await client.close()


async def test_strict_verification_and_unreachable_server() -> None:
    """The deadline of a call bounds the verification that it waits for."""
    client = ProbeClient.connect("nats://127.0.0.1:1", connection=PATIENT, verify="strict")
    async with asyncio.timeout(LIMIT / 2):
        with pytest.raises(DeadlineExceededError, match="was not verified"):
            await client.get("k", timeout=0.05)
    await client.close()


async def test_subscribing_at_a_server_that_hangs(own_nats_server: NatsServer) -> None:
    """A subscription that the server does not confirm fails after connect_timeout."""
    options = ConnectionOptions(connect_timeout=LIMIT, close_timeout=0.1)
    async with ProbeClient.connect(own_nats_server.url, connection=options) as client:
        own_nats_server.pause()
        subscribing = asyncio.create_task(client.subscribe_happened(asyncio.sleep))
        await settle()
        shift_time().advance(LIMIT)
        async with asyncio.timeout(LIMIT / 2):
            with pytest.raises(ConnectionLostError, match="does not answer"):
                await subscribing


async def test_unsubscribing_at_a_server_that_hangs(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has close_timeout to confirm it, and the subscription ends without that."""
    limits: list[float] = []
    options = ConnectionOptions(close_timeout=0.1)
    async with connected(own_nats_server.url, options) as transport:
        subscription = await ProbeClient(transport).subscribe_happened(asyncio.sleep)
        connection: Any = transport._connection
        fence = connection.fence

        async def limited_fence(limit: float) -> None:
            limits.append(limit)
            await fence(limit)

        own_nats_server.pause()
        with monkeypatch.context() as patch:
            patch.setattr(connection, "fence", limited_fence)
            await asyncio.wait_for(subscription.unsubscribe(), LIMIT)
        assert limits == [0.1]
        assert connection.interests == []


async def test_stored_messages_of_a_server_that_hangs(own_nats_server: NatsServer) -> None:
    """Each step of reading a stream has the time limit of JetStream, not that of the connection."""
    options = ConnectionOptions(connect_timeout=LIMIT, close_timeout=0.1)
    async with connected(own_nats_server.url, options) as transport:
        own_nats_server.pause()
        async with asyncio.timeout(LIMIT / 2):
            with pytest.raises(JetStreamUnavailableError, match="JetStream does not answer"):
                await anext(JetStream(transport, timeout=0.05).read("orders"))
