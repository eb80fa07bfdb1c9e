"""Contract tests and mocks of services that keep aggregates in streams."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

import pytest

from testkit.paths import GOLDEN
from testkit.waiting import until
from testkit.wallets import Wallets, client, wallets
from weenats import FailedPreconditionError, NatsServiceBuilder
from weenats.testing import Example, MemoryTransport, NatsServerError, check_example
from weenats.transport.jetstream import JetStreamRefusedError
from weenats_codegen.mock import Mock

DEPOSIT = Example(wallets.DEPOSIT, key="w-1", payload={"cents": 5})


def test_example_runs_on_a_server() -> None:
    """An example of a command passes, with its events and its state."""
    check_example(Wallets(), DEPOSIT)
    check_example(Wallets(), Example(wallets.WITHDRAW, key="w-1", payload={"cents": 5}))


def test_example_finds_an_error_that_is_not_declared() -> None:
    """A handler that raises another error fails the test."""
    handlers = Wallets()

    def refuse() -> Any:
        raise FailedPreconditionError("no money today")

    handlers.decision = refuse
    with pytest.raises(AssertionError, match="no money today"):
        check_example(handlers, DEPOSIT)


def test_example_without_a_server_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a nats-server the test is skipped, with the reason."""

    def missing() -> None:
        raise NatsServerError("no nats-server found")

    monkeypatch.setattr("weenats.testing.examples.NatsServer", missing)
    with pytest.raises(unittest.SkipTest, match="no nats-server found"):
        check_example(Wallets(), DEPOSIT)


def test_service_needs_jetstream() -> None:
    """On a connection without JetStream the service does not start."""
    builder = NatsServiceBuilder(Wallets(), transport=MemoryTransport())
    with pytest.raises(JetStreamRefusedError, match=r"use weenats\.testing\.NatsServer"):
        asyncio.run(builder.build().start())


async def test_mock_answers_and_publishes(nats_url: str) -> None:
    """A mock keeps nothing, and publishes the events of commands."""
    events: list[Any] = []

    async def note(event: Any) -> None:
        events.append(event)

    mock = Mock(GOLDEN / "event-sourced" / "contract")
    async with mock.serve(nats_url), client(nats_url) as caller:
        await caller.subscribe_withdrawn(note)
        assert (await caller.withdraw("w-1", wallets.Amount(cents=1))).balance >= 0
        assert (await caller.get_wallet("w-1")).id.key == "w-1"
        await until(lambda: events)
    assert [call.operation for call in mock.calls] == ["withdraw", "wallet.get"]
