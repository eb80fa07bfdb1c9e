"""The interceptor that gets large payloads, after those before it have let the caller in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats._internal.limited_log import LimitedLogger
from weenats.codec.operations import operation_codec
from weenats.context import Response
from weenats.errors import InvalidArgumentError, UnavailableError
from weenats.large.envelopes import ROOM, check_size, restored, without
from weenats.large.objects import ObjectDamagedError, Reference
from weenats.protocol import headers as header_names
from weenats.transport.jetstream import StreamMissingError

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext
    from weenats.large.objects import LargeObjects
    from weenats.transport.base import Transport

__all__ = ["LargeInterceptor", "StoredResponse"]
_LOG: Final = LimitedLogger("weenats.large")
_RESULT_TIME = 60.0
"""Seconds that a caller without a deadline has to get its result."""


class LargeInterceptor:
    """Gets the payload of a request that refers to it, and stores a result that is too large.

    Args:
        operation: the operation.
        objects: the object store of the service.
        transport: the connection, whose messages have a maximum size.
    """

    def __init__(
        self, operation: AnyOperation, objects: LargeObjects, transport: Transport
    ) -> None:
        self._operation = operation
        self._codec = operation_codec(operation)
        self._objects = objects
        self._transport = transport

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Serve a request.

        Raises:
            InvalidArgumentError: the payload is missing, or is not what the request says.
            MessageTooLargeError: the payload or the result is larger than the contract allows.
            UnavailableError: JetStream does not answer, or has no room for the result.
        """
        text = context.headers.get(header_names.LARGE)
        if text is None:
            return await self._call(context, call_next)
        reference = Reference.read(text)
        if reference is None:
            raise InvalidArgumentError(f"the header {header_names.LARGE} is malformed")
        check_size("payload", self._operation, reference.size)
        try:
            await self._restore(context, reference)
            return await self._call(context, call_next)
        finally:
            self._objects.remove(reference)

    async def _restore(self, context: RequestContext, reference: Reference) -> None:
        try:
            payload = await self._objects.get(reference)
            body = restored(context.envelope, self._operation.kind, payload)
        except (ObjectDamagedError, ValueError):
            failure = InvalidArgumentError("the large payload is missing, or not what was sent")
        else:
            context.received = self._codec.decode_request(body)
            return
        raise failure

    async def _call(self, context: RequestContext, call_next: CallNext) -> Response:
        response = await call_next(context)
        result = response.result
        if result is None:
            return response
        reply = self._codec.encode_success(result, 0, context)
        if len(reply) <= self._transport.max_payload - ROOM:
            return response
        _, part = without(reply, self._codec.result_place(reply))
        check_size("result", self._operation, len(part))
        left = context.remaining
        seconds = _RESULT_TIME if left is None else left
        reference = await self._store(part, seconds)
        return StoredResponse(result, header_names.encode({header_names.LARGE: str(reference)}))

    async def _store(self, result: bytes, seconds: float) -> Reference:
        try:
            try:
                return await self._objects.put(result, seconds)
            except StreamMissingError:  # somebody has deleted the bucket
                await self._objects.open()
                return await self._objects.put(result, seconds)
        except UnavailableError as error:
            subject, name = self._operation.subject, self._operation.name
            _LOG.error("the large result of %s cannot be stored: %s", subject, error)
            failure = UnavailableError(
                f"the large result of {name} cannot be stored, but the request was executed"
            )
        raise failure


class StoredResponse(Response):
    """A response whose result is in the object store.

    Args:
        result: the result.
        headers: the header lines that refer to it.
    """

    __slots__ = ("_headers",)

    def __init__(self, result: object, headers: bytes) -> None:
        self.result = result
        self._headers = headers

    @property
    @override
    def headers(self) -> bytes:
        """The header lines that refer to the result."""
        return self._headers
