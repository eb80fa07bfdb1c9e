"""The projection of loyalty: the receipts by their status, from the events of receipts."""

from typing_extensions import override
from weenats.events import ReceivedEvent
from weenats.projections import KeyValueView, Projection

from receipts import ItemAdded, ItemRemoved, ReceiptFinalized, ReceiptsConsumer, ReceiptVoided


class ReceiptsByStatus(ReceiptsConsumer):
    """Keeps the revision of each receipt under its status and its key."""

    def __init__(self, view: KeyValueView[int]) -> None:
        self._view = view

    @override
    async def item_added(self, event: ReceivedEvent[ItemAdded]) -> None:
        """Note an open receipt."""
        await self._view.put(("open", event.key), event.revision or 0)

    @override
    async def item_removed(self, event: ReceivedEvent[ItemRemoved]) -> None:
        """Note an open receipt."""
        await self._view.put(("open", event.key), event.revision or 0)

    @override
    async def receipt_finalized(self, event: ReceivedEvent[ReceiptFinalized]) -> None:
        """Move a receipt to the closed ones."""
        await self._view.delete(("open", event.key))
        await self._view.put(("closed", event.key), event.revision or 0)

    @override
    async def receipt_voided(self, event: ReceivedEvent[ReceiptVoided]) -> None:
        """Move a receipt to the voided ones, whether it was open or closed."""
        await self._view.delete(("open", event.key))
        await self._view.delete(("closed", event.key))
        await self._view.put(("voided", event.key), event.revision or 0)


BY_STATUS = Projection("receipts-by-status", KeyValueView.of(int), ReceiptsByStatus)
