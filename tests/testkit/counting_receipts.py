"""The sample service, which counts its callers."""

from __future__ import annotations

from collections import Counter

from typing_extensions import override

from receipts import AddItem, Receipt
from testkit.core_receipts import CoreReceipts
from weenats.context import RequestContext

TEA = AddItem(name="Tea", price=0.1, quantity=3)


class CountingReceipts(CoreReceipts):
    """Handlers that count how often they added an item to each receipt, and for which caller.

    Args:
        executed: counts executions by receipt; several instances may share it.
    """

    def __init__(self, executed: Counter[str] | None = None) -> None:
        super().__init__()
        self.executed = Counter[str]() if executed is None else executed
        self.callers = Counter[str]()

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        """Count the call and add the item."""
        self.executed[key] += 1
        self.callers["" if context.principal is None else context.principal.id] += 1
        return await super().add_item(key, command, context)
