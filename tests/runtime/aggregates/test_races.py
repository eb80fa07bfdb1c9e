"""Many writers on one key, over several instances."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.wallets import Wallets, builder, client, wallets
from weenats import AbortedError, InvalidArgumentError, NatsServiceBuilder

Amount = wallets.Amount


def patient(url: str) -> NatsServiceBuilder:
    """Return the builder of an instance in whose queue a busy machine may leave commands."""
    return builder(url).with_queue_group("wallets", max_queue_time=60)


async def test_no_change_is_lost_or_doubled(nats_url: str, key: str) -> None:
    """200 commands of 20 callers over three instances: each one counts once."""
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(patient(nats_url).build())
        caller = await stack.enter_async_context(client(nats_url))

        async def work() -> list[int]:
            return [
                (await caller.deposit(key, Amount(cents=1), timeout=60)).balance for _ in range(10)
            ]

        results = await asyncio.gather(*(work() for _ in range(20)))
        balances = [balance for each in results for balance in each]
        assert sorted(balances) == list(range(1, 201))
        assert all(each == sorted(each) for each in results)
        assert (await caller.get_wallet(key)).revision == 200


async def test_changes_of_others_are_read_without_a_subscription(
    nats_url: str, caller: Any, service: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state with up to four events of other instances to catch up with needs no subscription."""
    await caller.deposit(key, Amount(cents=1))
    others, inboxes = Wallets(), list[str]()
    transport = service._assembly.binding.transport
    make = transport.new_inbox

    def new_inbox() -> str:
        inboxes.append(make())
        return inboxes[-1]

    monkeypatch.setattr(transport, "new_inbox", new_inbox)
    async with builder(nats_url, others).with_queue_group("others").build() as other:
        executor = other._assembly.aggregates.executors["wallet"]
        await other._assembly.membership.close(1)  # it gets no requests
        for count in (1, 2, 4, 5):
            for _ in range(count):
                context = make_context(
                    side="server", operation=wallets.DEPOSIT, key=key, payload=Amount(cents=1)
                )
                await executor.execute(context, others.deposit)
            inboxes.clear()
            await caller.deposit(key, Amount(cents=1))
            assert len(inboxes) == (count == 5)
    assert (await caller.get_wallet(key)).state.balance == 1 + 1 + 2 + 4 + 5 + 4


async def test_only_what_is_there_is_taken(nats_url: str, key: str) -> None:
    """Of 30 withdrawals from ten cents over two instances, ten succeed."""
    async with patient(nats_url).build(), patient(nats_url).build(), client(nats_url) as caller:
        await caller.deposit(key, Amount(cents=10))
        results = await asyncio.gather(
            *(caller.withdraw(key, Amount(cents=1), timeout=60) for _ in range(30)),
            return_exceptions=True,
        )
        refused = [each for each in results if isinstance(each, wallets.NotEnoughMoneyError)]
        assert len(refused) == 20
        assert (await caller.get_wallet(key)).state.balance == 0


async def test_key_that_changes_all_the_time(
    nats_url: str, handlers: Wallets, caller: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command whose aggregate changes during each of its decisions is ABORTED at last."""
    monkeypatch.setattr("weenats.aggregates.executor._ATTEMPTS", 4)
    others = Wallets()
    async with builder(nats_url, others).with_queue_group("others").build() as other:
        executor = other._assembly.aggregates.executors["wallet"]
        await other._assembly.membership.close(1)  # it gets no requests

        async def change(_: str) -> None:
            amount = Amount(cents=1)
            context = make_context(
                side="server", operation=wallets.DEPOSIT, key=key, payload=amount
            )
            await executor.execute(context, others.deposit)

        handlers.on_decide = change
        with pytest.raises(AbortedError, match="still had conflicting changes after 4 attempts"):
            await caller.deposit(key, Amount(cents=1))
        handlers.on_decide = None
        assert (await caller.get_wallet(key)).revision == 4
    assert handlers.decisions == ["deposit"] * 4


async def test_commands_are_not_for_all_instances(caller: Any, service: Any, key: str) -> None:
    """Each instance would execute the command, since the calls have different message ids."""
    with pytest.raises(InvalidArgumentError, match="cannot be called on all instances"):
        await caller.on_instance(service.instance_id).deposit(key, Amount(cents=1))
    assert not await caller.on_instance(service.instance_id).can_pay(key, Amount(cents=1))
