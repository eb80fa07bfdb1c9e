"""Calls whose payload or result may be too large for a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats.codec.operations import operation_codec
from weenats.errors import InternalError
from weenats.large.envelopes import ROOM, check_size, restored, without
from weenats.large.objects import LargeObjects, ObjectDamagedError, Reference
from weenats.protocol import headers as header_names

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.contract import AnyOperation
    from weenats.transport.base import Delivery, Transport

__all__ = ["LargeCall"]


class LargeCall:
    """Stores the payloads of calls, and gets their results, where they do not fit into a message.

    Args:
        operation: the operation, which has `large` in its contract.
        transport: the connection.
    """

    def __init__(self, operation: AnyOperation, transport: Transport) -> None:
        self._operation = operation
        self._codec = operation_codec(operation)
        self._transport = transport
        self._objects = LargeObjects(operation.contract.name, transport)

    async def sent(self, context: RequestContext, body: bytes) -> tuple[bytes, bytes]:
        """Return the request to send and the header lines that refer to its payload, b"" for none.

        Args:
            context: the request.
            body: the request as a whole.

        Raises:
            MessageTooLargeError: the payload is larger than the contract allows.
            ServiceError: it cannot be stored.
        """
        await self._transport.connect()  # else the maximum size of messages is not known
        if len(body) <= self._transport.max_payload - ROOM:
            return body, b""
        envelope, payload = without(body, self._codec.payload_place(body, context))
        check_size("payload", self._operation, len(payload))
        reference = await self._objects.put(payload, context.remaining or 0.0)
        return envelope, header_names.encode({header_names.LARGE: str(reference)})

    async def received(self, reply: Delivery) -> bytes:
        """Return a reply as a whole.

        Args:
            reply: the received reply.

        Raises:
            InternalError: the result is missing, or is not what the service has stored.
            MessageTooLargeError: it is larger than the contract allows.
            ServiceError: JetStream is not available.
        """
        text = reply.headers.get(header_names.LARGE)
        if text is None:
            return reply.payload
        reference = Reference.read(text)
        if reference is None:
            raise InternalError(f"the header {header_names.LARGE} of the reply is malformed")
        check_size("result", self._operation, reference.size)
        try:
            result = await self._objects.get(reference)
            return restored(reply.payload, "result", result)
        except (ObjectDamagedError, ValueError):
            failure = InternalError(
                f"the large result of {self._operation.name} is missing, or not what was stored;"
                " the request was executed"
            )
        finally:
            self._objects.remove(reference)
        raise failure
