"""Repeated message ids: the reply of the first time, whoever gets them and whenever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nats
import pytest

from testkit.waiting import until
from testkit.wallets import Wallets, builder, client, wallets
from weenats import FailedPreconditionError
from weenats.principal import Principal
from weenats.protocol.identifiers import STAMPER
from weenats.testing import NatsServer

Send = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def send(nats_url: str, service: Any, key: str) -> AsyncIterator[Send]:
    """Send a command as it is on the wire."""
    del service
    connection = await nats.connect(nats_url)

    async def request(
        message_id: str, cents: int = 5, command: str = "deposit", **headers: str
    ) -> dict[str, Any]:
        body = {
            "aggregateId": {"type": "wallet", "key": key},
            "command": {} if command == "empty" else {"cents": cents},
            "metadata": {"messageId": message_id, "timestamp": "2026-03-01T09:30:00.125Z"},
        }
        subject = f"wallets.command.wallet.{command}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await connection.request(subject, json.dumps(body).encode(), 30, headers=named)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    yield request
    await connection.close()


@pytest.fixture
def message_id() -> str:
    """The id of a command."""
    return STAMPER.new_id()


async def test_repeat_gets_the_first_reply(send: Send, message_id: str, handlers: Wallets) -> None:
    """A repeat runs no handler, and its reply is the first one, whatever has changed since."""
    first = await send(message_id)
    await send(STAMPER.new_id())
    assert (await send(message_id))["result"] == first["result"] == {"balance": 5, "changes": 1}
    assert len(handlers.decisions) == 2
    assert (await send(STAMPER.new_id()))["result"]["balance"] == 15


async def test_repeat_of_long_ago_gets_the_first_reply(
    send: Send, message_id: str, handlers: Wallets
) -> None:
    """The stream knows the ids that the instance has forgotten."""
    first = await send(message_id)
    for _ in range(20):
        await send(STAMPER.new_id(), 1)
    assert (await send(message_id))["result"] == first["result"]
    assert (await send(STAMPER.new_id(), 1))["result"]["balance"] == 26
    del handlers


async def test_repeat_that_would_be_refused_now(send: Send, message_id: str) -> None:
    """What the state does not allow any more was executed once: that reply counts."""
    await send(STAMPER.new_id())
    first = await send(message_id, 5, "withdraw")
    for _ in range(20):
        await send(STAMPER.new_id(), 1)
        await send(STAMPER.new_id(), 1, "withdraw")
    assert first["result"]["balance"] == 0
    assert (await send(message_id, 5, "withdraw"))["result"] == first["result"]
    fresh = await send(STAMPER.new_id(), 5, "withdraw")
    assert fresh["error"]["details"]["error"] == "not-enough-money"


async def test_repeat_reaches_another_instance(
    send: Send, message_id: str, nats_url: str, service: Any
) -> None:
    """An instance that never saw the command has its reply, with and without a state."""
    first = await send(message_id)
    await send(STAMPER.new_id(), 5, "empty")
    await service.stop()
    async with builder(nats_url).build():
        assert (await send(message_id))["result"] == first["result"]


async def test_refused_command_may_be_repeated(send: Send, message_id: str) -> None:
    """Only what was stored has a reply: a refused command is decided again."""
    refused = await send(message_id, 5, "withdraw")
    assert refused["error"]["details"]["error"] == "wallet-not-found"
    await send(STAMPER.new_id())
    assert (await send(message_id, 5, "withdraw"))["result"]["balance"] == 0


async def test_same_id_with_another_payload(send: Send, message_id: str) -> None:
    """It is refused: the caller mixes up two commands."""
    await send(message_id, 5)
    other = await send(message_id, 6)
    assert other["error"]["code"] == "FAILED_PRECONDITION"
    assert other["error"]["details"] == {"reason": "MESSAGE_ID_REUSED"}
    assert (await send(message_id, 5, "withdraw"))["error"]["details"] == other["error"]["details"]


async def test_same_id_of_another_issuer(
    own_nats_server: NatsServer, key: str, message_id: str
) -> None:
    """A caller whose token has the same subject, but another issuer, does not get the reply."""
    url = own_nats_server.url

    async def identify(context: Any, call_next: Any) -> Any:
        context.principal = Principal(id="u-1", issuer=context.headers["Issuer"])
        return await call_next(context)

    async with builder(url).with_interceptor(identify).build(), client(url) as caller:

        async def deposit(issuer: str) -> int:
            headers = {"Issuer": issuer}
            amount = wallets.Amount(cents=5)
            found = await caller.deposit(key, amount, message_id=message_id, headers=headers)
            return int(found.balance)

        assert [await deposit("a"), await deposit("a")] == [5, 5]
        with pytest.raises(FailedPreconditionError) as raised:
            await deposit("b")
        assert raised.value.details == {"reason": "MESSAGE_ID_REUSED"}
        assert (await caller.get_wallet(key, headers={"Issuer": "a"})).revision == 1


async def test_repeat_while_the_first_is_decided(
    send: Send, message_id: str, handlers: Wallets
) -> None:
    """It waits, and gets the same reply; the handler decides once."""
    decided = asyncio.Event()
    handlers.on_decide = lambda _: decided.wait()
    calls = [asyncio.create_task(send(message_id)) for _ in range(5)]
    await until(lambda: handlers.decisions)
    decided.set()
    replies = [reply["result"] for reply in await asyncio.gather(*calls)]
    assert replies == [{"balance": 5, "changes": 1}] * 5
    assert handlers.decisions == ["deposit"]


async def test_repeat_while_another_instance_executes_the_first(
    send: Send, message_id: str, nats_url: str, handlers: Wallets
) -> None:
    """Both decide, one of them stores, and both callers get its reply."""
    others = Wallets()
    async with builder(nats_url, others).build():
        for _ in range(10):
            await send(STAMPER.new_id(), 1)
        for _ in range(20):
            message_id = STAMPER.new_id()
            calls = [send(message_id, 1) for _ in range(6)]
            replies = [reply["result"] for reply in await asyncio.gather(*calls)]
            assert replies == [replies[0]] * 6
    last = await send(STAMPER.new_id(), 1)
    assert last["result"] == {"balance": 31, "changes": 31}
    assert others.decisions
    assert handlers.decisions
