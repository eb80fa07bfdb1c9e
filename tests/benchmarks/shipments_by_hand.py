"""Contender "by hand": the shipments with nats-py and pydantic, in a minimal envelope."""

from datetime import datetime
from typing import Annotated

import nats
from nats.aio.msg import Msg
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from harness import Call
from shipments import KEY, shipment


class Contact(BaseModel):
    """How a carrier is reached."""

    email: str


class Carrier(BaseModel):
    """Who carries a shipment."""

    name: str
    contact: Contact


class Size(BaseModel):
    """The size of a parcel, in centimeters."""

    width: int
    height: int
    depth: int


class Scan(BaseModel):
    """Where a parcel was seen."""

    at: datetime
    place: str


class Parcel(BaseModel):
    """One parcel."""

    id: str
    weight: float
    size: Size
    scans: list[Scan]
    items: list[str]
    insured: bool


class Shipment(BaseModel):
    """Parcels that travel together."""

    carrier: Carrier
    booked_at: Annotated[datetime, Field(alias="bookedAt")]
    tags: list[str]
    parcels: list[Parcel]


class Request(BaseModel):
    """The envelope of a call."""

    key: str
    shipment: Shipment


class Reply(BaseModel):
    """The envelope of an answer."""

    ok: bool
    shipment: Shipment | None = None
    error: str | None = None


REQUESTS = TypeAdapter(Request)
REPLIES = TypeAdapter(Reply)


async def serve(url: str, size: str) -> None:
    """Validate, answer with the same."""
    connection = await nats.connect(url)

    async def answer(message: Msg) -> None:
        try:
            reply = Reply(ok=True, shipment=REQUESTS.validate_json(message.data).shipment)
        except ValidationError:
            reply = Reply(ok=False, error="invalid shipment")
        body = REPLIES.dump_json(reply, exclude_none=True, by_alias=True)
        await connection.publish(message.reply, body)

    await connection.subscribe(f"bench.shipments-by-hand.{size}", queue="bench", cb=answer)
    await connection.flush()


async def connect(url: str, size: str) -> Call:
    """Build the envelope around a ready payload, send, validate the answer."""
    connection = await nats.connect(url)
    ready = Shipment.model_validate(shipment(int(size)))

    async def send() -> Shipment:
        body = REQUESTS.dump_json(Request(key=KEY, shipment=ready), by_alias=True)
        message = await connection.request(f"bench.shipments-by-hand.{size}", body, timeout=30)
        reply = REPLIES.validate_json(message.data)
        if reply.shipment is None:
            raise ValueError(reply.error)
        return reply.shipment

    async def call() -> None:
        await send()

    if await send() != ready:
        raise ValueError("unexpected reply")
    return call
