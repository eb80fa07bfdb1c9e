"""The transport when the server denies subjects, users or message sizes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, Run
from testkit.transports import (
    answering,
    check_refusal,
    connected,
    disconnected,
    fence_all,
    soon,
)
from testkit.waiting import LIMIT, ask_until, until
from weenats import (
    ConnectionLostError,
    ConnectionOptions,
    MessageTooLargeError,
    NatsServiceBuilder,
    NatsTransport,
    PermissionDeniedError,
)
from weenats.testing import NatsServer
from weenats.transport.nats_py.connection import NatsConnection

Reload = Callable[[str], None]
ME = ConnectionOptions(user="me", password="right", reconnect_wait=0.02)
PERMISSIONS = """
authorization {
  users = [
    {user: "free", password: "free"}
    {user: "me", password: "right", permissions: {
      publish: {deny: ["Secret.>"]}, subscribe: {deny: ["Secret.>"]}}}
    {user: "deaf", password: "right", permissions: {subscribe: {deny: ["_INBOX.>"]}}}
  ]
}
"""

INBOX = r"connection use _INBOX\..* \(subscription\), on which replies arrive: set inbox_prefix of"
"""What is denied, and which setting leads to other subjects."""


@pytest.fixture
def reload(tmp_path: Path, configured: NatsServer) -> Reload:
    """Replace the configuration of the running server."""

    def to(config: str) -> None:
        (tmp_path / "own.conf").write_text(config)
        os.kill(configured.process_id, signal.SIGHUP)

    return to


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[NatsServer]:
    """A server whose users have restricted permissions."""
    (tmp_path / "own.conf").write_text(PERMISSIONS)
    with NatsServer(arguments=["-c", str(tmp_path / "own.conf")]) as server:
        yield server


@pytest.fixture
async def free(configured: NatsServer) -> AsyncIterator[NatsTransport]:
    """A connection with all permissions."""
    async with connected(
        configured.url, ConnectionOptions(user="free", password="free")
    ) as transport:
        yield transport


async def test_denied_publish(configured: NatsServer, free: NatsTransport) -> None:
    """A request on a denied subject fails immediately; other requests go on."""
    free.subscribe(">", lambda _: None)
    free.subscribe("open.slow", lambda _: None)
    await free.fence()
    async with connected(configured.url, ME) as transport:
        other = asyncio.create_task(transport.request("open.slow", b"", b"", soon()))
        for _ in range(2):
            with pytest.raises(
                PermissionDeniedError, match=r"not let this connection use Secret\.a"
            ):
                await asyncio.wait_for(transport.request("Secret.a", b"", b"", soon()), LIMIT)
        assert not other.done()
        other.cancel()
        await transport.fence()


async def test_denied_request_many(configured: NatsServer, free: NatsTransport) -> None:
    """request_many() on a denied subject raises an error instead of returning no replies."""
    free.subscribe("Secret.a", answering(free))
    await free.fence()
    async with connected(configured.url, ME) as transport:
        with pytest.raises(PermissionDeniedError, match=r"Secret\.a \(publish\)"):
            await transport.request_many("Secret.a", b"", timeout=60, quiet=60)
        assert not transport._inbox.mux._gatherings


async def test_denied_subscription(configured: NatsServer) -> None:
    """After a denied subscription fence() raises until it is unsubscribed."""
    async with connected(configured.url, ME) as transport:
        interests = [transport.subscribe("Secret.a", print, group) for group in ("", "group")]
        transport.subscribe("open", answering(transport))
        for _ in range(2):
            with pytest.raises(PermissionDeniedError, match=r"Secret\.a \(subscription\)"):
                await transport.fence()
        await transport.unsubscribe(interests)
        await transport.fence()
        assert (await transport.request("open", b"1", b"", soon())).payload == b"1"


async def test_denied_inbox(configured: NatsServer, free: NatsTransport) -> None:
    """Without a permitted inbox every request fails immediately, also after a reconnect."""
    free.subscribe("open", lambda _: None)
    await free.fence()
    options = ConnectionOptions(user="deaf", password="right", reconnect_wait=0.02)
    async with connected(configured.url, options) as transport:

        async def refused() -> None:
            for _ in range(2):
                with pytest.raises(PermissionDeniedError, match=INBOX):
                    await asyncio.wait_for(transport.request("open", b"", b"", soon()), LIMIT)
            with pytest.raises(PermissionDeniedError, match=INBOX):
                await transport.request_many("open", b"", timeout=10, quiet=10)

        await refused()
        configured.kill()
        await disconnected(transport)
        configured.start()
        reached = asyncio.Event()
        transport.subscribe("back", lambda _: reached.set())
        transport.publish("back", b"")
        await asyncio.wait_for(reached.wait(), LIMIT)
        await refused()


async def test_denied_inbox_sends_no_requests(configured: NatsServer, free: NatsTransport) -> None:
    """A request whose reply could not be received is not sent."""
    arrived: list[object] = []
    free.subscribe("open", arrived.append)
    await free.fence()
    async with connected(configured.url, ConnectionOptions(user="deaf", password="right")) as deaf:
        calls = [deaf.request("open", b"", b"", soon()) for _ in range(10)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in told] == [PermissionDeniedError] * 10
        await fence_all(deaf, free)
        assert arrived == []
        assert deaf._connection is not None
        assert deaf._connection.interests == []


async def test_inbox_allowed_later(
    configured: NatsServer, free: NatsTransport, reload: Reload
) -> None:
    """Once the server allows the inbox, requests succeed on the same connection."""
    free.subscribe("open", answering(free))
    free.subscribe("Secret.b", answering(free))
    await free.fence()
    async with connected(configured.url, ConnectionOptions(user="deaf", password="right")) as deaf:
        with pytest.raises(PermissionDeniedError, match=INBOX):
            await deaf.request("open", b"", b"", soon())
        reload(PERMISSIONS.replace("_INBOX.>", "Secret.a"))

        assert await reply_once_allowed(deaf, b"1") == b"1"
        with pytest.raises(PermissionDeniedError, match=r"Secret\.a"):
            await try_subscribe(deaf, "Secret.a")
        assert (await deaf.request("Secret.b", b"2", b"", soon())).payload == b"2"


async def test_inbox_denied_later(
    configured: NatsServer, free: NatsTransport, reload: Reload
) -> None:
    """Waiting requests fail when the inbox is denied; requests work once it is allowed."""
    free.subscribe("silence", lambda _: None)
    free.subscribe("open", answering(free))
    await free.fence()
    async with connected(configured.url, ME) as transport:
        assert (await transport.request("open", b"1", b"", soon())).payload == b"1"
        waiting = asyncio.create_task(transport.request("silence", b"", b"", soon()))
        await transport.fence()
        denied = 'subscribe: {deny: ["Secret.>", "_INBOX.>"]}}}\n    {user: "deaf"'
        reload(PERMISSIONS.replace('subscribe: {deny: ["Secret.>"]}}}\n    {user: "deaf"', denied))
        with pytest.raises(PermissionDeniedError, match=INBOX):
            await asyncio.wait_for(waiting, LIMIT)
        with pytest.raises(PermissionDeniedError, match=INBOX):
            await transport.request("open", b"2", b"", soon())
        reload(PERMISSIONS)
        assert await reply_once_allowed(transport, b"3") == b"3"


async def test_subscriptions_come_back_when_they_are_allowed(
    configured: NatsServer,
    reload: Reload,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A service is not ready while its subscriptions are denied, and serves again afterwards."""
    monkeypatch.setattr("weenats.transport.nats._RENEWAL_PAUSE", 0.02)
    client = ProbeClient.connect(
        configured.url, connection=ConnectionOptions(user="free", password="free"), verify="off"
    )
    async with NatsServiceBuilder(Probe(), configured.url, connection=ME).build(), client:
        reload(
            PERMISSIONS.replace(
                'subscribe: {deny: ["Secret.>"', 'subscribe: {deny: ["probe.command.>"'
            )
        )
        health = await ask_until(lambda health: health.status != "ok", client.check_health)
        assert health.data is not None
        assert "NATS denies the subscription to probe.command." in (health.data.reason or "")
        reload(PERMISSIONS)
        await ask_until(lambda health: health.status == "ok", client.check_health)
        assert (await client.run("k", Run(action="a"))).text == "a"
    refused = [each for each in caplog.messages if "NATS refused a subscription" in each]
    assert len(refused) == len(set(refused))  # not at each attempt


async def test_subscription_stays_denied_while_it_is_tried_again(
    configured: NatsServer, reload: Reload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as allowed, for the health of a service, when the server has decided so."""
    monkeypatch.setattr("weenats.transport.nats._RENEWAL_PAUSE", 0.02)
    asked: list[bool] = []
    fence = NatsConnection.fence
    async with connected(configured.url, ME) as transport:
        interest = transport.subscribe("Secret.a", print)

        async def fence_and_note(*args: Any) -> None:
            asked.append(interest.denied)
            await fence(*args)

        with pytest.raises(PermissionDeniedError):
            await transport.fence()
        monkeypatch.setattr(NatsConnection, "fence", fence_and_note)
        await until(lambda: len(asked) > 1)
        reload(PERMISSIONS.replace('["Secret.>"', '["other.>"'))
        await until(lambda: not interest.denied)
        assert all(asked)


async def reply_once_allowed(transport: NatsTransport, payload: bytes) -> bytes:
    """Return the first reply after the server allows the inbox."""
    async with asyncio.timeout(LIMIT):
        while True:
            with contextlib.suppress(PermissionDeniedError):
                return (await transport.request("open", payload, b"", soon())).payload


async def try_subscribe(transport: NatsTransport, subject: str) -> None:
    """Subscribe to a subject; unsubscribe again if it is denied."""
    interest = transport.subscribe(subject, lambda _: None)
    try:
        await transport.fence()
    except PermissionDeniedError:
        await transport.unsubscribe([interest])
        raise


async def test_custom_inbox_prefix(configured: NatsServer, free: NatsTransport) -> None:
    """With an inbox prefix that the server allows, requests succeed."""
    free.subscribe("open", answering(free))
    await free.fence()
    options = ConnectionOptions(user="deaf", password="right", inbox_prefix="mine.inbox")
    async with connected(configured.url, options) as transport:
        assert (await transport.request("open", b"1", b"", soon())).payload == b"1"
        assert len(await transport.request_many("open", b"", timeout=5, quiet=0.05)) == 1


async def test_revoked_user_reconnects_when_allowed(configured: NatsServer, reload: Reload) -> None:
    """A waiting request fails when its user is revoked; the transport reconnects later."""
    async with connected(configured.url, ME) as transport:
        transport.subscribe("echo", answering(transport))
        asked = asyncio.Event()
        transport.subscribe("silence", lambda _: asked.set())
        await transport.fence()
        call = asyncio.create_task(transport.request("silence", b"", b"", monotonic() + 60))
        await asyncio.wait_for(asked.wait(), LIMIT)  # before it waits for a reply it waits for NATS
        reload(PERMISSIONS.replace('"right"', '"other"'))
        with pytest.raises(ConnectionLostError):
            await asyncio.wait_for(call, LIMIT)
        reload(PERMISSIONS)
        assert (await transport.request("echo", b"on", b"", soon())).payload == b"on"


async def test_lowered_max_payload(
    configured: NatsServer, reload: Reload, caplog: pytest.LogCaptureFixture
) -> None:
    """A message over the new limit ends the connection; the transport learns the limit."""
    async with connected(configured.url, ME) as transport:
        transport.subscribe("echo", answering(transport))
        reload("max_payload: 1000\n" + PERMISSIONS)

        async def ask_on() -> None:
            while True:
                await transport.request("echo", b"x" * 2000, b"", soon())

        with pytest.raises((ConnectionLostError, MessageTooLargeError)):
            await asyncio.wait_for(ask_on(), LIMIT)
        assert (await transport.request("echo", b"on", b"", soon())).payload == b"on"
        assert transport.max_payload == 1000
        with pytest.raises(MessageTooLargeError):
            transport.publish("echo", b"x" * 2000)
    assert "maximum payload violation" in caplog.text


async def test_server_without_a_maximum_payload() -> None:
    """A negative `max_payload` is no limit: messages larger than the default are exchanged."""
    with NatsServer(config="max_payload: -1") as server:
        async with connected(server.url) as transport:
            transport.subscribe("echo", answering(transport))
            payload = b"x" * 2_000_000
            assert (await transport.request("echo", payload, b"", soon())).payload == payload


async def test_server_with_max_connections() -> None:
    """Connecting to a full server fails in bounded time and works once a client has left."""
    options = ConnectionOptions(connect_timeout=LIMIT, reconnect_wait=0.02)
    with NatsServer(config="max_connections: 1") as server:
        async with connected(server.url) as first:
            await check_refusal(server.url, "maximum (number of )?connections")
            await first.fence()
        async with connected(server.url, options) as second:
            await second.fence()


async def test_large_messages_split_across_reads() -> None:
    """Messages of several megabytes arrive whole, also between pings."""
    options = ConnectionOptions(ping_interval=1)
    with NatsServer(config='max_payload: 8MB\nping_interval: "20ms"\nping_max: 1000') as server:
        async with connected(server.url, options) as transport:
            assert transport.max_payload == 8 * 1024 * 1024
            transport.subscribe("echo", answering(transport))
            payloads = [os.urandom(size) for size in (3_000_000, 0, 65_536, 1, 3_000_001)]
            requests = [transport.request("echo", each, b"A: b\r\n", soon()) for each in payloads]
            replies = await asyncio.gather(*requests)
            assert [reply.payload for reply in replies] == payloads


async def test_log_says_that_the_connection_is_back(
    configured: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators see the end of an outage as they saw its beginning."""
    caplog.set_level(logging.INFO, "weenats.transport")
    async with connected(configured.url, ME) as transport:
        configured.kill()
        await disconnected(transport)
        configured.start()
        back = f"reconnected to NATS at 127.0.0.1:{configured.port}"
        await until(lambda: back in caplog.messages)
