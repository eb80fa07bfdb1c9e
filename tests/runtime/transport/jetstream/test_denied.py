"""What a connection may not ask of JetStream fails at once, with the subject that it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from testkit.nats_users import as_user, config_of
from testkit.waiting import LIMIT
from weenats import NatsTransport, PermissionDeniedError
from weenats.testing import NatsServer
from weenats.transport.jetstream import (
    BatchMessage,
    ConsumerConfig,
    JetStream,
    StreamConfig,
    publish_batch,
)
from weenats_codegen.permissions.entries import Entry, Permissions

INFO = Entry("$JS.API.CONSUMER.INFO.>", "")
INBOX = Entry("_INBOX.>", "")


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server where `asker` may ask for nothing but consumers."""
    users = {"free": None, "asker": Permissions((INFO,), (INBOX,))}
    with NatsServer(config=config_of(users)) as running:
        yield running


@pytest.fixture
async def transport(server: NatsServer) -> AsyncIterator[NatsTransport]:
    """The connection of `asker`; there is a stream with a consumer."""
    free = NatsTransport(server.url, as_user("free"))
    await JetStream(free).create_stream(StreamConfig("s", ("s.>",)))
    await JetStream(free).create_consumer("s", ConsumerConfig("c"))
    await free.close()
    asker = NatsTransport(server.url, as_user("asker"))
    yield asker
    await asker.close()


async def read(transport: NatsTransport) -> None:
    """Read all messages of the stream."""
    async for _ in JetStream(transport, timeout=10 * LIMIT).read("s"):
        pass


async def pull(transport: NatsTransport) -> None:
    """Take a message of the consumer."""
    async with JetStream(transport, timeout=10 * LIMIT).pull("s", "c") as messages:
        await anext(messages)


async def batch(transport: NatsTransport) -> None:
    """Publish two messages together."""
    await publish_batch(transport, [BatchMessage("s.a", b""), BatchMessage("s.b", b"")], 10 * LIMIT)


@pytest.mark.parametrize(
    ("ask", "subject"),
    [
        (read, "$JS.API.DIRECT.GET.s"),
        (pull, "$JS.API.CONSUMER.MSG.NEXT.s.c"),
        (batch, "s.b"),
        (lambda each: JetStream(each, 10 * LIMIT).get("s", 1), "$JS.API.DIRECT.GET.s"),
        (lambda each: JetStream(each, 10 * LIMIT).stream_info("s"), "$JS.API.STREAM.INFO.s"),
        (lambda each: JetStream(each, 10 * LIMIT).publish("s.a", b""), "s.a"),
    ],
)
async def test_denied_requests_fail_at_once(
    transport: NatsTransport, ask: Callable[[NatsTransport], Awaitable[object]], subject: str
) -> None:
    """Nothing waits for its timeout: the error names the subject."""
    for _ in range(2):
        with pytest.raises(PermissionDeniedError) as caught:
            async with asyncio.timeout(LIMIT):
                await ask(transport)
        assert f"does not let this connection use {subject} (publish)" in str(caught.value)
