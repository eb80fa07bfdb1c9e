"""Peer: a subscriber of FastStream that answers, and `broker.request`."""

from faststream.nats import NatsBroker  # pyright: ignore[reportMissingImports]

from by_hand import Confirmation, CreateOrder, Request, confirm
from harness import Call
from workload import CONFIRMATION, KEY, ORDER

SUBJECT = "bench.peer-faststream"


async def serve(url: str) -> None:
    """Validate, handle, answer: FastStream does it."""
    broker = NatsBroker(url, logger=None)

    @broker.subscriber(SUBJECT, queue="bench", max_workers=256)
    async def create_order(request: Request) -> Confirmation:
        return confirm(request.order)

    await broker.start()


async def connect(url: str) -> Call:
    """Send, validate the answer."""
    broker = NatsBroker(url, logger=None)
    await broker.connect()
    request = Request(key=KEY, order=CreateOrder.model_validate(ORDER))

    async def place() -> Confirmation:
        message = await broker.request(request, SUBJECT, timeout=5)
        return Confirmation.model_validate_json(message.body)

    async def call() -> None:
        await place()

    if (await place()).model_dump() != CONFIRMATION:
        raise ValueError("unexpected reply")
    return call
