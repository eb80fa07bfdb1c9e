"""Limits of the size of messages that change while clients are away, or are not announced."""

from __future__ import annotations

import asyncio
import logging

import pytest

from testkit.tcp_proxy import TcpProxy
from testkit.transports import FAST, connected, disconnected, reconnected
from testkit.waiting import LIMIT, until
from weenats import ConnectionOptions, MessageTooLargeError
from weenats.protocol.subjects import decode_subject
from weenats.testing import NatsServer

LARGE = b"x" * 200_000


async def test_kept_messages_survive_a_smaller_limit(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the messages kept while NATS is away only those that are too large now are dropped."""
    caplog.set_level(logging.ERROR)
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    async with (
        TcpProxy(own_nats_server.port) as link,
        connected(f"nats://127.0.0.1:{link.port}") as sender,
        connected(own_nats_server.url, FAST) as receiver,
    ):
        receiver.subscribe("kept", lambda delivery: arrived.put_nowait(delivery.payload))
        link.refuse()
        await disconnected(sender)
        for headers in (b"", b"A: b\r\n"):
            for payload in (b"before", LARGE, b"after"):
                sender.publish("kept", payload, headers)
        own_nats_server.stop()
        own_nats_server._config = "max_payload: 65536"
        own_nats_server.start()
        await reconnected(receiver)
        link.heal()
        for payload in (b"before", b"after") * 2:
            assert await asyncio.wait_for(arrived.get(), LIMIT) == payload
        assert sender.max_payload == 65536
    assert len(caplog.messages) == 2
    assert all("dropped: it has 2000" in message for message in caplog.messages)


async def test_kept_reply_to_an_odd_subject_lets_it_reconnect(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A kept reply is dropped when it is too large now, also one whose subject is not UTF-8."""
    caplog.set_level(logging.ERROR)
    async with connected(own_nats_server.url, FAST) as sender:
        own_nats_server.stop()
        await disconnected(sender)
        sender.publish(decode_subject(b"inbox.\xff"), LARGE)
        own_nats_server._config = "max_payload: 65536"
        own_nats_server.start()
        await reconnected(sender)
        await sender.fence()
    assert [each for each in caplog.messages if r"inbox.\xff was dropped" in each]


async def test_limit_of_an_account_is_an_option(caplog: pytest.LogCaptureFixture) -> None:
    """Servers do not announce it: the option has it, and without it the log names it."""
    caplog.set_level(logging.WARNING)
    limited = "accounts: {A: {limits: {max_payload: 1000}, users: [{user: a, password: a}]}}"
    with NatsServer(config=limited) as server:
        url = server.url.replace("//", "//a:a@")
        async with connected(url, ConnectionOptions(max_payload=1000)) as transport:
            assert transport.max_payload == 1000
            with pytest.raises(MessageTooLargeError):
                transport.publish("large", b"x" * 990, b"A: bcdefghij\r\n")
            await transport.fence()
            assert not caplog.messages
        async with connected(url, ConnectionOptions(max_payload=2**30)) as transport:
            assert transport.max_payload == 2**20  # that of the server, which is smaller
            transport.publish("large", b"x" * 1001)
            await until(lambda: any("set max_payload of" in each for each in caplog.messages))
