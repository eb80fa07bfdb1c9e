"""The golden contract `old-events`, with its upcaster, and events that older versions stored."""

from __future__ import annotations

import importlib
import json
import sys
from shutil import copytree
from tempfile import mkdtemp
from types import ModuleType
from typing import Any, Final

from testkit.paths import REPOSITORY
from weenats import NatsTransport
from weenats.aggregates.store import PARTITIONS, commit_stream
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import commits_of_key
from weenats.transport.jetstream import JetStream

GOLDEN: Final = REPOSITORY / "tests" / "codegen" / "golden" / "old-events"
_UPCASTERS: Final = '''\
"""Upcasters."""


def deposited_from_1(data):
    """Return version 2."""
    return {"amount": data["euros"] * 100, "note": "euros", "rate": 0.1}
'''


def package() -> ModuleType:
    """Return the generated package, whose upcaster is written."""
    folder = mkdtemp(prefix="weenats-accounts-")
    copytree(GOLDEN / "expected", folder, dirs_exist_ok=True)
    with open(f"{folder}/accounts/upcasters.py", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(_UPCASTERS)
    sys.path.append(folder)
    importlib.invalidate_caches()
    return importlib.import_module("accounts")


accounts: Final[Any] = package()
OLD_EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "deposited", "data": {"euros": 2}},
    {"type": "deposited", "dataVersion": 2, "data": {"amount": 30, "note": "cash"}},
    {"type": "deposited", "dataVersion": 3, "data": {"cents": 4, "currency": "EUR", "rate": 2}},
)
"""An event of each version, as they are stored."""
DATA: Final = (
    {"cents": 200, "currency": "EUR", "rate": 0.1},
    {"cents": 30, "currency": "EUR", "rate": 1.5},
    {"cents": 4, "currency": "EUR", "rate": 2},
)
"""What they are in the present version."""


class Accounts(accounts.AccountsHandlers):  # type: ignore[misc]
    """Adds up what was deposited."""

    def deposited(self, state: Any, event: Any) -> Any:
        """Add money."""
        balance = event.cents + (state.balance if state else 0)
        return accounts.Account(balance=balance, currency=event.currency)

    async def deposit(self, state: Any, command: Any, context: Any) -> Any:
        """Put money into the account."""
        return self.emit(accounts.Deposited(cents=command.cents, currency="EUR", rate=1))


class Recorder(accounts.AccountsConsumer):  # type: ignore[misc]
    """Records the data of events.

    Attributes:
        seen: key and data.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, Any]] = []

    async def deposited(self, event: Any) -> None:
        """Record a deposit."""
        self.seen.append((event.key, event.data))

    async def closing(self, event: Any) -> None:
        """Record a closing."""
        self.seen.append((None, event.data))


async def store_old_commits(transport: NatsTransport, key: str) -> None:
    """Store a commit of each version, as services of that time have stored it."""
    previous = 0
    subject = commits_of_key("accounts", partition_of(key, PARTITIONS), "account", key)
    for revision, event in enumerate(OLD_EVENTS, 1):
        message_id, timestamp = STAMPER.stamp()
        commit = {
            "aggregate": {"type": "account", "key": key},
            "command": "deposit",
            "revision": revision,
            "previous": previous,
            "version": f"{revision}.0.0",
            "events": [{"id": STAMPER.new_id(), **event}],
            "fingerprint": "00",
            "timestamp": timestamp,
            "metadata": {"messageId": message_id, "timestamp": timestamp},
        }
        ack = await JetStream(transport).publish(
            subject, json.dumps(commit).encode(), stream=commit_stream("accounts")
        )
        previous = ack.sequence
