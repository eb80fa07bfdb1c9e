"""Handlers that misuse the API: the caller gets an error at once, and the log says why."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.wallets import Wallets, builder, client, wallets
from weenats import (
    AbortedError,
    FailedPreconditionError,
    InternalError,
    NatsServiceBuilder,
    NotFoundError,
    RequestContext,
)
from weenats.context import CURRENT
from weenats.testing import NatsServer
from weenats.transport.jetstream import WrongSequenceError

Amount = wallets.Amount


def not_found(state: Any) -> Any:
    """Refuse what has happened."""
    del state
    raise NotFoundError


async def test_method_of_an_event_that_raises_an_error_of_calls(
    nats_url: str, handlers: Wallets, caller: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a bug of the service, for commands and where the state is read: never NOT_FOUND."""
    handlers.fold = not_found
    with pytest.raises(InternalError):
        await caller.deposit(key, Amount(cents=1))
    handlers.fold = None
    await caller.deposit(key, Amount(cents=1))
    reading = Wallets()
    reading.fold = not_found
    async with builder(nats_url, reading).with_queue_group("readers").build() as reader:
        with pytest.raises(InternalError):
            await caller.on_instance(reader.instance_id).get_wallet(key)
    assert "the method of wallet for deposited raised NotFoundError" in caplog.text
    assert "cannot read or store" not in caplog.text


async def test_decision_that_breaks_the_contract_and_circuit_breaker(
    own_nats_server: NatsServer, handlers: Wallets
) -> None:
    """An event or a state with a value that a caller sent opens the breaker for nobody."""
    url = own_nats_server.url
    service = builder(url, handlers).with_circuit_breaker(1).build()
    async with service, client(url) as caller:
        change, wallet = wallets.Change, wallets.Wallet
        for decision, fold in (
            (change.model_construct(cents=-1, balance=0), None),
            (change(cents=1, balance=1), lambda _: wallet.model_construct(balance=-1, changes=1)),
        ):
            handlers.decision = partial(handlers.emit, wallets.DEPOSITED.with_data(decision))
            handlers.fold = fold
            with pytest.raises(InternalError):
                await caller.deposit("w-1", Amount(cents=1))
        handlers.decision = handlers.fold = None
        assert (await caller.deposit("w-2", Amount(cents=1))).balance == 1


@pytest.mark.parametrize("method", [Wallets.deposit, "deposited"])
def test_method_of_an_event_that_is_no_plain_function(
    method: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An async method is refused when the service is built: nobody would await it."""
    monkeypatch.setattr(Wallets, "deposited", method)
    builder = NatsServiceBuilder(Wallets())
    with pytest.raises(TypeError, match="the method of wallet for deposited must be a plain"):
        builder.build()


async def test_handler_with_a_stream_of_its_own(handlers: Wallets, caller: Any, key: str) -> None:
    """A conflict in a stream that the handler uses itself is not one of the aggregate."""

    async def conflict(_: str) -> None:
        raise WrongSequenceError

    handlers.on_decide = conflict
    with pytest.raises(AbortedError):
        await caller.deposit(key, Amount(cents=1))
    assert handlers.decisions == ["deposit"]


async def test_handler_that_calls_a_command_of_its_key(
    handlers: Wallets, caller: Any, key: str
) -> None:
    """It fails at once, since the inner command would wait for the outer one until its deadline."""

    async def deposit_more(_: str) -> None:
        if len(handlers.decisions) == 1:
            await caller.deposit(key, Amount(cents=1), timeout=60)

    handlers.on_decide = deposit_more
    with pytest.raises(FailedPreconditionError, match="emit its events instead"):
        await caller.deposit(key, Amount(cents=1), timeout=60)
    assert handlers.decisions == ["deposit"]
    assert (await caller.deposit(key, Amount(cents=1))).balance == 1


async def test_handler_that_calls_a_command_of_its_key_on_another_instance(
    nats_url: str, handlers: Wallets, caller: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The second conflict that the handler causes itself ends the command, not the thirtieth."""
    others = Wallets()
    async with builder(nats_url, others).with_queue_group("others").build() as other:
        executor = other._assembly.aggregates.executors["wallet"]
        await other._assembly.membership.close(1)  # it gets no requests

        async def deposit_more(_: str) -> None:
            outer = CURRENT.get()
            assert isinstance(outer, RequestContext)
            context = make_context(
                side="server",
                operation=wallets.DEPOSIT,
                key=key,
                payload=Amount(cents=1),
                causation_id=outer.message_id,
            )
            await executor.execute(context, others.deposit)

        handlers.on_decide = deposit_more
        with pytest.raises(InternalError):
            await caller.deposit(key, Amount(cents=1))
    assert handlers.decisions == ["deposit"] * 2
    assert "deposit calls a command of the same wallet: emit its events instead" in caplog.text
    async with client(nats_url) as reader:
        assert (await reader.get_wallet(key)).state.balance == 2
