"""Encoding and decoding of requests and replies.

Errors are raised outside of `except`: an exception keeps the one that is being handled as its
context, and those of pydantic have the values of the message.
"""

from collections.abc import Callable
from functools import cache
from types import NoneType
from typing import Any, Final, Literal, NotRequired, cast

from pydantic import ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from weenats.codec.json import dump, dump_checked, has_constants, reject_constants
from weenats.codec.metadata import reply_metadata, request_metadata
from weenats.codec.validators import typed_dict, validator
from weenats.codec.violations import breach, invalid, not_json, reason, validation_errors
from weenats.context import RequestContext, Response
from weenats.contract import AnyOperation, Entity, state_type
from weenats.errors import CLASS_OF_CODE, InternalError, InvalidArgumentError, ServiceError
from weenats.model import Model
from weenats.protocol import messages
from weenats.protocol.subjects import Kind

__all__ = [
    "ContractBreachError",
    "OperationCodec",
    "ReceivedResponse",
    "Request",
    "operation_codec",
]
_INVALID_ENVELOPE: Final = "the request envelope is invalid"


class _ReplyMetadata(TypedDict):
    metadata: NotRequired[messages.MessageMetadata]


class Request:
    """A received request, whose payload may be unread.

    Nothing of an unread payload was looked at, so that callers whom an interceptor refuses learn
    nothing about its validity, neither from the error nor from the time that it takes.

    Args:
        envelope: the members of the envelope, by their names on the wire.
        payload: the payload; None when the operation has none, and while it is unread.
        read: checks the payload and returns it, or raises what is wrong with it; None when that is
            done.
        data: the bytes of the request, for `read`.

    Attributes:
        key: the key of the aggregate.
        metadata: the metadata of the message as on the wire, None when there is none.
        payload: the payload; None when the operation has none, and while it is unread.
        is_unread: whether the payload has not been checked yet.
        error: what was wrong with the payload when it was read, None when it is valid or unread.
    """

    __slots__ = ("_data", "_read", "error", "is_unread", "key", "metadata", "payload")

    def __init__(
        self,
        envelope: dict[str, Any],
        payload: object,
        read: Callable[[bytes], object] | None = None,
        data: bytes = b"",
    ) -> None:
        self.key: str = envelope["aggregateId"]["key"]
        self.metadata: dict[str, Any] | None = envelope.get("metadata")
        self.payload = payload
        self.is_unread = read is not None
        self.error: ServiceError | None = None
        self._read = read
        self._data = data

    def read_payload(self) -> object:
        """Check the payload, once, and return it; None when the operation has none.

        Raises:
            InvalidArgumentError: it breaks the contract.
        """
        if self.error is not None:
            raise self.error
        if self._read is not None and self.is_unread:
            self.is_unread = False
            try:
                self.payload = self._read(self._data)
            except ServiceError as error:
                self.error = error
                raise
        return self.payload


class ContractBreachError(Exception):
    """The result of a handler is not what its contract declares.

    This is a bug of the service. It is logged, and the caller gets an InternalError.

    Args:
        operation: the operation.
        result: what the handler returned.
        why: what is wrong with it, "" when it has another type.
    """

    def __init__(self, operation: AnyOperation, result: object, why: str = "") -> None:
        text = f"{operation.name} must return {operation.result.__name__} according to its contract"
        super().__init__(f"{text}: {why}" if why else f"{text}, not {type(result).__name__}")


class OperationCodec:
    """Encodes and decodes the requests and replies of one operation.

    Args:
        operation: the operation.
    """

    def __init__(self, operation: AnyOperation) -> None:
        self.operation = operation
        is_command = operation.kind is Kind.COMMAND
        self._member = "command" if is_command else "query"
        self._has_payload = operation.payload is not NoneType
        self._state = state_type(operation)
        self._result_member = "result" if self._state is None else "entity"
        request = messages.CommandRequest if is_command else messages.QueryRequest
        members = {
            "aggregateId": typed_dict(
                messages.AggregateId, type=Literal[operation.contract.aggregate]
            )
        }
        payload = {self._member: operation.payload} if self._has_payload else {}
        self._envelope = validator(typed_dict(request, **members, **{self._member: None}))
        self._request = validator(typed_dict(request, **{**members, self._member: None, **payload}))
        self._payload = validator(typed_dict(request, aggregateId=None, metadata=None, **payload))
        # The metadata of a reply is only read on demand.
        success: dict[str, Any] = {"metadata": None, "result": None}
        if operation.result is not NoneType:
            success[self._result_member] = operation.result
        reply = messages.CommandSuccess if is_command else messages.QuerySuccess
        self._success = validator(typed_dict(reply, **success))
        self._errors = {error.name: error for error in operation.errors}
        aggregate = to_json(operation.contract.aggregate)
        self._head = b'{"aggregateId":{"type":%b,"key":' % aggregate
        self._payload_head = b'},"%b":' % self._member.encode()
        self._entity_head = b'{"success":true,"entity":{"id":{"type":%b,"key":' % aggregate

    def declares(self, error: ServiceError) -> bool:
        """Return whether the contract allows an operation to fail with an error.

        Args:
            error: the error.
        """
        return not error.name or self._errors.get(error.name) is type(error)

    def encode_request(self, context: RequestContext) -> bytes:
        """Encode a request.

        Args:
            context: the request.

        Returns:
            The bytes of the request.

        Raises:
            InvalidArgumentError: the key, the payload or the metadata is not valid.
        """
        payload = context.payload
        try:
            key = to_json(context.key)
            metadata = request_metadata(context)
            body = dump(payload, self.operation.payload) if self._has_payload else b""
        except (TypeError, ValueError) as error:
            text = f"the request of {self.operation.name} cannot be encoded: {reason(error)}"
        else:
            if not self._has_payload:
                return b'%b%b},"metadata":%b}' % (self._head, key, metadata)
            head = self._payload_head
            return b'%b%b%b%b,"metadata":%b}' % (self._head, key, head, body, metadata)
        raise InvalidArgumentError(text)

    def decode_at_once(self, data: bytes) -> Request:
        """Decode a request and its payload in one pass, where no interceptor may refuse its caller.

        Args:
            data: the bytes of the request.

        Returns:
            The request.

        Raises:
            InvalidArgumentError: the envelope is invalid.
        """
        try:
            envelope = self._request.validate_json(data, by_name=False)
        except ValidationError:
            return self.decode_request(data)  # reading the payload reports its violations
        if has_constants(data):
            return self.decode_request(data)
        return Request(envelope, envelope[self._member] if self._has_payload else None)

    def decode_request(self, data: bytes) -> Request:
        """Decode the envelope of a request, and leave its payload unread.

        Args:
            data: the bytes of the request.

        Returns:
            The request.

        Raises:
            InvalidArgumentError: the envelope is invalid.
        """
        try:
            envelope = self._envelope.validate_json(data, by_name=False)
        except ValidationError as error:
            failure = invalid(_INVALID_ENVELOPE, validation_errors(error))
        else:
            return Request(envelope, None, self._read_payload, data)
        raise failure

    def encode_success(self, result: object, duration: float, request: RequestContext) -> bytes:
        """Encode the reply of a request that succeeded.

        Args:
            result: what the handler returned.
            duration: the duration of the request in milliseconds.
            request: the request.

        Returns:
            The bytes of the reply.

        Raises:
            ContractBreachError: the result is not what the contract declares.
        """
        try:
            if self._state is not None:
                body = self._entity(result, self._state)
            elif self.operation.result is NoneType:
                if result is not None:
                    raise ContractBreachError(self.operation, result)
                body = b'{"success":true'
            else:
                body = b'{"success":true,"result":' + dump_checked(result, self.operation.result)
        except TypeError:
            why = ""
        except ValueError as error:
            why = reason(error)
        else:
            return b'%b,"duration":%.3f,"metadata":%b}' % (body, duration, reply_metadata(request))
        raise ContractBreachError(self.operation, result, why)

    def decode_response(self, data: bytes) -> Response:
        """Decode a reply.

        Args:
            data: the bytes of the reply.

        Returns:
            The response, if the request succeeded.

        Raises:
            ServiceError: the error in the reply; errors of the contract as their own class.
            InternalError: the reply is not valid.
        """
        try:
            success = self._success.validate_json(data, by_name=False)
            reject_constants(data)
        except ValidationError as error:
            failure = self.decode_failure(data, error)
        except ValueError as error:
            failure = InternalError(
                f"the reply of {self.operation.subject} is not valid JSON: {error}"
            )
        else:
            result = None if self.operation.result is NoneType else success[self._result_member]
            return ReceivedResponse(result, success["duration"], data)
        raise failure

    def decode_failure(
        self, data: bytes, not_success: ValidationError | None = None
    ) -> ServiceError:
        """Decode an error reply.

        Args:
            data: the bytes of the reply.
            not_success: the violations of a success reply, which are reported when the reply is
                not an error either.

        Returns:
            The error in the reply; InternalError when the reply is not valid.
        """
        try:
            failure = _FAILURE.validate_json(data, by_name=False)
        except ValidationError as error:
            text = f"the reply of {self.operation.subject} breaks the contract"
            return breach(text, not_success or error, data)
        body: messages.ErrorBody = failure.error
        declared = self._declared(body, body.details)
        received = declared or CLASS_OF_CODE[body.code](body.message, details=body.details)
        received.remote = True
        return received

    def _read_payload(self, data: bytes) -> object:
        """Return the payload of a request.

        Raises:
            InvalidArgumentError: it breaks the contract, or some part of the request is NaN.
        """
        text = f"the payload of {self.operation.name} breaks the contract"
        try:
            request = self._payload.validate_json(data, by_name=False)
            reject_constants(data)
        except ValidationError as error:
            failure = invalid(text, validation_errors(error, data))
        except ValueError as error:
            failure = not_json("the request is not valid JSON", error)
        else:
            return request[self._member] if self._has_payload else None
        raise failure

    def _entity(self, result: object, state: type[Model]) -> bytes:
        if not isinstance(result, Entity):
            raise ContractBreachError(self.operation, result)
        entity = cast("Entity[Model]", result)
        return b'%b%b},"state":%b,"revision":%d}' % (
            self._entity_head,
            to_json(entity.id.key),
            dump_checked(entity.state, state),
            entity.revision,
        )

    def _declared(
        self, body: messages.ErrorBody, details: dict[str, Any] | None
    ) -> ServiceError | None:
        """Return the error of the contract that a reply names, None when there is none."""
        declared = None if details is None else self._errors.get(str(details.get("error")))
        if declared is None or declared.code.value != body.code:
            return None
        if declared.details_type is None:
            return declared(body.message)
        try:
            typed = declared.details_type.model_validate_json(
                to_json(details and details.get("data")), by_name=False
            )
        except ValidationError:
            return None
        return declared(body.message, details=typed)


@cache
def operation_codec(operation: AnyOperation) -> OperationCodec:
    """Return the codec of an operation, which is created once.

    Args:
        operation: the operation.
    """
    return OperationCodec(operation)


class ReceivedResponse(Response):
    """A received response.

    Args:
        result: the result of the operation.
        duration: how long the service ran the request, in milliseconds.
        data: the bytes of the reply.
    """

    __slots__ = ("_data", "duration")

    def __init__(self, result: object, duration: float, data: bytes) -> None:
        self.result = result
        self.duration = duration
        self._data = data

    @property
    def metadata(self) -> messages.MessageMetadata | None:
        """The metadata of the reply, None when there is none.

        Raises:
            InternalError: the metadata is not valid.
        """
        try:
            reply = _METADATA.validate_json(self._data, by_name=False)
        except ValidationError as error:
            failure = breach("the metadata of the reply is invalid", error, self._data)
        else:
            metadata: messages.MessageMetadata | None = reply.get("metadata")
            return metadata
        raise failure


_FAILURE: Final = messages.Failure.__pydantic_validator__
_METADATA: Final = validator(_ReplyMetadata)
