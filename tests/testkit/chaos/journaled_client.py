"""A client that calls every operation, and records each call with its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from random import Random
from typing import Any, Final

from pydantic import MISSING

from receipts import AddItem, Finalize, ItemAdded, ReceiptsClient, RemoveItem, VoidReceipt
from testkit.chaos.journal import Journal
from testkit.chaos.model import GIVEN_UP, SUCCESS, WRONG_REPLY
from testkit.chaos.settings import ProcessSettings
from weenats import CallNext, ReceivedEvent, RequestContext, Response, ServiceError
from weenats.codec.operations import ReceivedResponse
from weenats.transport import Delivery

_CALLERS: Final = 8
_TURNS_A_KEY: Final = 20
_IDEMPOTENT: Final = frozenset({"finalize", "get"})
"""Operations that clients may retry."""
_TIMEOUTS: Final = (3.0, 3.0, 3.0, 1.0, 0.02)
_GIVEN_UP: Final = 0.05
_PATIENCE: Final = 0.01
_ANSWERED: Final = frozenset({SUCCESS, "NOT_FOUND remote", "FAILED_PRECONDITION remote"})
"""Outcomes of calls that reached a handler."""

Call = Callable[..., Awaitable[Any]]


class WrongReplyError(Exception):
    """A response is not that to the call."""


class JournaledClient:
    """Calls until `rest`.

    Args:
        settings: the process, and how often it calls.
        receipts: the client.
        journal: records calls and outcomes.
    """

    def __init__(
        self, settings: ProcessSettings, receipts: ReceiptsClient, journal: Journal
    ) -> None:
        self._settings = settings
        self._receipts = receipts.with_interceptor(_check_correlation)
        self._journal = journal
        self._chances = Random(settings.seed)
        self._numbers = count(1)
        self._turns = count()
        self._resting = False
        self._callers: list[asyncio.Task[None]] = []
        self._heard: set[str] = set()
        self._replies: set[str] = set()
        self._operations = self._all_operations()
        self._count_replies()

    def call(self) -> None:
        """Keep calling."""
        self._resting = False
        self._callers = [asyncio.create_task(self._keep_calling()) for _ in range(_CALLERS)]

    async def rest(self) -> None:
        """Stop calling, and wait until all calls have ended."""
        self._resting = True
        await asyncio.gather(*self._callers)
        self._callers.clear()

    async def listen(self) -> None:
        """Subscribe to the event; try again while there is no NATS server."""
        while True:
            try:
                await self._receipts.subscribe_item_added(self._hear)
            except ServiceError:
                await asyncio.sleep(0.2)
            else:
                self._journal.write("listens")
                return

    async def prove(self) -> dict[str, str]:
        """Return the outcomes of the operations that do not reach a handler, by operation."""
        outcomes = {name: await self.outcome(name, "proof") for name in self._operations}
        missing = {name: word for name, word in outcomes.items() if word not in _ANSWERED}
        if not missing:
            key = f"{self._settings.name}-{next(self._numbers)}"
            await self.outcome("add-item", key)
            await self._receipts.transport.fence()
            if key not in self._heard:
                missing["item-added"] = "not heard"
        return missing

    async def _hear(self, event: ReceivedEvent[ItemAdded]) -> None:
        self._heard = {event.key}
        self._journal.write("heard", call=event.correlation_id)

    def _count_replies(self) -> None:
        """Note replies to requests that have one: the client itself ignores them."""
        mux = self._receipts.transport._inbox.mux  # type: ignore[attr-defined]
        take = mux.on_delivery

        def on_delivery(delivery: Delivery) -> None:
            if b'"success"' in delivery.payload:
                if delivery.subject in self._replies:
                    self._journal.write("replied again")
                self._replies.add(delivery.subject)
            take(delivery)

        mux.on_delivery = on_delivery

    async def _keep_calling(self) -> None:
        while not self._resting:
            name = self._chances.choice(list(self._operations))
            key = f"r-{next(self._turns) // _TURNS_A_KEY}"
            if self._settings.eventful and self._chances.random() < _GIVEN_UP:
                await self.outcome(name, key, patience=self._chances.uniform(0, _PATIENCE))
            else:
                await self.outcome(name, key, timeout=self._chances.choice(_TIMEOUTS))
            await asyncio.sleep(self._chances.uniform(0, 2 * self._settings.pause))

    async def outcome(
        self, name: str, key: str, *, timeout: float = 3.0, patience: float | None = None
    ) -> str:
        """Make a call and return its outcome in the words of the model."""
        call = f"{self._settings.name}-{next(self._numbers)}"
        self._journal.write("called", call=call, idempotent=name in _IDEMPOTENT, timeout=timeout)
        try:
            async with asyncio.timeout(patience):
                await self._operations[name](key, correlation_id=call, timeout=timeout)
            outcome = SUCCESS
        except WrongReplyError:
            outcome = WRONG_REPLY
        except ServiceError as error:
            outcome = f"{error.code.value} {'remote' if error.remote else 'local'}"
        except TimeoutError:
            outcome = "TimeoutError" if patience is None else GIVEN_UP
        except Exception as error:  # noqa: BLE001 - the model objects to whatever else it is
            outcome = repr(error)
        self._journal.write("answered", call=call, outcome=outcome)
        return outcome

    def _all_operations(self) -> Mapping[str, Call]:
        receipts = self._receipts
        item, leave = AddItem(name="Tea", price=0.1, quantity=3), RemoveItem(name="Tea")
        reason = VoidReceipt(reason="a mistake")
        return {
            "add-item": lambda key, **options: receipts.add_item(key, item, **options),
            "remove-item": lambda key, **options: receipts.remove_item(key, leave, **options),
            "finalize": lambda key, **options: receipts.finalize(key, Finalize(), **options),
            "void-receipt": lambda key, **options: receipts.void_receipt(key, reason, **options),
            "get": receipts.get_receipt,
        }


async def _check_correlation(context: RequestContext, call_next: CallNext) -> Response:
    """Check that the response is that of the call.

    Raises:
        WrongReplyError: it is that of another one.
    """
    response = await call_next(context)
    assert isinstance(response, ReceivedResponse)
    metadata = response.metadata
    correlation = MISSING if metadata is None else metadata.correlation
    found = None if correlation is MISSING else correlation
    if found is None or found.correlation_id != context.correlation_id:
        raise WrongReplyError
    return response
