"""Commits that three servers keep: races, and repeats while the first is being written."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import pytest

from testkit.waiting import LIMIT
from testkit.wallets import builder, client, wallets
from weenats import NatsTransport, ServiceError
from weenats.aggregates.aggregates import streams_of
from weenats.protocol.identifiers import STAMPER
from weenats.testing import NatsCluster
from weenats.transport.jetstream import JetStream

_KEYS = 3
_COMMANDS = 90


async def create_streams(transport: NatsTransport) -> None:
    """Create the streams with three replicas, once the cluster can."""
    async with asyncio.timeout(LIMIT):
        for config in streams_of("wallets", replicas=3):
            while True:
                try:
                    await JetStream(transport).create_stream(config)
                    break
                except ServiceError:
                    await asyncio.sleep(0.05)


async def deposit(transport: NatsTransport, key: str, message_id: str) -> dict[str, Any]:
    """Deposit a cent, and repeat the message until there is a reply."""
    body = {
        "aggregateId": {"type": "wallet", "key": key},
        "command": {"cents": 1},
        "metadata": {"messageId": message_id, "timestamp": "2026-03-01T09:30:00.125Z"},
    }
    while True:
        try:
            subject, end = "wallets.command.wallet.deposit", monotonic() + 5
            reply = await transport.request(subject, json.dumps(body).encode(), b"", end)
        except ServiceError:
            continue
        answer: dict[str, Any] = json.loads(reply.payload)
        if answer["success"]:
            result: dict[str, Any] = answer["result"]
            return result
        assert answer["error"]["code"] in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, answer


@pytest.mark.slow
async def test_each_command_counts_once(cluster: NatsCluster) -> None:
    """Commands on three keys over two instances, each sent three times at once, count once."""
    balances: defaultdict[str, list[int]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        transport = NatsTransport(cluster.urls)
        stack.push_async_callback(transport.close)
        await create_streams(transport)
        for _ in range(2):
            await stack.enter_async_context(builder(cluster.urls).build())
        numbers = iter(range(_COMMANDS))

        async def work() -> None:
            for number in numbers:
                key, message_id = f"w-{number % _KEYS}", STAMPER.new_id()
                calls = [deposit(transport, key, message_id) for _ in range(3)]
                first, second, third = await asyncio.gather(*calls)
                assert first == second == third
                balances[key].append(first["balance"])

        await asyncio.gather(*(work() for _ in range(6)))
        caller = await stack.enter_async_context(client(cluster.urls))
        for key, found in balances.items():
            assert sorted(found) == list(range(1, _COMMANDS // _KEYS + 1))
            assert (await caller.get_wallet(key)).revision == len(found)
        amount = wallets.Amount(cents=1000)
        for key in balances:
            try:
                await caller.withdraw(key, amount)
            except wallets.NotEnoughMoneyError:
                continue
            raise AssertionError(key)
