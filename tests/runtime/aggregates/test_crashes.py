"""Instances and servers that end at any moment: each command counts once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from testkit.forks import fork
from testkit.wallets import builder, client, wallets
from weenats import (
    DeadlineExceededError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from weenats.aggregates.errors import not_available
from weenats.protocol.identifiers import STAMPER
from weenats.testing import NatsServer

Amount = wallets.Amount
_REPEAT = 0.5
"""Seconds after which the caller repeats a command."""


def serve(pipe: Connection, url: str) -> None:
    """Run an instance until it is killed."""

    async def run() -> None:
        async with builder(url).build():
            pipe.send("serves")
            await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A caller in no framework, which repeats its commands."""

    async def quiet(_: Exception) -> None:
        pass

    connection = await nats.connect(
        url, error_cb=quiet, reconnect_time_wait=0.05, max_reconnect_attempts=-1
    )
    yield connection
    await connection.close()


async def deposit(connection: Client, key: str) -> dict[str, Any]:
    """Deposit a cent; repeat the same message until there is a reply."""
    body = {
        "aggregateId": {"type": "wallet", "key": key},
        "command": {"cents": 1},
        "metadata": {"messageId": STAMPER.new_id(), "timestamp": "2026-03-01T09:30:00.125Z"},
    }
    while True:
        try:
            subject = "wallets.command.wallet.deposit"
            reply = await connection.request(subject, json.dumps(body).encode(), _REPEAT)
        except (nats.errors.Error, TimeoutError):
            await asyncio.sleep(0.01)
            continue
        answer: dict[str, Any] = json.loads(reply.data)
        if answer["success"]:
            result: dict[str, Any] = answer["result"]
            return result
        assert answer["error"]["code"] in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, answer


async def wallet(caller: Any, key: str) -> Any:
    """Read a wallet; ask again if the server gave the query to an instance that was just killed."""
    while True:
        try:
            return (await caller.get_wallet(key, timeout=_REPEAT)).state
        except DeadlineExceededError:
            continue


async def test_killed_instance(own_nats_server: NatsServer) -> None:
    """Of three instances two are killed under way; every command counts once."""
    url = own_nats_server.url
    with ExitStack() as stack:
        forks = [stack.enter_context(fork(serve, url)) for _ in range(3)]
        for each in forks:
            assert await each.receive() == "serves"
        async with connected(url) as connection, client(url) as caller:

            async def work(key: str) -> list[int]:
                return [(await deposit(connection, key))["balance"] for _ in range(25)]

            calls = [asyncio.create_task(work(key)) for key in ("a", "b", "a", "b")]
            for each in forks[:2]:
                await deposit(connection, "c")
                each.signal(signal.SIGKILL)
            results = await asyncio.gather(*calls)
            for key, found in (("a", results[0] + results[2]), ("b", results[1] + results[3])):
                assert sorted(found) == list(range(1, 51))
                state = await wallet(caller, key)
                assert (state.balance, state.changes) == (50, 50)


async def test_restarted_server(own_nats_server: NatsServer) -> None:
    """The server is killed and started again under way; every command counts once."""
    url = own_nats_server.url
    async with builder(url).build(), builder(url).build(), connected(url) as connection:

        async def work() -> list[int]:
            return [(await deposit(connection, "a"))["balance"] for _ in range(25)]

        calls = [asyncio.create_task(work()) for _ in range(3)]
        for _ in range(2):
            await deposit(connection, "b")
            own_nats_server.kill()
            own_nats_server.start()
        results = await asyncio.gather(*calls)
        assert sorted(balance for each in results for balance in each) == list(range(1, 76))
        async with client(url) as caller:
            assert (await caller.get_wallet("b")).state.balance == 2


def test_denied_subject_is_no_matter_of_the_caller() -> None:
    """What NATS denies to the service is not said as if the caller lacked a permission."""
    error = not_available("wallet", PermissionDeniedError("wallets.commits.wallet.secret-key"))
    assert error.message == (
        "the events of wallet cannot be read or stored now: NATS denies the service a subject"
    )


async def test_stream_that_is_gone(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A command fails as UNAVAILABLE, without subject or key; a new stream is empty."""
    url = own_nats_server.url
    async with builder(url).build() as service, client(url) as caller:
        await caller.deposit("secret-key", Amount(cents=5))
        jetstream = service._assembly.aggregates._jetstream
        await jetstream.delete_stream("wallets-commits")
        timeout, error = 0.5, None
        while not isinstance(error, UnavailableError):  # a busy machine may need longer to say so
            with pytest.raises((UnavailableError, DeadlineExceededError)) as raised:
                await caller.deposit("secret-key", Amount(cents=5), timeout=timeout)
            timeout, error = 2 * timeout, raised.value
        assert error.message == (
            "the events of wallet cannot be read or stored now: the stream does not exist"
        )
        assert "secret-key" in caplog.text
        await service._assembly.aggregates.start(may_create=True)
        assert (await caller.deposit("secret-key", Amount(cents=5))).balance == 5


async def test_cancelled_command_is_whole_or_nothing(caller: Any, key: str) -> None:
    """Commands whose callers give up at any moment leave a state that is right."""
    done = 0
    for attempt in range(40):
        task = asyncio.create_task(caller.deposit(key, Amount(cents=1)))
        await asyncio.sleep(attempt / 20_000)
        task.cancel()
        try:
            await task
            done += 1
        except (asyncio.CancelledError, ServiceError):
            pass
    last = await caller.deposit(key, Amount(cents=1))
    assert done + 1 <= last.balance == last.changes <= 41
    assert (await caller.get_wallet(key)).revision == last.changes
