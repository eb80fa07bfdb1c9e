"""The sample service, which notes whom it worked for."""

from __future__ import annotations

from collections import Counter

from typing_extensions import override

from receipts import AddItem, Receipt
from receipts.handlers import Receipts
from weenats.context import RequestContext

TEA = AddItem(name="Tea", price=0.1, quantity=3)


class CountingReceipts(Receipts):
    """Counts how often it put an item on each receipt, and for whom.

    Args:
        executed: where to count receipts; several instances may share it.
    """

    def __init__(self, executed: Counter[str] | None = None) -> None:
        super().__init__()
        self.executed = Counter[str]() if executed is None else executed
        self.callers = Counter[str]()

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        """Count, and put the item on the receipt."""
        self.executed[key] += 1
        self.callers["" if context.principal is None else context.principal.id] += 1
        return await super().add_item(key, command, context)
