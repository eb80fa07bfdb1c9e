"""A service and a client of receipts as users of a server, and all that a client can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from receipts import AddItem, Finalize, Receipt, ReceiptsClient, RemoveItem, VoidReceipt
from receipts.handlers import Receipts
from testkit.nats_users import as_user
from testkit.waiting import settle
from weenats import Entity, NatsService, NatsServiceBuilder, RequestContext, ServiceError
from weenats.testing import NatsServer

COFFEE: Final = AddItem(name="Coffee", price=4.5, quantity=2)
GONE: Final = RemoveItem(name="Coffee")
VOID: Final = VoidReceipt(reason="-")
COMMANDS: Final = "receipts.command.receipt."
INSTANCES: Final = "receipts.instance.*."
EVENTS: Final = "receipts.events.receipt."


class BlockingReceipts(Receipts):
    """Handlers whose query for `held` blocks until its caller gives up or `opened` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get_receipt(self, key: str, context: RequestContext) -> Entity[Receipt]:
        """Block when the key is `held`."""
        if key == "held":
            self.entered.set()
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return await super().get_receipt("r", context)


class Scenario:
    """A service and a client as users of a server, and a client that may do everything."""

    def __init__(
        self,
        handlers: BlockingReceipts,
        service: NatsService,
        client: ReceiptsClient,
        free: ReceiptsClient,
    ) -> None:
        self.handlers = handlers
        self.service = service
        self.client = client
        self.free = free

    def steps(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return all actions of a client, by the subject that each of them needs."""
        client, free = self.client, self.free
        instance = self.service.instance_id

        def calls(call: Callable[..., Awaitable[object]], *arguments: Any) -> Any:
            async def step() -> None:
                assert await call(*arguments)

            return step

        def happens(subscribe: Any, call: Callable[..., Awaitable[object]], *arguments: Any) -> Any:
            async def step() -> None:
                seen: list[object] = []

                async def note(event: object) -> None:
                    seen.append(event)

                async with await subscribe(note):
                    await call(*arguments)
                assert len(seen) == 1

            return step

        return {
            f"{COMMANDS}add-item": calls(client.add_item, "r", COFFEE),
            f"{COMMANDS}remove-item": calls(client.remove_item, "r-remove", GONE),
            f"{COMMANDS}finalize": calls(client.finalize, "r-finalize", Finalize()),
            f"{COMMANDS}void-receipt": calls(client.void_receipt, "r-void", VOID),
            "receipts.query.receipt.get": calls(client.get_receipt, "r"),
            "receipts.query.summary": calls(client.summary),
            f"{INSTANCES}command.receipt.finalize": calls(
                client.on_instance(instance).finalize, "r-instance", Finalize()
            ),
            f"{INSTANCES}query.receipt.get": calls(client.on_instance(instance).get_receipt, "r"),
            "receipts.instance.*.query.summary": calls(client.on_instance(instance).summary),
            "receipts.cancel": self.give_up,
            "receipts.health": calls(client.check_health),
            "receipts.contract": calls(client.get_contract_document),
            "receipts.instance.*.contract": calls(client.get_contract_document, instance),
            "$SRV.PING.receipts": calls(client.list_instances),
            "$SRV.INFO.receipts": calls(client.get_service_info),
            "$SRV.INFO.receipts.*": calls(client.get_service_info, instance),
            "$SRV.STATS.receipts": calls(client.get_service_stats),
            "$SRV.STATS.receipts.*": calls(client.get_service_stats, instance),
            f"{EVENTS}item-added": happens(client.subscribe_item_added, free.add_item, "e", COFFEE),
            f"{EVENTS}item-removed": happens(
                client.subscribe_item_removed,
                free.remove_item,
                "e-remove",
                GONE,
            ),
            f"{EVENTS}receipt-finalized": happens(
                client.subscribe_receipt_finalized, free.finalize, "e-finalize", Finalize()
            ),
            f"{EVENTS}receipt-voided": happens(
                client.subscribe_receipt_voided,
                free.void_receipt,
                "e-void",
                VOID,
            ),
        }

    async def run(self) -> dict[str, Exception]:
        """Run all actions; return the errors by subject."""
        for key in (
            "r",
            *(f"{a}-{b}" for a in "re" for b in ("remove", "finalize", "void", "instance")),
        ):
            await self.free.add_item(key, COFFEE)
        failed: dict[str, Exception] = {}
        for subject, step in self.steps().items():
            try:
                await step()
            except (ServiceError, AssertionError) as error:
                failed[subject] = error
        return failed

    async def give_up(self) -> None:
        """Cancel a call, and check that its handler ends."""
        self.handlers.entered.clear()
        calling = asyncio.create_task(self.client.get_receipt("held", timeout=60))
        entered = asyncio.create_task(self.handlers.entered.wait())
        await asyncio.wait([calling, entered], return_when=asyncio.FIRST_COMPLETED)
        if calling.done():  # it may not even call: that is another step's business
            entered.cancel()
            await self.free.check_health()
            return
        calling.cancel()
        await asyncio.wait([calling])
        await self.client.transport.fence()
        # What the client sent has been routed: the answer to this comes behind it.
        await self.free.check_health()
        await settle()
        assert self.handlers.cancelled.is_set()


@asynccontextmanager
async def scenario(
    server: NatsServer, service: str = "service", client: str = "client"
) -> AsyncIterator[Scenario]:
    """Run a service as one user and a client as another."""
    handlers = BlockingReceipts()
    builder = NatsServiceBuilder(handlers, server.url, connection=as_user(service))
    running = builder.with_monitoring(0.05).with_health().build()
    async with (
        running,
        ReceiptsClient.connect(server.url, connection=as_user(client)) as connected,
        ReceiptsClient.connect(server.url, connection=as_user("free"), verify="off") as free,
    ):
        try:
            yield Scenario(handlers, running, connected, free)
        finally:
            handlers.opened.set()


def refused_subjects(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the subjects that the server refused to the service or the client."""
    messages = [each.getMessage() for each in caplog.records if each.name == "weenats.transport"]
    refused = [each.rpartition(": ")[2] for each in messages if "NATS refused" in each]
    return [each.partition(" (and ")[0] for each in refused]
