"""The sample service without streams, for tests whose servers lack JetStream or fail."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from receipts import CONTRACT, ITEM_ADDED, ITEM_REMOVED, RECEIPT_FINALIZED, RECEIPT_VOIDED
from receipts.handlers import Receipts
from weenats.contract import Event
from weenats.events import publish

_CONTRACT: Final = replace(CONTRACT, streams=())


def _publisher(event: Event[Any]) -> Callable[..., Coroutine[Any, Any, None]]:
    core = replace(event, contract=_CONTRACT, stream=None)

    async def publishing(self: Receipts, key: str, data: Any, **options: Any) -> None:
        await publish(self.transport, core, key, data, self.telemetry, **options)

    return publishing


class CoreReceipts(Receipts):
    """Handlers whose events are delivered at most once."""

    contract = _CONTRACT
    publish_item_added = _publisher(ITEM_ADDED)
    publish_item_removed = _publisher(ITEM_REMOVED)
    publish_receipt_finalized = _publisher(RECEIPT_FINALIZED)
    publish_receipt_voided = _publisher(RECEIPT_VOIDED)
