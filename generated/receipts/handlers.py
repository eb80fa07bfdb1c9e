"""The handlers of receipts: one for each operation."""

import logging
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from typing_extensions import override
from weenats.context import RequestContext
from weenats.contract import Entity

from .errors import (
    EmptyReceiptError,
    InvalidReceiptStateError,
    ItemNotFoundError,
    ReceiptNotFoundError,
)
from .models import (
    AddItem,
    Customer,
    Finalize,
    InvalidReceiptStateDetails,
    ItemAdded,
    ItemNotFoundDetails,
    ItemRemoved,
    Receipt,
    ReceiptFinalized,
    ReceiptItem,
    ReceiptStatus,
    ReceiptVoided,
    RemoveItem,
    SummaryResult,
    VoidReceipt,
)
from .service import ReceiptsHandlers

_LOG = logging.getLogger(__name__)


class Receipts(ReceiptsHandlers):
    """Keeps receipts in memory, until the service stops."""

    def __init__(self) -> None:
        self._receipts: dict[str, Entity[Receipt]] = {}
        self._finalized_by: dict[str, str] = {}

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        """Put an item on the receipt; the first one opens it."""
        stored = self._receipts.get(key)
        items = stored.state.items if stored else []
        _check_status(stored.state.status if stored else "open", "open")
        item = ReceiptItem(name=command.name, price=command.price, quantity=command.quantity)
        entity = self._save(context, "open", [*items, item])
        event = ItemAdded(
            name=item.name,
            price=item.price,
            quantity=item.quantity,
            line_total=_total([item]),
        )
        await self.publish_item_added(key, event, revision=entity.revision)
        return entity.state

    @override
    async def remove_item(self, key: str, command: RemoveItem, context: RequestContext) -> Receipt:
        """Take an item off the receipt."""
        receipt = self._find(key).state
        _check_status(receipt.status, "open")
        item = next((item for item in receipt.items if item.name == command.name), None)
        if item is None:
            raise ItemNotFoundError(details=ItemNotFoundDetails(name=command.name))
        rest = [other for other in receipt.items if other is not item]
        entity = self._save(context, "open", rest)
        event = ItemRemoved(name=item.name, refund_amount=_total([item]))
        await self.publish_item_removed(key, event, revision=entity.revision)
        return entity.state

    @override
    async def finalize(self, key: str, command: Finalize, context: RequestContext) -> Receipt:
        """Close the receipt; its items and total stay as they are."""
        receipt = self._find(key).state
        # A client that did not get the reply sends the same message again, and gets the same reply.
        if self._finalized_by.get(key) == context.message_id:
            return receipt
        _check_status(receipt.status, "open")
        if not receipt.items:
            raise EmptyReceiptError
        # The event must be published, even if the caller cancels or its timeout elapses meanwhile.
        with context.shield_from_deadline(), self.telemetry.with_span("close receipt"):
            entity = self._save(context, "closed", receipt.items, command.customer)
            self._finalized_by[key] = context.message_id
            event = ReceiptFinalized(final_total=receipt.total, item_count=len(receipt.items))
            await self.publish_receipt_finalized(key, event, revision=entity.revision)
        return entity.state

    @override
    async def void_receipt(
        self, key: str, command: VoidReceipt, context: RequestContext
    ) -> Receipt:
        """Void the receipt, whether it is open or closed."""
        receipt = self._find(key).state
        _check_status(receipt.status, "open", "closed")
        caller = context.principal.id if context.principal else "an unknown caller"
        _LOG.info("%s voids a receipt of %s", caller, receipt.total)
        context.set_attribute("receipts.voided_total", str(receipt.total))  # of the request's span
        entity = self._save(context, "voided", receipt.items, receipt.customer)
        event = ReceiptVoided(reason=command.reason, voided_total=receipt.total)
        await self.publish_receipt_voided(key, event, revision=entity.revision)
        return entity.state

    @override
    async def get_receipt(self, key: str, context: RequestContext) -> Entity[Receipt]:
        """Show the receipt."""
        return self._find(key)

    @override
    async def summary(self, context: RequestContext) -> SummaryResult:
        """Count the receipts, and add up those that are closed."""
        receipts = [entity.state for entity in self._receipts.values()]
        count = Counter(receipt.status for receipt in receipts)
        closed = (
            item for receipt in receipts if receipt.status == "closed" for item in receipt.items
        )
        return SummaryResult(
            open=count["open"], closed=count["closed"], voided=count["voided"], total=_total(closed)
        )

    def _find(self, key: str) -> Entity[Receipt]:
        if key not in self._receipts:
            raise ReceiptNotFoundError
        return self._receipts[key]

    def _save(
        self,
        context: RequestContext,
        status: ReceiptStatus,
        items: list[ReceiptItem],
        customer: Customer | None = None,
    ) -> Entity[Receipt]:
        """Store the next revision of the receipt."""
        stored = self._receipts.get(context.key)
        receipt = Receipt(
            id=context.key, status=status, items=items, total=_total(items), customer=customer
        )
        entity = Entity[Receipt](
            id=context.aggregate_id,
            state=receipt,
            revision=stored.revision + 1 if stored else 1,
        )
        self._receipts[context.key] = entity
        return entity


def _check_status(status: ReceiptStatus, *allowed: ReceiptStatus) -> None:
    if status not in allowed:
        raise InvalidReceiptStateError(details=InvalidReceiptStateDetails(status=status))


def _total(items: Iterable[ReceiptItem]) -> float:
    """Add decimals, so that 0.1 and 0.2 are 0.3."""
    return float(sum(Decimal(str(item.price)) * item.quantity for item in items))
