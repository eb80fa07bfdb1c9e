"""Bytes and envelopes: the only place that knows JSON.

A request is validated in one pass by a model that holds the operation's own payload type. Only when
the payload alone is at fault is the envelope read a second time, so that the interceptors can judge
the caller before the payload's faults are told. Messages are written by splicing the serialized
payload into parts made when the service or client is built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, cast

from pydantic import MISSING, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import TypedDict

from weenats import messages
from weenats.context import Response
from weenats.contract import AnyOperation, Entity, Event, state_type
from weenats.errors import CLASS_OF_CODE, InternalError, InvalidArgumentError, ServiceError
from weenats.identifiers import STAMPER
from weenats.lean import lean, validator
from weenats.subjects import Kind

if TYPE_CHECKING:
    from weenats.context import MessageContext, RequestContext
    from weenats.model import Model

_MAX_VIOLATIONS: Final = 20
_MAX_POINTER_LENGTH: Final = 200


class _ReplyMetadata(TypedDict):
    metadata: NotRequired[messages.MessageMetadata]


@dataclass(slots=True)
class Request:
    """A request as it came: the envelope, and the payload or what is wrong with it."""

    key: str
    payload: object
    metadata: dict[str, Any] | None
    payload_error: ServiceError | None = None


class OperationCodec:
    """Reads and writes the envelopes of one operation."""

    def __init__(self, operation: AnyOperation) -> None:
        self.operation = operation
        self._member = "command" if operation.kind is Kind.COMMAND else "query"
        self._has_payload = operation.payload is not NoneType
        self._state = state_type(operation)
        self._result_member = "result" if self._state is None else "entity"
        self._request = self._request_validator(operation.payload)
        self._envelope = self._request_validator(Any)
        self._success = self._success_validator()
        self._errors = {error.name: error for error in operation.errors}
        aggregate = to_json(operation.contract.aggregate)
        self._head = b'{"aggregateId":{"type":%b,"key":' % aggregate
        self._payload_head = b'},"%b":' % self._member.encode()
        self._entity_head = b'{"success":true,"entity":{"id":{"type":%b,"key":' % aggregate

    def declares(self, error: ServiceError) -> bool:
        """Say whether the contract lets this operation end in the error."""
        return not error.name or self._errors.get(error.name) is type(error)

    def encode_request(self, context: RequestContext) -> bytes:
        """Write a request.

        Raises:
            InvalidArgumentError: the key or the payload cannot be written.
        """
        payload = context.payload
        try:
            key = to_json(context.key)
            metadata = _request_metadata(context)
            body = _dump(payload, self.operation.payload) if self._has_payload else b""
        except (TypeError, ValueError) as error:
            text = f"the request of {self.operation.name} cannot be written: {_reason(error)}"
            raise InvalidArgumentError(text) from None
        if not self._has_payload:
            return b'%b%b},"metadata":%b}' % (self._head, key, metadata)
        return b'%b%b%b%b,"metadata":%b}' % (self._head, key, self._payload_head, body, metadata)

    def decode_request(self, data: bytes) -> Request:
        """Read a request; what is wrong with the payload alone is kept beside the envelope.

        Raises:
            InvalidArgumentError: the envelope is at fault.
        """
        try:
            envelope = self._request.validate_json(data, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            return self._decode_envelope(data, error)
        return Request(
            envelope["aggregateId"]["key"],
            envelope[self._member] if self._has_payload else None,
            envelope.get("metadata"),
        )

    def encode_success(self, result: object, duration: float, request: RequestContext) -> bytes:
        """Write the reply of a request that succeeded; duration in milliseconds.

        Raises:
            ContractBreachError: the handler returned what the contract does not promise.
        """
        try:
            if self._state is not None:
                body = self._entity(result)
            elif self.operation.result is NoneType:
                if result is not None:
                    raise ContractBreachError(self.operation, result)
                body = b'{"success":true'
            else:
                body = b'{"success":true,"result":' + _dump(result, self.operation.result)
        except (TypeError, ValueError) as error:
            raise ContractBreachError(self.operation, result) from error
        return b'%b,"duration":%.3f,"metadata":%b}' % (body, duration, _reply_metadata(request))

    def decode_response(self, data: bytes) -> Response:
        """Read a reply.

        Raises:
            ServiceError: the one that the service replied with, declared ones as their own class.
            InternalError: the reply is no answer to this operation.
        """
        try:
            success = self._success.validate_json(data, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            raise self.decode_failure(data, error) from None
        result = None if self.operation.result is NoneType else success[self._result_member]
        return ReceivedResponse(result, success["duration"], data)

    def decode_failure(
        self, data: bytes, not_success: ValidationError | None = None
    ) -> ServiceError:
        """Return the error that a reply holds, or InternalError when it is none of ours."""
        try:
            failure = _FAILURE.validate_json(data, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            faults = _violations(not_success or error)
            text = f"the reply of {self.operation.subject} breaks the contract"
            return InternalError(text, details={"violations": faults})
        return self._error(failure.error)

    def _request_validator(self, payload: Any) -> Any:
        aggregate = lean(messages.AggregateId, type=Literal[self.operation.contract.aggregate])
        base = messages.CommandRequest if self._member == "command" else messages.QueryRequest
        members: dict[str, Any] = {"aggregateId": aggregate}
        if self._has_payload:
            members[self._member] = payload
        return validator(lean(base, messages.JwtAuthentication, **members))

    def _success_validator(self) -> Any:
        base = messages.CommandSuccess if self._member == "command" else messages.QuerySuccess
        # The metadata of a reply is read when somebody asks for it.
        members: dict[str, Any] = {"metadata": None, "result": None}
        if self.operation.result is not NoneType:
            members[self._result_member] = self.operation.result
        return validator(lean(base, **members))

    def _decode_envelope(self, data: bytes, error: ValidationError) -> Request:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        if not all(fault["loc"][:1] == (self._member,) for fault in faults):
            outside = [fault for fault in faults if fault["loc"][:1] != (self._member,)]
            raise _invalid("the request envelope is invalid", outside)
        try:
            envelope = self._envelope.validate_json(data, strict=True, by_alias=True, by_name=False)
        except ValidationError:  # the payload is missing: there is nothing to hide
            raise _invalid("the request envelope is invalid", faults) from None
        return Request(
            envelope["aggregateId"]["key"],
            None,
            envelope.get("metadata"),
            _invalid(f"the payload of {self.operation.name} breaks the contract", faults),
        )

    def _entity(self, result: object) -> bytes:
        if not isinstance(result, Entity):
            raise ContractBreachError(self.operation, result)
        entity = cast("Entity[Model]", result)
        state = _dump(entity.state, cast("type[Model]", self._state))
        return b'%b%b},"state":%b,"revision":%d}' % (
            self._entity_head,
            to_json(entity.id.key),
            state,
            entity.revision,
        )

    def _error(self, body: messages.ErrorBody) -> ServiceError:
        details = None if body.details is MISSING else body.details
        error = self._declared(body, details)
        if error is None:
            error = CLASS_OF_CODE[body.code](body.message, details=details)
        error.remote = True
        return error

    def _declared(
        self, body: messages.ErrorBody, details: dict[str, Any] | None
    ) -> ServiceError | None:
        declared = None if details is None else self._errors.get(str(details.get("error")))
        if declared is None or declared.code.value != body.code:
            return None
        if declared.details_type is None:
            return declared(body.message)
        try:
            typed = declared.details_type.model_validate_json(
                to_json(details and details.get("data")), strict=True, by_alias=True, by_name=False
            )
        except ValidationError:
            return None
        return declared(body.message, details=typed)


class ReceivedResponse(Response):
    """A reply that was received; its metadata block is read when somebody asks for it."""

    __slots__ = ("_data", "duration")

    def __init__(self, result: object, duration: float, data: bytes) -> None:
        self.result = result
        self.duration = duration
        self._data = data

    @property
    def metadata(self) -> messages.MessageMetadata | None:
        """The metadata block of the reply, None when there is none."""
        try:
            reply = _METADATA.validate_json(self._data, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            raise InternalError(
                "the metadata of the reply is invalid", details={"violations": _violations(error)}
            ) from None
        metadata: messages.MessageMetadata | None = reply.get("metadata")
        return metadata


class EventCodec:
    """Reads and writes the notifications of one event."""

    def __init__(self, event: Event[Any]) -> None:
        self._event = event
        of_type: Any = Literal[event.contract.aggregate]
        named: Any = Literal[event.name]
        aggregate = create_model(
            "TypedAggregateId", __base__=messages.AggregateId, type=(of_type, ...)
        )
        model = create_model(
            "TypedNotification",
            __base__=messages.EventNotification,
            type=(named, ...),
            aggregate=(aggregate, ...),
            data=(event.data, ...),
        )
        self._aggregate = aggregate.__pydantic_validator__
        self._validator = model.__pydantic_validator__

    def encode(self, key: str, data: object, revision: int, context: MessageContext) -> bytes:
        """Write a notification.

        Raises:
            InvalidArgumentError: the key or the data cannot be written.
        """
        try:
            # Nobody answers an event: a key that subscribers would refuse is refused here.
            self._aggregate.validate_python({"type": self._event.contract.aggregate, "key": key})
            return (
                b'{"id":"%b","type":"%b","aggregate":{"type":"%b","key":%b},"revision":%d,"timestamp":"%b","data":%b,"metadata":%b}'
                % (
                    context.message_id.encode(),
                    self._event.name.encode(),
                    self._event.contract.aggregate.encode(),
                    to_json(key),
                    revision,
                    STAMPER.timestamp.encode(),
                    _dump(data, self._event.data),
                    _metadata(context, STAMPER.timestamp),
                )
            )
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(
                f"the event {self._event.name} cannot be written: {_reason(error)}"
            ) from None

    def decode(self, data: bytes) -> messages.EventNotification:
        """Read a notification; its `data` is of the event's own type.

        Raises:
            InvalidArgumentError: it breaks the contract.
        """
        try:
            notification: messages.EventNotification = self._validator.validate_json(
                data, strict=True, by_alias=True, by_name=False
            )
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            raise _invalid(f"the event {self._event.name} breaks the contract", faults) from None
        return notification


class ContractBreachError(TypeError):
    """A handler returned what its contract does not promise.

    A defect of the service, told to its log only.
    """

    def __init__(self, operation: AnyOperation, result: object) -> None:
        super().__init__(
            f"{operation.name} must return {operation.result.__name__}, as its contract has it, "
            f"not {type(result).__name__}"
        )


def encode_failure(error: ServiceError, duration: float, request: MessageContext | None) -> bytes:
    """Write the reply of a request that failed; duration in milliseconds."""
    details = error.details
    if error.name:
        details = (
            {"error": error.name} if details is None else {"error": error.name, "data": details}
        )
    body: dict[str, Any] = {"code": error.code.value, "message": error.message}
    if details is not None:
        body["details"] = details
    metadata = b"" if request is None else b',"metadata":' + _reply_metadata(request)
    return b'{"success":false,"error":%b,"duration":%.3f%b}' % (
        _open_json(body),
        duration,
        metadata,
    )


def decode_model(model: type[Model], data: bytes) -> Any:
    """Read a message that is one model.

    Raises:
        InternalError: it is none.
    """
    try:
        return model.model_validate_json(data, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        text = f"what came is no {model.__name__}"
        raise InternalError(text, details={"violations": _violations(error)}) from None


def _dump(value: object, declared: type[Any]) -> bytes:
    if not isinstance(value, declared):
        text = f"expected {declared.__name__}, got {type(value).__name__}"
        raise TypeError(text)
    return cast(
        "bytes", declared.__pydantic_serializer__.to_json(value, by_alias=True, warnings="error")
    )


def _request_metadata(context: RequestContext) -> bytes:
    metadata = _metadata(context, STAMPER.timestamp)
    if context.authentication is None:
        return metadata
    return b'%b,"authentication":%b}' % (
        metadata[:-1],
        to_json(context.authentication, by_alias=True),
    )


def _metadata(context: MessageContext, timestamp: str) -> bytes:
    text = (
        f'{{"messageId":"{context.message_id}","timestamp":"{timestamp}",'
        f'"correlation":{{"correlationId":{_quoted(context.correlation_id)}'
    )
    if context.causation_id is not None:
        text += f',"causationId":{_quoted(context.causation_id)}'
    if not context.metadata_context:
        return f"{text}}}}}".encode()
    return b'%b},"context":%b}' % (
        text.encode(),
        _open_json(context.metadata_context),
    )


def _open_json(value: Any) -> bytes:
    """Write what no model has checked; NaN and infinities are a ValueError, as they are no JSON."""
    data = to_json(value, by_alias=True, inf_nan_mode="constants")
    if b"NaN" in data or b"Infinity" in data:  # seldom, and then mostly words in a text
        json.loads(data, parse_constant=_refuse_constant)
    return data


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _reply_metadata(request: MessageContext) -> bytes:
    message_id = STAMPER.stamp()
    return (
        f'{{"messageId":"{message_id}","timestamp":"{STAMPER.timestamp}","correlation":'
        f'{{"correlationId":{_quoted(request.correlation_id)},"causationId":"{request.message_id}"}}}}'
    ).encode()


def _quoted(text: str) -> str:
    # Ids are mostly letters and digits, which nothing in JSON can be mistaken for.
    return f'"{text}"' if text.isalnum() else to_json(text).decode()


def _invalid(message: str, faults: list[Any]) -> InvalidArgumentError:
    return InvalidArgumentError(
        message, details={"violations": [_violation(fault) for fault in faults[:_MAX_VIOLATIONS]]}
    )


def _violations(error: ValidationError) -> list[dict[str, str]]:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [_violation(fault) for fault in faults[:_MAX_VIOLATIONS]]


def _violation(fault: Any) -> dict[str, str]:
    pointer = "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"]
    )
    return {"pointer": pointer[:_MAX_POINTER_LENGTH], "message": fault["msg"]}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{each['pointer']}: {each['message']}" for each in _violations(error))
    if isinstance(error, UnicodeError) or "UnicodeEncodeError" in str(error):
        return "it holds text that is no valid Unicode"
    if isinstance(error, PydanticSerializationError):
        return "it holds a value that its type does not allow"
    return str(error)


_FAILURE: Final = messages.Failure.__pydantic_validator__
_METADATA: Final = validator(_ReplyMetadata)
