"""Contender "weenats": what generated code does, a typed call with no features.

It does more than the one by hand: metadata with ids and a timestamp, correlation, a deadline,
strict validation, declared errors, statistics, a task for each request under a limit.
"""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import ClassVar, Final, Literal

from typing_extensions import override

from harness import Call
from weenats.client import ServiceClient
from weenats.context import RequestContext
from weenats.contract import Aggregate, Command, ServiceContract
from weenats.model import Model
from weenats.service import Endpoint, NatsServiceBuilder, ServiceHandlers
from workload import CONFIRMATION, KEY, ORDER


class LineItem(Model):
    """One position of an order."""

    sku: str
    name: str
    price: float
    quantity: int


class CreateOrder(Model):
    """What is ordered."""

    customer: str
    currency: str
    note: str
    items: list[LineItem]


class Confirmation(Model):
    """What was accepted."""

    customer: str
    status: Literal["accepted", "refused"]
    total: float
    positions: int
    warehouse: str
    carrier: str
    message: str


CONTRACT: Final = ServiceContract(
    name="bench", version="1.0.0", description="Orders.", digest="sha256:0"
)
ORDERS: Final = Aggregate(name="order", state=CreateOrder)
CREATE_ORDER: Final = Command(
    name="create-order",
    contract=CONTRACT,
    aggregate=ORDERS,
    payload=CreateOrder,
    result=Confirmation,
    description="Create an order.",
)


class Orders(ServiceHandlers):
    """The service."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = CREATE_ORDER

    async def create_order(
        self, key: str, command: CreateOrder, context: RequestContext
    ) -> Confirmation:
        """The handler: the same as by hand."""
        del key, context
        return Confirmation(
            customer=command.customer,
            status="accepted",
            total=sum(item.price * item.quantity for item in command.items),
            positions=len(command.items),
            warehouse="rotterdam-europoort-02",
            carrier="cargo-bike",
            message="we pack it today and ring twice",
        )

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint.command(self.operation, self.create_order),)


class OrdersClient(ServiceClient):
    """The client."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = CREATE_ORDER

    async def create_order(self, key: str, command: CreateOrder) -> Confirmation:
        """Create an order."""
        return await self.execute(self.operation, key, command)


def under(name: str) -> tuple[type[Orders], type[OrdersClient]]:
    """Return the same service and client under a name of their own."""
    contract = replace(CONTRACT, name=name)
    members = {"contract": contract, "operation": replace(CREATE_ORDER, contract=contract)}
    return type("Orders", (Orders,), members), type("OrdersClient", (OrdersClient,), members)


_open: Final = AsyncExitStack()


async def serve(url: str) -> None:
    """Serve until the process ends."""
    await serving(NatsServiceBuilder(Orders(), servers=url))


async def serving(builder: NatsServiceBuilder) -> None:
    """Serve until the process ends what this builder builds."""
    await _open.enter_async_context(builder.with_queue_group("bench", max_concurrency=256).build())


async def connect(url: str) -> Call:
    """Call with a ready payload."""
    return await calling(OrdersClient.connect(url))


async def calling(client: OrdersClient) -> Call:
    """Call with a ready payload, as this client."""
    orders = await _open.enter_async_context(client)
    order = CreateOrder.model_validate(ORDER)

    async def call() -> None:
        await orders.create_order(KEY, order)

    confirmation = await orders.create_order(KEY, order)
    if confirmation.model_dump() != CONFIRMATION:
        raise ValueError(f"unexpected reply: {confirmation!r}")
    return call
