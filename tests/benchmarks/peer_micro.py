"""Peer: `nats.micro` of nats-py with pydantic, by hand."""

import nats
import nats.micro
from nats.micro.request import Request as Message
from pydantic import ValidationError

import by_hand
from by_hand import REPLIES, REQUESTS, Reply, confirm
from harness import Call

SUBJECT = "bench-peer-micro"


async def serve(url: str) -> None:
    """Validate, handle, answer."""
    connection = await nats.connect(url)

    async def answer(message: Message) -> None:
        try:
            reply = Reply(ok=True, confirmation=confirm(REQUESTS.validate_json(message.data).order))
        except ValidationError:
            reply = Reply(ok=False, error="invalid order")
        await message.respond(REPLIES.dump_json(reply, exclude_none=True))

    service = await nats.micro.add_service(connection, name="bench-micro", version="1.0.0")
    await service.add_endpoint(name="create-order", subject=SUBJECT, handler=answer)
    await connection.flush()


async def connect(url: str) -> Call:
    """Call as by hand."""
    return await by_hand.connect(url, SUBJECT)
