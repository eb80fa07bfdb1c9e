"""Commands with `once` of aggregates that are kept in streams: beyond the window of the stream."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import pytest

from testkit.forks import fork
from testkit.waiting import LIMIT, ask_until
from testkit.wallets import Wallets, builder, client, wallets
from weenats import FailedPreconditionError, NatsTransport, new_message_id
from weenats.idempotency import lease
from weenats.service import StoredEndpoint
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream

Amount = wallets.Amount
ONCE = replace(wallets.DEPOSIT, once=24 * 3600)
WINDOW = 0.1
"""Seconds for which the stream of commits knows the ids of commands, the shortest possible."""


class OnceWallets(Wallets):
    """Wallets whose deposits are executed once for each message id, within a day."""

    def endpoints(self) -> Any:
        """Return the operations."""
        return tuple(
            StoredEndpoint.decision(ONCE, self.deposit)
            if each.operation is wallets.DEPOSIT
            else each
            for each in super().endpoints()
        )


async def pass_window(url: str) -> None:
    """Wait until the stream has forgotten the ids of the commits that it has now."""
    transport = NatsTransport(url)
    jetstream = JetStream(transport)
    subject, message_id = "wallets.commits.0.wallet.nobody", new_message_id()
    await jetstream.publish(subject, b"{}", message_id=message_id)
    again = partial(jetstream.publish, subject, b"{}", message_id=message_id)
    await ask_until(lambda ack: not ack.duplicate, again)
    await transport.close()


async def test_repeat_after_the_window(
    own_nats_server: NatsServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each instance gives the first reply; a command without `once` would run again."""
    monkeypatch.setattr("weenats.aggregates.aggregates._WINDOW", WINDOW)
    url, once, plain = own_nats_server.url, new_message_id(), new_message_id()
    heir = OnceWallets()
    async with client(url) as caller:
        async with builder(url, OnceWallets()).build():
            reply = await caller.deposit(key, Amount(cents=5), message_id=once)
            await caller.deposit(key, Amount(cents=10))
            await caller.withdraw(key, Amount(cents=1), message_id=plain)
            for _ in range(20):  # more than what an instance reads of a history
                await caller.deposit(key, Amount(cents=1))
            await pass_window(url)
            assert await caller.deposit(key, Amount(cents=5), message_id=once) == reply
        async with builder(url, heir).build():
            assert await caller.deposit(key, Amount(cents=5), message_id=once) == reply
            assert (reply.balance, reply.changes) == (5, 1)
            assert heir.decisions == []
            again = await caller.withdraw(key, Amount(cents=1), message_id=plain)
            assert (again.balance, again.changes) == (33, 24)
            with pytest.raises(FailedPreconditionError, match="used before, with another payload"):
                await caller.deposit(key, Amount(cents=6), message_id=once)
            assert (await caller.get_wallet(key)).state.balance == 33


async def test_repeats_while_the_first_runs(own_nats_server: NatsServer, key: str) -> None:
    """On two instances they wait, and get its reply; the command is decided and stored once."""
    entered, opened = asyncio.Event(), asyncio.Event()
    url, handlers, message_id = own_nats_server.url, OnceWallets(), new_message_id()

    async def wait(_: str) -> None:
        entered.set()
        await opened.wait()

    handlers.on_decide = wait
    async with (
        builder(url, handlers).build(),
        builder(url, handlers).build(),
        client(url) as caller,
    ):
        calls = [
            asyncio.create_task(
                caller.deposit(key, Amount(cents=5), message_id=message_id, timeout=LIMIT)
            )
            for _ in range(8)
        ]
        await entered.wait()
        opened.set()
        replies = await asyncio.gather(*calls)
    assert {each.balance for each in replies} == {5}
    assert len(handlers.decisions) == 1


def serve_until(step: str, pipe: Connection, url: str) -> None:
    """Serve, and hang before a deposit is decided, or after it was stored."""
    lease.LEASE = 1.0
    handlers = OnceWallets()

    async def hang(*_: object) -> None:
        pipe.send("hangs")
        await asyncio.Event().wait()

    if step == "decide":
        handlers.on_decide = hang
    else:
        lease.Lease.keep = hang  # type: ignore[method-assign, assignment]

    async def serve() -> None:
        async with builder(url, handlers).build():
            pipe.send("serves")
            await asyncio.Event().wait()

    asyncio.run(serve())


def serve_until_decided(pipe: Connection, url: str) -> None:
    """Serve, and hang before a deposit is decided."""
    serve_until("decide", pipe, url)


def serve_until_stored(pipe: Connection, url: str) -> None:
    """Serve, and hang after a deposit was stored, before its reply is kept."""
    serve_until("keep", pipe, url)


@pytest.mark.parametrize("serve", [serve_until_decided, serve_until_stored])
async def test_instance_that_is_killed_midway(
    serve: Any, own_nats_server: NatsServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its lease has ended, a repeat gets the one reply, and each further one as well."""
    monkeypatch.setattr(lease, "LEASE", 1.0)
    url, message_id, handlers = own_nats_server.url, new_message_id(), OnceWallets()
    async with client(url) as caller:

        async def deposit() -> Any:
            return await caller.deposit(key, Amount(cents=5), message_id=message_id, timeout=LIMIT)

        with fork(serve, url) as other:
            assert await other.receive() == "serves"
            first = asyncio.create_task(deposit())
            assert await other.receive() == "hangs"
            other.signal(signal.SIGKILL)
            await other.wait()
            first.cancel()
        async with builder(url, handlers).build(), builder(url, handlers).build():
            for _ in range(4):
                reply = await deposit()
                assert (reply.balance, reply.changes) == (5, 1)
            assert len(handlers.decisions) <= 1
            assert (await caller.get_wallet(key)).revision == 1
