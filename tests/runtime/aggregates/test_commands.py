"""Commands and queries of an aggregate that is kept in a stream, on a real server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from testkit.wallets import Wallets, builder, client, wallets
from weenats import InternalError, InvalidArgumentError, NotFoundError
from weenats.aggregates.errors import AggregateBreachError
from weenats.aggregates.state_codec import StateCodec, StoredAggregate

Amount = wallets.Amount


async def test_state_is_what_the_events_add_up_to(caller: Any, key: str) -> None:
    """Replies, `get` and queries show the state after all events."""
    assert (await caller.deposit(key, Amount(cents=5))).balance == 5
    assert (await caller.withdraw(key, Amount(cents=2))).balance == 3
    found = await caller.get_wallet(key)
    assert (found.id.type, found.id.key, found.revision) == ("wallet", key, 2)
    assert (found.state.balance, found.state.changes) == (3, 2)
    assert await caller.can_pay(key, Amount(cents=3))
    assert not await caller.can_pay(key, Amount(cents=4))


async def test_one_command_may_cause_several_events(caller: Any, key: str) -> None:
    """All events of a decision are stored together; each counts one revision."""
    await caller.deposit(key, Amount(cents=5))
    assert await caller.empty(key, wallets.Empty()) is None
    found = await caller.get_wallet(key)
    assert (found.state.balance, found.state.closed, found.revision) == (0, True, 3)


async def test_decision_without_events_stores_nothing(caller: Any, key: str) -> None:
    """`self.reply(...)` answers, and the revision stays."""
    await caller.deposit(key, Amount(cents=5))
    await caller.empty(key, wallets.Empty())
    assert await caller.empty(key, wallets.Empty()) is None
    assert (await caller.get_wallet(key)).revision == 3


async def test_refused_command_stores_nothing(caller: Any, key: str) -> None:
    """A declared error reaches the caller, and the state stays."""
    with pytest.raises(wallets.WalletNotFoundError):
        await caller.withdraw(key, Amount(cents=1))
    await caller.deposit(key, Amount(cents=5))
    with pytest.raises(wallets.NotEnoughMoneyError):
        await caller.withdraw(key, Amount(cents=6))
    assert (await caller.get_wallet(key)).revision == 1


async def test_get_of_what_never_happened(caller: Any, key: str) -> None:
    """`get` fails with the NOT_FOUND that it declares; other queries get None for a state."""
    with pytest.raises(wallets.WalletNotFoundError) as raised:
        await caller.get_wallet(key)
    assert isinstance(raised.value, NotFoundError)
    assert not await caller.can_pay(key, Amount(cents=1))


async def test_state_outlives_the_service(nats_url: str, key: str) -> None:
    """An instance that starts later has the state of all earlier commands."""
    async with client(nats_url) as caller:
        async with builder(nats_url).build():
            await caller.deposit(key, Amount(cents=5))
        async with builder(nats_url).build():
            assert (await caller.deposit(key, Amount(cents=1))).balance == 6
            assert (await caller.get_wallet(key)).revision == 2


async def test_another_instance_sees_changes_at_once(
    nats_url: str, handlers: Wallets, caller: Any, key: str
) -> None:
    """Each of two instances that remember a key decides and answers on its present state."""
    del handlers
    async with builder(nats_url).build(), client(nats_url) as other:
        for cents in range(1, 21):
            await caller.deposit(key, Amount(cents=1))
            found = await other.get_wallet(key)
            assert (found.state.balance, found.revision) == (cents, cents)
            with pytest.raises(wallets.NotEnoughMoneyError):
                await other.withdraw(key, Amount(cents=cents + 1))


@pytest.mark.parametrize(
    "odd",
    ["", "a.b", "a b", "*", ">", "\u00fc\u20ac\U0001f600", "=41", "A", "x" * 256, "\u20ac" * 256],
)
async def test_any_key_is_an_object_of_its_own(caller: Any, key: str, odd: str) -> None:
    """Keys with any characters are kept apart."""
    name = f"{odd}{key}"[-256:] if len(odd) < 200 else odd
    await caller.deposit(name, Amount(cents=1))
    found = await caller.get_wallet(name)
    assert (found.id.key, found.revision) == (name, 1)


async def test_second_aggregate_with_typed_keys(caller: Any) -> None:
    """Events whose data is no object, keys with a type, queries without parameters."""
    key = uuid4()
    assert not await caller.is_approved(key)
    with pytest.raises(NotFoundError):
        await caller.get_approval(key)
    yes, no = wallets.Decision(approved=True), wallets.Decision(approved=False)
    assert await caller.decide(key, yes) == yes
    assert await caller.decide(key, no) == yes
    assert await caller.is_approved(key)
    assert (await caller.get_approval(key)).revision == 1
    with pytest.raises(InvalidArgumentError):
        await caller.get_approval("no uuid")


CHANGE = wallets.Change(cents=1, balance=1)
BREACHES = {
    "emitted Closed; according to its contract it emits deposited": lambda: Wallets.emit(
        wallets.Closed()
    ).reply_state(),
    "emitted closed; according to its contract it emits deposited": lambda: Wallets.emit(
        wallets.CLOSED.with_data(wallets.Closed())
    ).reply_state(),
    "deposited does not match the contract: /cents": lambda: Wallets.emit(
        wallets.Change.model_construct(cents=0, balance=-1)
    ).reply_state(),
    "must return self.emit(...) or self.reply(...), not NoneType": lambda: None,
    "must return Wallet according to its contract, not NoneType": lambda: Wallets.emit(CHANGE),
    "must return Wallet according to its contract, not str": lambda: Wallets.reply("x"),
}


@pytest.mark.parametrize("text", BREACHES)
async def test_decision_that_breaks_the_contract(
    handlers: Wallets, caller: Any, key: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is INTERNAL for the caller, the log says why, and nothing is stored."""
    handlers.decision = BREACHES[text]
    with pytest.raises(InternalError) as raised:
        await caller.deposit(key, Amount(cents=1))
    assert text in caplog.text
    assert text not in str(raised.value)
    with pytest.raises(wallets.WalletNotFoundError):
        await caller.get_wallet(key)


@pytest.mark.parametrize(
    ("fold", "text"),
    [
        (lambda _: None, "the state of wallet after deposited is not valid"),
        (
            lambda _: wallets.Wallet.model_construct(balance=-1, changes=0),
            "the state of wallet after deposited is not valid",
        ),
        (lambda _: 1 // 0, "ZeroDivisionError"),
    ],
)
async def test_event_that_cannot_be_applied_is_not_stored(
    handlers: Wallets, caller: Any, key: str, caplog: pytest.LogCaptureFixture, fold: Any, text: str
) -> None:
    """A state that breaks the contract, or a method that raises, is found before the commit."""
    handlers.fold = fold
    with pytest.raises(InternalError):
        await caller.deposit(key, Amount(cents=1))
    assert text in caplog.text
    handlers.fold = None
    assert (await caller.deposit(key, Amount(cents=1))).changes == 1


@pytest.mark.parametrize(
    ("declared", "data", "encoded"),
    [
        (dict[str, int], {"a": 1}, b'{"a":1}'),
        (list[str], ["a"], b'["a"]'),
        (wallets.Closed | wallets.Change, CHANGE, b'{"cents":1,"balance":1}'),
    ],
)
def test_event_whose_data_has_no_class(declared: Any, data: object, encoded: bytes) -> None:
    """A map, a list or a member of a union is emitted as it is, beside events with a class."""
    event = replace(wallets.DEPOSITED, data=declared)
    folds = {event: print, wallets.CLOSED: print}
    codec = StateCodec(StoredAggregate(wallets.WALLET_AGGREGATE, folds))
    command = replace(wallets.DEPOSIT, emits=(event, wallets.CLOSED))
    assert codec.encode(command, [data]) == [("deposited", encoded, 1)]
    if declared == dict[str, int]:
        with pytest.raises(AggregateBreachError, match="deposited, whose data breaks the contract"):
            codec.encode(command, [{"a": "b"}])
    both = replace(command, emits=(event, replace(event, name="moved")))
    with pytest.raises(AggregateBreachError, match="may be the data of deposited and moved"):
        codec.encode(both, [data])


async def test_data_of_two_events_of_one_command_needs_the_event() -> None:
    """A decision that leaves open which event it emits says how to write it."""
    stored = StoredAggregate(
        wallets.WALLET_AGGREGATE, {wallets.DEPOSITED: print, wallets.WITHDRAWN: print}
    )
    command = replace(wallets.DEPOSIT, emits=(wallets.DEPOSITED, wallets.WITHDRAWN))
    with pytest.raises(
        AggregateBreachError, match=r"may be the data of deposited and withdrawn: emit"
    ):
        StateCodec(stored).encode(command, [CHANGE])
    (event,) = StateCodec(stored).encode(command, [wallets.WITHDRAWN.with_data(CHANGE)])
    assert event == ("withdrawn", b'{"cents":1,"balance":1}', 1)
