"""Contender "weenats": the shipments as generated code has them."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field
from pydantic_core import to_json
from typing_extensions import override

from harness import Call
from shipments import KEY, shipment
from weenats import (
    Aggregate,
    Command,
    Endpoint,
    Model,
    NatsServiceBuilder,
    RequestContext,
    ServiceClient,
    ServiceContract,
    ServiceHandlers,
)
from weenats.formats import AwareDatetime


class Contact(Model):
    """How a carrier is reached."""

    email: str


class Carrier(Model):
    """Who carries a shipment."""

    name: str
    contact: Contact


class Size(Model):
    """The size of a parcel, in centimeters."""

    width: int
    height: int
    depth: int


class Scan(Model):
    """Where a parcel was seen."""

    at: AwareDatetime
    place: str


class Parcel(Model):
    """One parcel."""

    id: str
    weight: float
    size: Size
    scans: list[Scan]
    items: list[str]
    insured: bool


class Shipment(Model):
    """Parcels that travel together."""

    carrier: Carrier
    booked_at: Annotated[AwareDatetime, Field(alias="bookedAt")]
    tags: list[str]
    parcels: list[Parcel]


_CONTRACT: Final = ServiceContract(
    name="bench-shipments", version="1.0.0", description="Shipments.", digest="sha256:0"
)
_SHIP: Final = Command(
    name="ship",
    contract=_CONTRACT,
    aggregate=Aggregate(name="shipment", state=Shipment),
    payload=Shipment,
    result=Shipment,
    description="Ship it.",
)
_open: Final = AsyncExitStack()


def ship(size: str) -> Command[Any, Any]:
    """Return the command of the service for shipments of one size."""
    return replace(_SHIP, contract=replace(_CONTRACT, name=f"bench-shipments-{size}"))


class Shipments(ServiceHandlers):
    """The service."""

    contract: ClassVar[ServiceContract] = _CONTRACT

    def __init__(self, size: str) -> None:
        """Serve shipments of this size."""
        super().__init__()
        self._ship = ship(size)
        self.contract = self._ship.contract  # type: ignore[misc]

    async def ship(self, key: str, command: Shipment, context: RequestContext) -> Shipment:
        """The handler."""
        del key, context
        return command

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint.command(self._ship, self.ship),)


async def serve(url: str, size: str) -> None:
    """Serve until the process ends."""
    builder = NatsServiceBuilder(Shipments(size), servers=url)
    await _open.enter_async_context(builder.with_queue_group("bench", max_concurrency=256).build())


async def connect(url: str, size: str) -> Call:
    """Call with a ready payload."""
    command = ship(size)
    members = {"contract": command.contract}
    kind: type[ServiceClient] = type("Client", (ServiceClient,), members)
    client = await _open.enter_async_context(kind.connect(url))
    ready = Shipment.model_validate_json(to_json(shipment(int(size))))

    async def call() -> None:
        await client.execute(command, KEY, ready, timeout=30)

    if await client.execute(command, KEY, ready, timeout=30) != ready:
        raise ValueError("unexpected reply")
    return call
