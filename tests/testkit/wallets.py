"""Handlers of the golden contract `event-sourced`, whose aggregate is kept in a stream."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from weenats import NatsServiceBuilder
from weenats.protocol.identifiers import STAMPER

EXPECTED: Final = Path(__file__).parents[1] / "codegen" / "golden" / "event-sourced" / "expected"
OnDecide = Callable[[str], Any]
"""Called with the name of the command before each decision; what it returns is awaited."""


def package() -> ModuleType:
    """Return the generated package."""
    if str(EXPECTED) not in sys.path:
        sys.path.append(str(EXPECTED))
        importlib.invalidate_caches()
    return importlib.import_module("wallets")


wallets: Final[Any] = package()


class Wallets(wallets.WalletsHandlers):  # type: ignore[misc]
    """Wallets that tests look into."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.on_decide: OnDecide | None = None
        self.decision: Callable[[], Any] | None = None
        self.fold: Callable[[Any], Any] | None = None

    def deposited(self, state: Any, event: Any) -> Any:
        """Add money."""
        if self.fold is not None:
            return self.fold(state)
        return wallets.Wallet(balance=event.balance, changes=state.changes + 1 if state else 1)

    def withdrawn(self, state: Any, event: Any) -> Any:
        """Take money."""
        return wallets.Wallet(balance=event.balance, changes=state.changes + 1)

    def closed(self, state: Any, event: Any) -> Any:
        """Close it."""
        del event
        return wallets.Wallet(balance=state.balance, changes=state.changes + 1, closed=True)

    async def deposit(self, state: Any, command: Any, context: Any) -> Any:
        """Add money."""
        await self._note(context)
        if self.decision is not None:
            return self.decision()
        balance = command.cents + (state.state.balance if state else 0)
        change = wallets.Change(cents=command.cents, balance=balance)
        return self.emit(wallets.DEPOSITED.with_data(change)).reply_state()

    async def withdraw(self, state: Any, command: Any, context: Any) -> Any:
        """Take money."""
        await self._note(context)
        if state is None:
            raise wallets.WalletNotFoundError
        balance = state.state.balance - command.cents
        if balance < 0:
            raise wallets.NotEnoughMoneyError
        change = wallets.Change(cents=command.cents, balance=balance)
        state.state.balance = -1  # what handlers do to their copy changes nothing
        wallet = wallets.Wallet(balance=balance, changes=state.state.changes + 1)
        return self.emit(wallets.WITHDRAWN.with_data(change)).reply(wallet)

    async def empty(self, state: Any, command: Any, context: Any) -> Any:
        """Take all money, and close the wallet."""
        del command
        await self._note(context)
        if state is None:
            raise wallets.WalletNotFoundError
        if state.state.closed:
            return self.reply(None)
        change = wallets.Change(cents=max(state.state.balance, 1), balance=0)
        return self.emit(wallets.WITHDRAWN.with_data(change), wallets.Closed())

    async def can_pay(self, state: Any, query: Any, context: Any) -> Any:
        """Compare the balance with a price."""
        del context
        return state is not None and state.state.balance >= query.cents

    def decided(self, state: Any, event: Any) -> Any:
        """Note the decision."""
        del state
        return wallets.Decision(approved=event)

    async def decide(self, state: Any, command: Any, context: Any) -> Any:
        """Decide once."""
        await self._note(context)
        if state is not None:
            return self.reply(state.state)
        return self.emit(command.approved).reply_state()

    async def is_approved(self, state: Any, context: Any) -> Any:
        """Return whether it is approved."""
        del context
        return state is not None and state.state.approved

    async def _note(self, context: Any) -> None:
        self.decisions.append(context.operation.name)
        if self.on_decide is not None:
            await self.on_decide(context.operation.name)


def builder(url: str | list[str], handlers: Wallets | None = None) -> NatsServiceBuilder:
    """Return the builder of an instance."""
    return NatsServiceBuilder(handlers or Wallets(), url).with_streams("apply")


def client(url: str | list[str]) -> Any:
    """Return a client."""
    return wallets.WalletsClient.connect(url)


def commit(key: str, **changes: Any) -> bytes:
    """Return a commit of one deposit."""
    message_id = STAMPER.new_id()
    stamp = "2026-03-01T09:30:00.131Z"
    data = {"cents": 5, "balance": 5}
    document = {
        "aggregate": {"type": "wallet", "key": key},
        "command": "deposit",
        "revision": 1,
        "previous": 0,
        "version": "1.0.0",
        "events": [{"id": STAMPER.new_id(), "type": "deposited", "data": data}],
        "fingerprint": "0",
        "timestamp": stamp,
        "metadata": {"messageId": message_id, "timestamp": stamp},
    }
    return json.dumps({**document, **changes}).encode()
