"""Requests and replies of operations, read and written."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, cast

from pydantic import MISSING, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from weenats.codec.json import dump, dump_checked, refuse_constants
from weenats.codec.metadata import reply_metadata, request_metadata
from weenats.codec.validators import lean, validator
from weenats.codec.violations import faults, invalid, not_json, reason, violations
from weenats.context import Response
from weenats.contract import AnyOperation, Entity, state_type
from weenats.errors import CLASS_OF_CODE, InternalError, InvalidArgumentError, ServiceError
from weenats.protocol import messages
from weenats.protocol.subjects import Kind

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.model import Model


class _ReplyMetadata(TypedDict):
    metadata: NotRequired[messages.MessageMetadata]


@dataclass(slots=True)
class Request:
    """A request as it came: the envelope, and the payload or what is wrong with it."""

    key: str
    payload: object
    metadata: dict[str, Any] | None
    payload_error: ServiceError | None = None


class ContractBreachError(Exception):
    """A handler returned what its contract does not promise.

    A defect of the service, told to its log only.
    """

    def __init__(self, operation: AnyOperation, result: object) -> None:
        super().__init__(
            f"{operation.name} must return {operation.result.__name__}, as its contract has it, "
            f"not {type(result).__name__}"
        )


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
            metadata = request_metadata(context)
            body = dump(payload, self.operation.payload) if self._has_payload else b""
        except (TypeError, ValueError) as error:
            text = f"the request of {self.operation.name} cannot be written: {reason(error)}"
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
            envelope = self._request.validate_json(data, by_name=False)
            refuse_constants(data)
        except ValidationError as error:
            return self._decode_envelope(data, error)
        except ValueError as error:
            raise not_json("the request envelope is invalid", error) from None
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
                body = self._entity(result, self._state)
            elif self.operation.result is NoneType:
                if result is not None:
                    raise ContractBreachError(self.operation, result)
                body = b'{"success":true'
            else:
                body = b'{"success":true,"result":' + dump_checked(result, self.operation.result)
        except (TypeError, ValueError) as error:
            raise ContractBreachError(self.operation, result) from error
        return b'%b,"duration":%.3f,"metadata":%b}' % (body, duration, reply_metadata(request))

    def decode_response(self, data: bytes) -> Response:
        """Read a reply.

        Raises:
            ServiceError: the one that the service replied with, declared ones as their own class.
            InternalError: the reply is no answer to this operation.
        """
        try:
            success = self._success.validate_json(data, by_name=False)
            refuse_constants(data)
        except ValidationError as error:
            raise self.decode_failure(data, error) from None
        except ValueError as error:
            raise InternalError(
                f"the reply of {self.operation.subject} is no JSON: {error}"
            ) from None
        result = None if self.operation.result is NoneType else success[self._result_member]
        return ReceivedResponse(result, success["duration"], data)

    def decode_failure(
        self, data: bytes, not_success: ValidationError | None = None
    ) -> ServiceError:
        """Return the error that a reply holds, or InternalError when it is none of ours."""
        try:
            failure = _FAILURE.validate_json(data, by_name=False)
        except ValidationError as error:
            text = f"the reply of {self.operation.subject} breaks the contract"
            return InternalError(
                text, details={"violations": violations(not_success or error, data)}
            )
        return self._error(failure.error)

    def _request_validator(self, payload: Any) -> Any:
        aggregate = lean(messages.AggregateId, type=Literal[self.operation.contract.aggregate])
        base = messages.CommandRequest if self._member == "command" else messages.QueryRequest
        members: dict[str, Any] = {"aggregateId": aggregate}
        if self._has_payload:
            members[self._member] = payload
        return validator(lean(base, **members))

    def _success_validator(self) -> Any:
        base = messages.CommandSuccess if self._member == "command" else messages.QuerySuccess
        # The metadata of a reply is read when somebody asks for it.
        members: dict[str, Any] = {"metadata": None, "result": None}
        if self.operation.result is not NoneType:
            members[self._result_member] = self.operation.result
        return validator(lean(base, **members))

    def _decode_envelope(self, data: bytes, error: ValidationError) -> Request:
        found = faults(error, data)
        outside = [fault for fault in found if fault["loc"][:1] != (self._member,)]
        if outside:
            raise invalid("the request envelope is invalid", outside)
        try:
            envelope = self._envelope.validate_json(data)
        except ValidationError:  # the payload is missing: there is nothing to hide
            raise invalid("the request envelope is invalid", found) from None
        return Request(
            envelope["aggregateId"]["key"],
            None,
            envelope.get("metadata"),
            invalid(f"the payload of {self.operation.name} breaks the contract", found),
        )

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
                to_json(details and details.get("data")), by_name=False
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
            reply = _METADATA.validate_json(self._data, by_name=False)
        except ValidationError as error:
            raise InternalError(
                "the metadata of the reply is invalid",
                details={"violations": violations(error, self._data)},
            ) from None
        metadata: messages.MessageMetadata | None = reply.get("metadata")
        return metadata


_FAILURE: Final = messages.Failure.__pydantic_validator__
_METADATA: Final = validator(_ReplyMetadata)
