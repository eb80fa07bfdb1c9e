"""Calls whose payload or result may be too large for a message."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

from weenats.codec.operations import operation_codec
from weenats.errors import (
    DeadlineExceededError,
    InternalError,
    ServiceError,
    UnavailableError,
    connection_error,
)
from weenats.large.envelopes import ROOM, check_size, restored, without
from weenats.large.objects import LargeObjects, ObjectDamagedError, Reference
from weenats.protocol import headers as header_names

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

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

    async def sent(
        self, context: RequestContext, body: bytes, deadline: float
    ) -> tuple[bytes, bytes]:
        """Return the request to send and the header lines that refer to its payload, b"" for none.

        Args:
            context: the request.
            body: the request as a whole.
            deadline: when to stop storing it, on the monotonic clock.

        Raises:
            DeadlineExceededError: JetStream did not answer before the deadline.
            MessageTooLargeError: the payload is larger than the contract allows.
            UnavailableError: there was no connection until the deadline.
            ServiceError: it cannot be stored.
        """
        async with _until(deadline, self._late_payload):
            await self._transport.connect()  # else the maximum size of messages is not known
            if len(body) <= self._transport.max_payload - ROOM:
                return body, b""
            envelope, payload = without(body, self._codec.payload_place(body, context))
            check_size("payload", self._operation, len(payload))
            reference = await self._objects.put(payload, max(deadline - monotonic(), 0.0))
        return envelope, header_names.encode({header_names.LARGE: str(reference)})

    async def received(self, reply: Delivery, deadline: float) -> bytes:
        """Return a reply as a whole.

        Args:
            reply: the received reply.
            deadline: when to stop waiting for its result, on the monotonic clock.

        Raises:
            DeadlineExceededError: JetStream did not answer before the deadline.
            InternalError: the result is missing, or is not what the service has stored.
            MessageTooLargeError: it is larger than the contract allows.
            ServiceError: JetStream is not available; the request was executed.
        """
        text = reply.headers.get(header_names.LARGE)
        if text is None:
            return reply.payload
        reference = Reference.read(text)
        if reference is None:
            raise InternalError(f"the header {header_names.LARGE} of the reply is malformed")
        check_size("result", self._operation, reference.size)
        try:
            async with _until(deadline, self._late_result):
                result = await self._get(reference)
            return restored(reply.payload, "result", result)
        except (ObjectDamagedError, ValueError):
            failure = InternalError(
                f"the large result of {self._operation.name} is missing, or not what was stored;"
                " the request was executed"
            )
        finally:
            self._objects.remove(reference)
        raise failure

    def _late_payload(self) -> ServiceError:
        name = self._operation.name
        if self._transport.is_connected:
            return DeadlineExceededError(f"the large payload of {name} could not be stored in time")
        return connection_error(
            UnavailableError,
            f"there was no connection to NATS until the deadline; {name} was not sent",
        )

    def _late_result(self) -> ServiceError:
        return DeadlineExceededError(
            f"the large result of {self._operation.name} did not arrive in time; the request was"
            " executed"
        )

    async def _get(self, reference: Reference) -> bytes:
        try:
            return await self._objects.get(reference)
        except ServiceError as error:
            failure = connection_error(
                type(error),
                f"the large result of {self._operation.name} cannot be fetched, but the request was"
                f" executed: {error.message}",
            )
        raise failure


@asynccontextmanager
async def _until(deadline: float, late: Callable[[], ServiceError]) -> AsyncGenerator[None]:
    """End what JetStream takes too long for: it has more time than a call may have.

    Raises:
        ServiceError: the deadline passed: that of `late`.
    """
    try:
        async with asyncio.timeout(max(deadline - monotonic(), 0.0)):
            yield
    except TimeoutError:
        raise late() from None
