"""One call: its options, the context of its request, and the exchange with the service."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from weenats._internal.validation import check_integer, check_options
from weenats.client.tokens import TOKEN_REFUSED, TokenSource, check_source, set_token
from weenats.codec.keys import key_codec
from weenats.codec.operations import operation_codec
from weenats.codec.replies import error_in_headers, is_reply
from weenats.context import CURRENT, NO_CONTEXT, RequestContext
from weenats.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    UnauthenticatedError,
)
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.headers import NO_HEADERS
from weenats.protocol.identifiers import STAMPER, check_correlation, check_message_id
from weenats.protocol.subjects import Kind
from weenats.protocol.timeouts import DEFAULT_TIMEOUT, Duration, seconds
from weenats.telemetry.propagation import inherited_header_lines

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.client.large import LargeCall
    from weenats.context import Response
    from weenats.contract import AnyOperation
    from weenats.transport.base import Transport

__all__ = ["CallDefaults", "CallOptions", "Exchange"]


class CallOptions(TypedDict, total=False):
    """Options of one call, which override the settings of the client.

    Attributes:
        timeout: the time limit of the call, in seconds or as timedelta. By default that of the
            client, else of the operation in the contract, else 5 seconds. Within a handler the
            remaining time of the request is the upper limit.
        message_id: the id of the call, a ULID; see new_message_id. By default a new one. A call
            that repeats an earlier one has its id.
        correlation_id: by default that of the message being served, else the id of the call.
        causation_id: by default the id of the message being served.
        token: a JWT that authenticates the caller, or a provider that returns one, sync or async;
            see CachedToken. None sends no token, also where the client has one.
        context: members of `metadata.context`, in addition to those of the client.
        headers: NATS headers, in addition to those of the client.
        if_revision: the revision that the aggregate must have, 0 if nothing may have happened to
            it; otherwise the command is ABORTED. For aggregates that are kept in a stream.
    """

    timeout: Duration
    message_id: str
    correlation_id: str
    causation_id: str
    token: TokenSource | None
    context: Mapping[str, JsonValue]
    headers: Mapping[str, str]
    if_revision: int


class CallDefaults(NamedTuple):
    """The settings of all calls of a client, which the options of a call override.

    Attributes:
        timeout: the time limit in seconds; None for that of the contract.
        token: a token or a provider of tokens.
        context: members of `metadata.context`.
        headers: NATS headers.
    """

    timeout: float | None = None
    token: TokenSource | None = None
    context: Mapping[str, JsonValue] = NO_CONTEXT
    headers: Mapping[str, str] = NO_HEADERS

    def __repr__(self) -> str:
        return "CallDefaults(...)"  # without the token

    def request(
        self, operation: AnyOperation, key: object, payload: object, options: CallOptions
    ) -> RequestContext:
        """Return the context of a new request.

        Within a handler it belongs to the message being served: it has its correlation id and its
        deadline, and names it as its cause.

        Args:
            operation: the command or query.
            key: the key of the aggregate, of the type in the contract; None without one.
            payload: the payload of the command or the parameters of the query.
            options: the options of the call.

        Raises:
            InvalidArgumentError: the key or an option is not valid.
            TypeError: an option is unknown.
        """
        message_id, timestamp = STAMPER.stamp()
        timeout = self.timeout or operation.timeout or DEFAULT_TIMEOUT
        token = self.token
        if options:
            if "message_id" in options:
                message_id = check_message_id(options["message_id"])
            if "timeout" in options:
                timeout = seconds(options["timeout"])
            if "token" in options:
                token = options["token"]
                if token is not None:
                    check_source(token)
        context = RequestContext(
            "client",
            operation,
            key_codec(operation.aggregate).write(key),
            payload,
            message_id,
            message_id,  # the correlation id
            timestamp,
            None,  # the causation id
            None,  # the token
            self.context,
            self.headers,
            monotonic() + timeout,
        )
        current = CURRENT.get()
        if current is not None:
            context.correlation_id = current.correlation_id
            context.causation_id = current.message_id
            inherited = current.inherited_deadline
            if inherited is not None:
                context.deadline = min(cast("float", context.deadline), inherited)
        if options:
            _apply(options, context)
        if token is not None:
            set_token(context, token)
        return context


def _apply(options: CallOptions, context: RequestContext) -> None:
    check_options(options, CallOptions, "a call")
    if "correlation_id" in options:
        context.correlation_id = check_correlation(options["correlation_id"], "correlation_id")
    if "causation_id" in options:
        context.causation_id = check_correlation(options["causation_id"], "causation_id")
    if "context" in options:
        given = cast("object", options["context"])
        if not isinstance(given, Mapping):
            raise InvalidArgumentError(f"context must be a mapping, not {type(given).__name__}")
        context.metadata_context = MappingProxyType(
            {**context.metadata_context, **options["context"]}
        )
    if "headers" in options:
        header_names.check(options["headers"])
        context.headers = MappingProxyType({**context.headers, **options["headers"]})
    if "if_revision" in options:
        revision = _required_revision(options["if_revision"], context.operation)
        context.headers = MappingProxyType({**context.headers, header_names.IF_REVISION: revision})


def _required_revision(revision: int, operation: AnyOperation) -> str:
    """Return the header for a required revision.

    Raises:
        InvalidArgumentError: it is not a revision, or the operation does not look at it.
    """
    aggregate = operation.aggregate
    if operation.kind is not Kind.COMMAND or aggregate is None or aggregate.store is None:
        raise InvalidArgumentError(
            f"if_revision is for commands of aggregates with `store: stream`, and"
            f" {operation.name} is none"
        )
    check_integer("if_revision", revision, 0, error=InvalidArgumentError)
    return str(revision)


def _large_call(operation: AnyOperation, transport: Transport) -> LargeCall:
    from weenats.client.large import LargeCall  # noqa: PLC0415 - few operations are large

    return LargeCall(operation, transport)


class Exchange:
    """The innermost step of the calls of one operation: encode, send, wait for the reply, decode.

    Args:
        operation: the command or query.
        transport: the connection.
        headers: the headers of most calls, which are encoded once.
        instance: the id of the instance to call; None for any.

    Raises:
        InvalidArgumentError: the operation cannot be called on a single instance.
    """

    def __init__(
        self,
        operation: AnyOperation,
        transport: Transport,
        headers: Mapping[str, str],
        instance: str | None = None,
    ) -> None:
        self._subject = operation.subject
        if instance is not None:
            if not operation.for_instances:
                raise InvalidArgumentError(
                    f"{operation.name} cannot be called on all instances or on one of them: it is"
                    " neither a query nor idempotent"
                )
            self._subject = subjects.on_instance(operation.subject, instance)
        self._cancel_subject = operation.contract.cancel_subject
        self._codec = operation_codec(operation)
        self._transport = transport
        self._large = None if operation.large is None else _large_call(operation, transport)
        self._headers = headers
        self._header_lines = header_names.encode(headers)

    async def send(self, context: RequestContext) -> Response:
        """Send a request and wait for its response.

        Args:
            context: the request.

        Returns:
            The response, if the request succeeded.

        Raises:
            DeadlineExceededError: the deadline passed before the request was sent.
            InternalError: the result is in the object store, and the contract has no `large`.
            InvalidArgumentError: an interceptor has set a deadline that is none.
            ServiceError: the error in the reply, or the reason why there is no reply, see
                Transport.request.
        """
        deadline: Any = context.deadline  # all calls have one
        headers = context.headers
        lines = self._header_lines if headers is self._headers else header_names.encode(headers)
        lines = (context.trace_headers or inherited_header_lines()) + lines
        body = self._codec.encode_request(context)
        if self._large is not None:
            body, reference = await self._large.sent(context, body, deadline)
            lines += reference
        try:
            remaining = int((deadline - monotonic()) * 1000)
        except (TypeError, ValueError, OverflowError):
            raise InvalidArgumentError(
                f"context.deadline of a call must be a finite time.monotonic(), not {deadline!r}"
            ) from None
        if remaining <= 0:
            raise DeadlineExceededError("the deadline passed before the call was sent")
        reply = await self._transport.request(
            self._subject,
            body,
            b"Wee-Timeout: %d\r\n" % remaining + lines,
            deadline,
            is_reply,
            cancel_subject=self._cancel_subject,
            message_id=context.message_id,
        )
        answer = reply.payload
        if self._large is not None:
            answer = await self._large.received(reply, deadline)
        elif reply.block and header_names.LARGE in reply.headers:
            raise InternalError(  # null, in its place, could be taken for it
                f"the result of {self._subject} is larger than a message, which this version"
                " of the contract does not expect; the request was executed"
            )
        try:
            return self._codec.decode_response(answer)
        except InternalError as error:
            foreign = None if error.remote else error_in_headers(reply)
            if foreign is None:
                raise
            raise foreign from None
        except UnauthenticatedError:
            context[TOKEN_REFUSED] = reply.headers.get(header_names.TOKEN_REFUSED, "")
            raise
