"""Encoding and decoding of requests and replies.

Errors are raised outside of `except`: an exception keeps the one that is being handled as its
context, and those of pydantic have the values of the message.
"""

from collections.abc import Callable
from functools import cache, cached_property
from types import NoneType
from typing import Any, Final, NotRequired, cast

from pydantic import ValidationError, with_config
from pydantic_core import SchemaValidator, to_json
from typing_extensions import TypedDict

from weenats.codec.failures import details_decoder
from weenats.codec.json import UNREADABLE, has_constants, is_unreadable
from weenats.codec.keys import KEY, aggregate_type, key_codec
from weenats.codec.metadata import WRITTEN, message_metadata, reply_end
from weenats.codec.parts import Decoder, Encoder, may_be_deep
from weenats.codec.reader import Reader
from weenats.codec.requests import METADATA_HEAD, NOT_JSON, Metadata, Request, invalid_envelope
from weenats.codec.validators import CLOSED, STRICT, UNREAD, quiet_validator, typed_dict
from weenats.codec.violations import (
    SchemaError,
    Violation,
    breach,
    invalid,
    reason,
    violations,
    violations_of,
)
from weenats.context import RequestContext, Response
from weenats.contract import Aggregate, AnyOperation, Entity, state_of
from weenats.errors import CLASS_OF_CODE, InternalError, InvalidArgumentError, ServiceError
from weenats.protocol import messages
from weenats.protocol.subjects import Kind
from weenats.schema.part import declared_type, judge_of, type_name

__all__ = [
    "ContractBreachError",
    "OperationCodec",
    "ReceivedResponse",
    "operation_codec",
]
_NONE: Final[dict[str, Any]] = {}


class ContractBreachError(Exception):
    """The result of a handler is not what its contract declares.

    This is a bug of the service. It is logged, and the caller gets an InternalError.

    Args:
        operation: the operation.
        result: what the handler returned.
        why: what is wrong with it, "" when it has another type.
    """

    def __init__(self, operation: AnyOperation, result: object, why: str = "") -> None:
        name = type_name(operation.result)
        text = f"{operation.name} must return {name} according to its contract"
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
        self._broken = f"the payload of {operation.name} breaks the contract"
        self._has_payload = operation.payload is not NoneType
        self._has_result = operation.result is not NoneType
        state = state_of(operation)
        self._is_entity = state is not None
        self._result_member = "result" if state is None else "entity"
        aggregate = operation.aggregate
        self._keys = key_codec(aggregate)
        payload = operation.payload
        self._envelope = _envelope(aggregate, is_command=is_command)
        self._validate_metadata = _metadata().validate_json
        self._payload = Decoder(declared_type(payload), payload)
        self._may_be_deep = may_be_deep(declared_type(payload))
        self._write_result = Encoder(operation.result if state is None else state).write
        self._errors = {error.name: error for error in operation.errors}
        for error in operation.errors:
            if error.details_type is not None and (judge := judge_of(error.details_type)):
                judge.compile()
        member = b'"%b":' % self._member.encode() if self._has_payload else b""
        self._has_key = aggregate is not None
        if aggregate is None:
            self._head, self._payload_head = b"{%b" % member, b""
            self._metadata_head = METADATA_HEAD if member else METADATA_HEAD.removeprefix(b",")
        else:
            name = to_json(aggregate.name)
            self._head = b'{"aggregateId":{"type":%b,"key":' % name
            self._payload_head = b"},%b" % member if member else b"}"
            self._metadata_head = METADATA_HEAD
            self._entity_head = b'{"id":{"type":%b,"key":' % name
        self._key_at = len(self._head)
        self._reply_head = b'{"success":true'
        if self._has_result:
            self._reply_head = _SUCCESS_HEAD if state is None else b'{"success":true,"entity":'

    # A service never writes requests or reads replies, and reads requests as a whole only if their
    # members are not in the usual order: what a start does not need is built when it is used first.
    @cached_property
    def encode_payload(self) -> Callable[[object], bytes]:
        """Return a payload as JSON text; raise TypeError or ValueError if it is not one."""
        return Encoder(self.operation.payload, (self._member,), is_checked=False).write

    @cached_property
    def _request(self) -> Decoder:
        operation = self.operation
        is_command = operation.kind is Kind.COMMAND
        request = messages.CommandRequest if is_command else messages.QueryRequest
        payload = operation.payload
        whole = {self._member: declared_type(payload)} if self._has_payload else {}
        members = typed_dict(request, aggregateId=None, metadata=None, **whole)
        return Decoder(members, payload, (self._member,))

    @cached_property
    def _success(self) -> Decoder:
        operation = self.operation
        # The metadata of a reply is only read on demand.
        success: dict[str, Any] = {"metadata": None, "result": None}
        if self._has_result:
            success[self._result_member] = declared_type(operation.result)
        is_command = operation.kind is Kind.COMMAND
        reply = messages.CommandSuccess if is_command else messages.QuerySuccess
        path = ("entity", "state") if self._is_entity else ("result",)
        return Decoder(typed_dict(reply, **success), operation.result, path)

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
            key = to_json(context.key) if self._has_key else b""
            metadata = message_metadata(context, context.token)
            body = self.encode_payload(payload) if self._has_payload else b""
        except SchemaError as error:
            failure = invalid(self._broken, error.found)
        except (TypeError, ValueError) as error:
            text = f"the request of {self.operation.name} cannot be encoded: {reason(error)}"
            failure = InvalidArgumentError(text)
        else:
            head, tail = self._payload_head, self._metadata_head
            return b"".join((self._head, key, head, body, tail, metadata, b"}"))
        raise failure

    def decode_request(self, data: bytes) -> Request:
        """Decode the envelope of a request, and leave its payload unread.

        Args:
            data: the bytes of the request.

        Returns:
            The request.

        Raises:
            InvalidArgumentError: the envelope is invalid.
        """
        # As `encode_request` writes it: a key, a payload and metadata between fixed text. Each of
        # them is parsed on its own. If all are JSON values, this is what parsing the whole request
        # finds, but the payload can wait, and nothing is parsed twice.
        head, tail = self._payload_head, self._metadata_head
        start = data.find(head) if self._has_key else self._key_at
        end = data.rfind(tail)
        if 0 < start <= end - len(head) and data.startswith(self._head):
            after = end + len(tail)
            metadata: Any = None
            has_context = False
            try:
                key = KEY.validate_json(data[self._key_at : start]) if self._has_key else ""
                written = WRITTEN(data[after:].decode("latin-1"))  # quicker than bytes: it has str
                if written is not None:
                    metadata = written.groups()
                elif data.endswith(b"}"):
                    members = self._validate_metadata(data[after:-1], by_name=False)
                    if members is not None:
                        metadata, has_context = _metadata_of(members), "context" in members
            except ValidationError:
                pass  # the members have another order, or are not JSON
            else:
                if key is not None and metadata is not None:
                    place = slice(start + len(head), end)
                    return Request(key, metadata, has_context, self._read, data, place)
        return self._decode_envelope(data)

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
        return self._reply_head + self.encode_result(result) + reply_end(duration, request)

    def encode_result(self, result: object) -> bytes:
        """Return a result as JSON text; b"" if the operation has none.

        Args:
            result: what the handler returned.

        Raises:
            ContractBreachError: it is not what the contract declares.
        """
        why = ""
        try:
            if self._is_entity:
                return self._entity(result)
            if self._has_result:
                return self._write_result(result)
            if result is None:
                return b""
        except TypeError:
            pass
        except ValueError as error:
            why = reason(error)
        raise ContractBreachError(self.operation, result, why)

    def encode_stored(self, duration: float, request: RequestContext) -> bytes:
        """Encode the reply of a request whose result is in the object store.

        Args:
            duration: the duration of the request in milliseconds.
            request: the request.
        """
        return _SUCCESS_HEAD + b"null" + reply_end(duration, request)

    def payload_place(self, data: bytes, context: RequestContext) -> slice:
        """Return where the payload is in a request that this codec has encoded.

        Args:
            data: the bytes of the request.
            context: the request.
        """
        key = len(to_json(context.key)) if self._has_key else 0
        start = self._key_at + key + len(self._payload_head)
        end = (
            len(data) - 1 - len(message_metadata(context, context.token)) - len(self._metadata_head)
        )
        return slice(start, end)

    @staticmethod
    def result_place(data: bytes) -> slice:
        """Return where the result is in a reply that this codec has encoded.

        Args:
            data: the bytes of the reply.
        """
        return slice(len(_SUCCESS_HEAD), data.rindex(b',"duration":'))

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
        # As a whole, unlike requests and events: a pattern takes as long to match what follows the
        # result as pydantic takes to skip it.
        found: SchemaError | None = None
        try:
            success = self._success.read(data)
        except SchemaError as error:
            success, found = None, error
        except ValueError:
            success = None
        if success is None or has_constants(data):
            return self._odd_response(data, found)
        result = success[self._result_member] if self._has_result else None
        return ReceivedResponse(result, success["duration"], data)

    def decode_failure(self, data: bytes, not_success: ValueError | None = None) -> ServiceError:
        """Decode an error reply.

        Args:
            data: the bytes of the reply.
            not_success: what is wrong with the reply as that of a success, which is reported when
                the reply is not an error either.

        Returns:
            The error in the reply; InternalError when the reply is not valid.
        """
        try:
            failure = _failure().decode(data)
        except (SchemaError, ValidationError) as error:
            text = f"the reply of {self.operation.subject} breaks the contract"
            return breach(text, not_success or error, data)
        body: dict[str, Any] = failure["error"]
        declared = self._declared(body, data)
        canonical = CLASS_OF_CODE[body["code"]]
        received = declared or canonical(body["message"], details=body.get("details"))
        received.remote = True
        return received

    def _odd_response(self, data: bytes, found: SchemaError | None) -> Response:
        """Decode a reply that is not a success whose numbers are written as usual.

        Args:
            data: the bytes of the reply.
            found: what is wrong with it as that of a success, None if that is not known.

        Raises:
            ServiceError: as `decode_response`.
        """
        if data.startswith(_FAILURE_HEAD):
            failure = self.decode_failure(data)
        elif found is not None:
            failure = self.decode_failure(data, found)
        else:
            try:
                success = self._success.decode(data)
                result = success[self._result_member] if self._has_result else None
                return ReceivedResponse(result, success["duration"], data)
            except SchemaError as error:
                failure = self.decode_failure(data, error)
            except ValueError as error:
                subject = self.operation.subject
                failure = InternalError(f"the reply of {subject} is not valid JSON: {error}")
        try:
            raise failure
        finally:
            del failure  # else it and this frame, in its traceback, would keep each other alive

    def _decode_envelope(self, data: bytes) -> Request:
        """Decode the envelope of a request whose members may have any order.

        Raises:
            InvalidArgumentError: it is invalid.
        """
        try:
            envelope = self._envelope.decode(data)
        except (SchemaError, ValidationError) as error:
            failure = invalid_envelope(violations_of(error), self._envelope.names)
        else:
            key = envelope["aggregateId"]["key"] if self._has_key else ""
            members: dict[str, Any] | None = envelope.get("metadata")
            metadata = None if members is None else _metadata_of(members)
            has_context = members is not None and "context" in members
            return Request(key, metadata, has_context, self._read, data, None)
        raise failure

    def _read(self, key: str, data: bytes, place: slice | None) -> object:
        """Check the key of a request, and return its payload.

        Raises:
            InvalidArgumentError: one of them breaks the contract, some part is NaN, or the payload
                nests too deep for replies and events with it.
        """
        if not self._keys.is_plain:
            self._keys.read(key)
        if place is None or has_constants(part := data[place]):
            return self._read_whole(data)
        if not self._has_payload and not part:
            return None
        try:
            payload = self._payload.read(part)
        except SchemaError as error:
            found = [each.inside(self._member) for each in error.found]
        except ValueError:
            return self._read_whole(data)  # it shows what is wrong, and where
        else:
            if not (self._may_be_deep and is_unreadable(part)):
                return payload
            found = [Violation((self._member,), "", UNREADABLE)]
        raise invalid(self._broken, found)

    def _read_whole(self, data: bytes) -> object:
        """Return the payload of a request whose members may have any order.

        Raises:
            InvalidArgumentError: it breaks the contract, or some part is NaN.
        """
        try:
            request = self._request.decode(data)
        except SchemaError as error:
            failure = invalid(self._broken, error.found)
        except ValueError as error:
            failure = InvalidArgumentError(NOT_JSON, details={"violations": violations(error)})
        else:
            if not (self._may_be_deep and is_unreadable(data, 1)):
                return request[self._member] if self._has_payload else None
            failure = invalid(self._broken, [Violation((self._member,), "", UNREADABLE)])
        raise failure

    def _entity(self, result: object) -> bytes:
        if not isinstance(result, Entity):
            raise ContractBreachError(self.operation, result)
        entity = cast("Entity[object]", result)
        return b'%b%b},"state":%b,"revision":%d}' % (
            self._entity_head,
            to_json(entity.id.key),
            self._write_result(entity.state),
            entity.revision,
        )

    def _declared(self, body: dict[str, Any], data: bytes) -> ServiceError | None:
        """Return the error of the contract that a reply names, None when there is none."""
        name: object = body.get("details", {}).get("error")
        declared = self._errors.get(name) if isinstance(name, str) else None
        if declared is None or declared.code.value != body["code"]:
            return None
        details_type: Any = declared.details_type
        if details_type is None:
            return declared(body["message"])
        try:
            failure = details_decoder(details_type).decode(data)
        except ValueError:
            return None
        return declared(body["message"], details=failure["error"]["details"]["data"])


# Validators take milliseconds to build, and not every program that imports this needs them.
@cache
def _metadata() -> SchemaValidator:
    """Return what reads the metadata of requests, None for what has to be read another way."""
    # No unknown members, whose values would have to be searched for NaN.
    return quiet_validator(typed_dict(messages.MessageMetadata, CLOSED, context=UNREAD))


@cache
def _failure() -> Reader:
    return Reader(typed_dict(messages.Failure))


@cache
def _reply_metadata() -> Reader:
    # As a model, and not as a dictionary: it is what callers get.
    members = {"metadata": NotRequired[messages.MessageMetadata]}
    return Reader(with_config(STRICT)(TypedDict("ReplyMetadata", members)))  # type: ignore[operator]


@cache
def _metadata_member() -> Any:
    return NotRequired[typed_dict(messages.MessageMetadata, context=UNREAD)]


def _metadata_of(members: dict[str, Any]) -> Metadata:
    correlation = members.get("correlation", _NONE)
    return (
        members["messageId"],
        members["timestamp"],
        correlation.get("correlationId"),
        correlation.get("causationId"),
        members.get("authentication", _NONE).get("token"),
    )


@cache
def _envelope(aggregate: Aggregate[Any] | None, *, is_command: bool) -> Reader:
    """Return what reads requests without their payload: all operations of an aggregate share it."""
    request = messages.CommandRequest if is_command else messages.QueryRequest
    member = "command" if is_command else "query"
    members = {"aggregateId": aggregate_type(aggregate), "metadata": _metadata_member()}
    return Reader(typed_dict(request, **members, **{member: None}))


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
            reply = _reply_metadata().decode(self._data)
        except (SchemaError, ValidationError) as error:
            failure = breach("the metadata of the reply is invalid", error, self._data)
        else:
            metadata: messages.MessageMetadata | None = reply.get("metadata")
            return metadata
        raise failure


_SUCCESS_HEAD: Final = b'{"success":true,"result":'
_FAILURE_HEAD: Final = b'{"success":false'
