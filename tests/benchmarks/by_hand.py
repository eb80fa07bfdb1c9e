"""Contender "by hand": nats-py and pydantic as a careful person writes it for one service.

The envelope is as light as it gets: the key beside the payload, a flag beside the result. No
metadata, no ids, no deadline, no task for each request. It takes pydantic's fastest public path,
bytes to model and model to bytes in one step.
"""

from typing import Literal

import nats
from nats.aio.msg import Msg
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness import Call
from workload import CONFIRMATION, KEY, ORDER

SUBJECT = "bench.by-hand"


class LineItem(BaseModel):
    """One position of an order."""

    sku: str
    name: str
    price: float
    quantity: int


class CreateOrder(BaseModel):
    """What is ordered."""

    customer: str
    currency: str
    note: str
    items: list[LineItem]


class Confirmation(BaseModel):
    """What was accepted."""

    customer: str
    status: Literal["accepted", "refused"]
    total: float
    positions: int
    warehouse: str
    carrier: str
    message: str


class Request(BaseModel):
    """The envelope of a call."""

    key: str
    order: CreateOrder


class Reply(BaseModel):
    """The envelope of an answer."""

    ok: bool
    confirmation: Confirmation | None = None
    error: str | None = None


REQUESTS = TypeAdapter(Request)
REPLIES = TypeAdapter(Reply)


def confirm(order: CreateOrder) -> Confirmation:
    """The handler: what a service would do with an order."""
    return Confirmation(
        customer=order.customer,
        status="accepted",
        total=sum(item.price * item.quantity for item in order.items),
        positions=len(order.items),
        warehouse="rotterdam-europoort-02",
        carrier="cargo-bike",
        message="we pack it today and ring twice",
    )


async def serve(url: str) -> None:
    """Validate, handle, answer."""
    connection = await nats.connect(url)

    async def answer(message: Msg) -> None:
        try:
            request = REQUESTS.validate_json(message.data)
            reply = Reply(ok=True, confirmation=confirm(request.order))
        except ValidationError:
            reply = Reply(ok=False, error="invalid order")
        await connection.publish(message.reply, REPLIES.dump_json(reply, exclude_none=True))

    await connection.subscribe(SUBJECT, queue="bench", cb=answer)
    await connection.flush()


async def connect(url: str, subject: str = SUBJECT) -> Call:
    """Build the envelope around a ready payload, send, validate the answer."""
    connection = await nats.connect(url)
    order = CreateOrder.model_validate(ORDER)

    async def place(key: str, order: CreateOrder) -> Confirmation:
        body = REQUESTS.dump_json(Request(key=key, order=order))
        message = await connection.request(subject, body, timeout=5)
        reply = REPLIES.validate_json(message.data)
        if reply.confirmation is None:
            raise ValueError(reply.error)
        return reply.confirmation

    async def call() -> None:
        await place(KEY, order)

    confirmation = await place(KEY, order)
    if confirmation.model_dump() != CONFIRMATION:
        raise ValueError(f"unexpected reply: {confirmation!r}")
    return call
