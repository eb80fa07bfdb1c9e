"""Payloads and results of `weenats call` that do not fit into a message."""

from contextlib import suppress
from typing import TYPE_CHECKING

from weenats.errors import InternalError
from weenats.large.envelopes import ROOM, restored
from weenats.large.objects import LargeObjects, ObjectDamagedError, Reference
from weenats.protocol import headers
from weenats.transport.base import Delivery
from weenats.transport.jetstream import StreamMissingError

if TYPE_CHECKING:
    from weenats.transport.nats import NatsTransport

_NULL = b"null"


async def stored_payload(
    transport: "NatsTransport", service: str, payload: bytes, seconds: float
) -> tuple[bytes, dict[str, str]]:
    """Return what to send as a payload, and the header that refers to it, {} if it is all of it.

    A payload that is too large for a message is stored, if the service has an object store.
    """
    if len(payload) > transport.max_payload - ROOM:
        with suppress(StreamMissingError):  # no operation is large: sending it says what is wrong
            reference = await LargeObjects(service, transport).put(payload, seconds)
            return _NULL, {headers.LARGE: str(reference)}
    return payload, {}


async def whole_reply(transport: "NatsTransport", service: str, reply: Delivery) -> Delivery:
    """Return a reply with its result, wherever that is.

    Raises:
        InternalError: The result is missing.
    """
    reference = Reference.read(reply.headers.get(headers.LARGE, ""))
    if reference is None:
        return reply
    objects = LargeObjects(service, transport)
    try:
        result = await objects.get(reference)
        body = restored(reply.payload, "result", result)
    except (ObjectDamagedError, ValueError):
        raise InternalError("the large result is missing; the request was executed") from None
    finally:
        objects.remove(reference)
    return Delivery(reply.subject, reply.reply, body)
