"""The sample service, which records what it does, is slow and sometimes fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from typing_extensions import override

from receipts import ITEM_ADDED
from testkit.chaos.journal import Journal
from testkit.chaos.model import SUCCESS
from testkit.core_receipts import CoreReceipts
from weenats import Command, Endpoint, RequestContext, UnavailableError
from weenats.client.retry import ATTEMPT_MEMBER
from weenats.contract import AnyOperation

_MAX_RECEIPTS: Final = 100
_MAX_ITEMS: Final = 10
_SLOWEST: Final = 0.01
_STUMBLES: Final = 0.03
_DAWDLES: Final = 0.003
_DAWDLING: Final = 10.0
Handle = Callable[[RequestContext], Awaitable[object]]


class JournaledReceipts(CoreReceipts):
    """Handlers with a bounded number of receipts: older ones stay, newer ones are forgotten.

    Args:
        journal: records the requests of its handlers, and how they ended.
        chances: decides how long each request takes, and whether it fails as UNAVAILABLE; None:
            each request is fast and succeeds.
    """

    def __init__(self, journal: Journal, chances: Random | None) -> None:
        super().__init__()
        self._journal = journal
        self._chances = chances

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all operations with handlers that record their requests."""
        return tuple(
            Endpoint(each.operation, self._noting(each.operation, each.handler))
            for each in super().endpoints()
        )

    def _noting(self, operation: AnyOperation, handle: Handle) -> Handle:
        emits = isinstance(operation, Command) and ITEM_ADDED in operation.emits

        async def noted(context: RequestContext) -> object:
            dawdles = self._chances is not None and self._chances.random() < _DAWDLES
            run = {
                "message": context.message_id,
                "attempt": context.metadata_context.get(ATTEMPT_MEMBER, 1),
            }
            about = {"call": context.correlation_id, "emits": emits, "dawdles": dawdles}
            self._journal.write("began", **about, **run)
            try:
                if dawdles:
                    await asyncio.sleep(_DAWDLING)
                result = await self._work(handle, context)
            except BaseException as error:
                self._journal.write("ended", how=type(error).__name__, **run)
                raise
            self._journal.write("ended", how=SUCCESS, **run)
            return result

        return noted

    async def _work(self, handle: Handle, context: RequestContext) -> object:
        self._forget(context.key)
        if self._chances is not None:
            await asyncio.sleep(self._chances.uniform(0, _SLOWEST))
            if self._chances.random() < _STUMBLES:
                raise UnavailableError("stumbled")
        return await handle(context)

    def _forget(self, key: str) -> None:
        receipt = self._receipts.get(key)
        if receipt is not None and len(receipt.state.items) >= _MAX_ITEMS:
            del self._receipts[key]
        elif receipt is None and len(self._receipts) >= _MAX_RECEIPTS:
            self._receipts.popitem()
