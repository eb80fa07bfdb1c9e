"""An instance of the service, a projection and a caller, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, Final, NamedTuple, TextIO

from testkit.durability.commands import REFUSED, REPLIED, UNKNOWN, Attempt, Call, Seen, Wallet
from testkit.durability.processes import CONNECTION, log_to, parent_ended, stop_order
from testkit.waiting import answered
from testkit.wallets import Wallets, wallets
from weenats import (
    NatsServiceBuilder,
    NatsTransport,
    ReceivedEvent,
    ServiceError,
    new_message_id,
)
from weenats.aggregates import relay
from weenats.projections import KeyValueView, Projection

_WITHDRAWALS: Final = 0.2
_TWICE_AT_ONCE: Final = 0.05
_AGAIN: Final = 0.1
_POPULAR: Final = 0.1
_MAX_CENTS: Final = 4
_PATIENCE: Final = 90.0
"""Seconds for which a caller repeats a command; the stream knows its id for 120 seconds."""
_AGAIN_AFTER: Final = 0.5
"""Seconds until a caller asks once more for the reply of a command, at most."""
_REFUSALS: Final = {"FAILED_PRECONDITION", "NOT_FOUND"}


class Terms(NamedTuple):
    """What the processes of a run have in common.

    Attributes:
        urls: the servers.
        folder: where journals and logs are.
        keys: how many wallets there are.
        seed: of the callers' choices.
        workers: how many commands a caller has in flight.
        timeout: seconds that a caller waits for the reply to one request.
        replicas: how many servers keep the streams.
        ack_wait: seconds until the events that a killed instance was sending are sent again.
    """

    urls: list[str]
    folder: Path
    keys: int
    seed: int
    workers: int = 8
    timeout: float = 5.0
    replicas: int = 1
    ack_wait: float = 10.0


class RunWallets(Wallets):
    """Wallets, which have several events for one command."""

    async def deposit(self, state: Any, command: Any, context: Any) -> Any:
        """Add money, an even amount in two events."""
        del context
        before = state.state.balance if state else 0
        count = 1 + (command.cents % 2 == 0)
        cents = command.cents // count
        changes = [
            wallets.Change(cents=cents, balance=before + cents * number)
            for number in range(1, count + 1)
        ]
        events = [wallets.DEPOSITED.with_data(each) for each in changes]
        return self.emit(*events).reply_state()


def serve(pipe: Connection, life: str, terms: Terms) -> None:
    """Run an instance until it is killed."""
    log_to(terms.folder, life)
    vars(relay)["_ACK_WAIT"] = terms.ack_wait

    async def run() -> None:
        while True:
            builder = NatsServiceBuilder(RunWallets(), terms.urls, connection=CONNECTION)
            service = builder.with_aggregates(snapshot_every=20).build()
            try:
                await service.start()
            except ServiceError:  # while there is no leader
                await asyncio.sleep(0.2)
            else:
                break
        pipe.send("serves")
        await parent_ended(pipe)

    asyncio.run(run())


class Noting(wallets.WalletsConsumer):  # type: ignore[misc]
    """A projection that notes which durable events of each key it was given."""

    def __init__(self, view: KeyValueView[Seen]) -> None:
        self._view = view

    async def deposited(self, event: ReceivedEvent[Any]) -> None:
        """Note an event."""
        events, last, late = await self._view.get(event.key) or Seen(0, 0, 0)
        revision = event.revision or 0
        late += revision <= last
        await self._view.put(event.key, Seen(events + 1, max(revision, last), late))


SEEN: Final = Projection("seen", KeyValueView.of(Seen), Noting)


def project(pipe: Connection, life: str, terms: Terms) -> None:
    """Keep the view of the projection up to date until the process is killed."""
    log_to(terms.folder, life)

    async def run() -> None:
        transport = NatsTransport(terms.urls, CONNECTION)
        await answered(transport.connect)
        async with SEEN.run(transport):
            pipe.send("runs")
            await parent_ended(pipe)
        await transport.close()

    asyncio.run(run())


def call(pipe: Connection, life: str, number: int, terms: Terms) -> None:
    """Send commands until the run sends something; then send what came of them."""
    log_to(terms.folder, life)

    async def run() -> None:
        client = wallets.WalletsClient.connect(terms.urls, connection=CONNECTION)
        async with client as caller:
            with (terms.folder / f"{life}.journal").open("w") as journal:
                commands = Caller(caller, Random(terms.seed * 100 + number), terms, journal)
                workers = [asyncio.create_task(commands.work()) for _ in range(terms.workers)]
                await stop_order(pipe, lambda: commands.answered)
                commands.is_over = True
                await asyncio.gather(*workers)
        pipe.send((commands.answered, dict(commands.outcomes)))

    asyncio.run(run())


class Caller:
    """Sends commands, each until there is a reply, and writes what came of them."""

    def __init__(self, client: Any, random: Random, terms: Terms, journal: TextIO) -> None:
        self.is_over = False
        self.answered = 0
        self.outcomes: Counter[str] = Counter()
        self._client = client
        self._random = random
        self._terms = terms
        self._journal = journal

    async def work(self) -> None:
        """Send one command after the other."""
        while not self.is_over:
            call = await self._call()
            attempts = [(each.outcome, each.value, each.began) for each in call.attempts]
            self._journal.write(json.dumps([*call[:-1], attempts]) + "\n")

    async def _call(self) -> Call:
        random = self._random
        is_popular = random.random() < _POPULAR
        key = f"w-{random.randrange(min(5, self._terms.keys) if is_popular else self._terms.keys)}"
        command = "withdraw" if random.random() < _WITHDRAWALS else "deposit"
        cents, message_id = random.randint(1, _MAX_CENTS), new_message_id()
        attempts: list[Attempt] = []
        began = monotonic()
        replied: list[float] = []

        async def ask() -> None:
            end = monotonic() + _PATIENCE
            while monotonic() < end:
                attempt = await self._attempt(key, command, cents, message_id)
                attempts.append(attempt)
                self.outcomes[attempt.outcome] += 1
                if attempt.outcome == REPLIED:
                    replied.append(monotonic())
                if attempt.outcome != UNKNOWN:
                    return
                self.outcomes[str(attempt.value)] += 1
                await asyncio.sleep(random.random() * 0.1)

        await asyncio.gather(*(ask() for _ in range(1 + (random.random() < _TWICE_AT_ONCE))))
        self.answered += 1
        if random.random() < _AGAIN:
            await asyncio.sleep(random.random() * _AGAIN_AFTER)
            await ask()
        ended = min(replied, default=monotonic())
        return Call(message_id, key, command, cents, began, ended, tuple(attempts))

    async def _attempt(self, key: str, command: str, cents: int, message_id: str) -> Attempt:
        began = monotonic()
        method = getattr(self._client, command)
        try:
            wallet = await method(
                key,
                wallets.Amount(cents=cents),
                message_id=message_id,
                timeout=self._terms.timeout,
            )
        except ServiceError as error:
            code = error.code.value
            return Attempt(REFUSED if code in _REFUSALS else UNKNOWN, code, began)
        return Attempt(REPLIED, Wallet(wallet.balance, wallet.changes), began)
