"""Clients that call all the time, and the outcomes of their calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from time import monotonic
from typing import Final

from typing_extensions import override

from receipts import AddItem, Receipt, ReceiptsClient
from receipts.operations import ADD_ITEM
from testkit.core_receipts import CoreReceipts
from testkit.waiting import eventually
from weenats import DeadlineExceededError, RequestContext, UnavailableError

IDEMPOTENT: Final = replace(ADD_ITEM, idempotent=True)
"""The same command, declared idempotent, so that clients may retry it."""

OK: Final = "ok"
TIMEOUT: Final = 2.0
WORK: Final = 0.01
PAUSE: Final = 0.01
WORKERS: Final = 4
COFFEE: Final = AddItem(name="Coffee", price=4.5, quantity=2)


class SlowReceipts(CoreReceipts):
    """Handlers that take a while, and count executions by the key of the receipt."""

    def __init__(self, executions: Counter[str]) -> None:
        super().__init__()
        self.executions = executions

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        self.executions[key] += 1
        await asyncio.sleep(WORK)
        return await super().add_item(key, command, context)


@dataclass(frozen=True)
class Call:
    """A call that has ended; each has a key of its own."""

    key: str
    client: int
    retried: bool
    ended: float
    outcome: str


class Load:
    """Clients that add items all the time; every other call may be retried.

    A call succeeds or fails with an error that a lost server may cause; any other ends the load.
    """

    def __init__(self, clients: Iterable[ReceiptsClient]) -> None:
        self.clients = tuple(clients)
        self.calls: list[Call] = []
        self.begun = 0
        self.started = self.ended = monotonic()
        self._is_over = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Call until the block ends; afterwards no call is in progress."""
        self.started = monotonic()
        async with asyncio.TaskGroup() as group:
            for number, client in enumerate(self.clients):
                retrying = client.with_retry()
                for _ in range(WORKERS):
                    group.create_task(self._work(number, client, retried=False))
                    group.create_task(self._work(number, retrying, retried=True))
            yield
            self._is_over = True
        self.ended = monotonic()

    async def flows(self) -> None:
        """Wait until each client has had ten more successful calls of either kind."""
        since = len(self.calls)

        def well() -> bool:
            answers = Counter(
                (call.client, call.retried) for call in self.calls[since:] if call.outcome == OK
            )
            return len(answers) == 2 * len(self.clients) and min(answers.values()) >= 10

        await eventually(well)

    async def _work(self, number: int, client: ReceiptsClient, *, retried: bool) -> None:
        while not self._is_over:
            self.begun += 1
            key = f"r-{self.begun}"
            outcome = OK
            try:
                await client.execute(
                    IDEMPOTENT if retried else ADD_ITEM, key, COFFEE, timeout=TIMEOUT
                )
            except (UnavailableError, DeadlineExceededError) as error:
                outcome = type(error).__name__
            self.calls.append(Call(key, number, retried, monotonic(), outcome))
            await asyncio.sleep(PAUSE)


@dataclass(frozen=True)
class Tally:
    """The outcomes of calls of one kind."""

    calls: int
    failed: Counter[str]
    executed_twice: int


def tally(load: Load, executions: Counter[str], *, retried: bool) -> Tally:
    """Count the calls that may be retried, or the others."""
    calls = [call for call in load.calls if call.retried is retried]
    return Tally(
        len(calls),
        Counter(call.outcome for call in calls if call.outcome != OK),
        sum(executions[call.key] > 1 for call in calls),
    )


def longest_gap(load: Load) -> float:
    """Return the longest time without a successful call of some client, in seconds."""

    def gap(client: int) -> float:
        answers = [
            call.ended for call in load.calls if call.client == client and call.outcome == OK
        ]
        return max(
            after - before for before, after in pairwise([load.started, *answers, load.ended])
        )

    return max(gap(client) for client in range(len(load.clients)))
