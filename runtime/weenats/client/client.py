"""Calling a service: the base of generated clients, its options, and its immutable overlays."""

from __future__ import annotations

import asyncio
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypedDict, TypeVar, cast

from typing_extensions import Unpack

from weenats import discovery
from weenats import interceptors as chains
from weenats._internal.validation import unknown_option
from weenats.client.retry import RetryInterceptor
from weenats.client.tokens import (
    CachedToken,
    ask,
    check_source,
    warn_if_exposed,
)
from weenats.codec import OperationCodec
from weenats.context import CURRENT, NO_CONTEXT, Key, MessageContext, RequestContext, Response
from weenats.errors import DeadlineExceededError, UnauthenticatedError
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.deadline import DEFAULT_TIMEOUT, Duration, seconds
from weenats.protocol.headers import NO_HEADERS
from weenats.protocol.identifiers import STAMPER, check_correlation
from weenats.protocol.subjects import Kind
from weenats.telemetry.client import OutgoingCalls
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.telemetry.propagation import propagated_headers
from weenats.telemetry.settings import TelemetrySettings
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from pydantic import JsonValue

    from weenats.client.tokens import TokenProvider, TokenSource
    from weenats.contract import AnyOperation, Command, Query, ServiceContract
    from weenats.interceptors import CallNext, Interceptor
    from weenats.protocol.messages import (
        HealthCheck,
        InfoResponse,
        PingResponse,
        StatsResponse,
    )
    from weenats.transport.base import Delivery, Transport
    from weenats.transport.options import ConnectionOptions

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
TokenT = TypeVar("TokenT")
AnswerT = TypeVar("AnswerT")
_TOKEN_PROVIDER: Final = Key["TokenProvider | None"]("token provider")


class CallOptions(TypedDict, total=False):
    """What one call may say for itself; it wins over the client's own settings.

    Attributes:
        timeout: how long the call may take, seconds or timedelta; default: the client's, else the
            operation's in the contract, else 5 seconds. Inside a handler it can only shorten what
            is left.
        correlation_id: default: that of the message being served, else a new one.
        causation_id: default: the message being served.
        token: a JWT that says who calls, or what returns one, sync or async: see CachedToken.
        context: members of `metadata.context`, added to the client's.
        headers: NATS headers, added to the client's.
    """

    timeout: Duration
    correlation_id: str
    causation_id: str
    token: TokenSource
    context: Mapping[str, JsonValue]
    headers: Mapping[str, str]


_CALL_OPTIONS: Final = frozenset(CallOptions.__annotations__)


class ServiceClient:
    """The base of generated clients: calls the operations of one contract.

    It is immutable: every `with_*` returns a new client on the same connection. `connect` opens the
    connection by the first call or by `async with`; leaving that closes it. A client on a given
    transport leaves it open.

    Args:
        transport: the connection to share.
    """

    contract: ClassVar[ServiceContract]

    def __init__(self, transport: Transport) -> None:
        if isinstance(cast("object", transport), str):
            raise TypeError(f"to connect to a URL, use {type(self).__name__}.connect(url)")
        self._transport = transport
        self._owns_transport = False
        self._timeout: float | None = None
        self._token: TokenSource | None = None
        self._context: Mapping[str, JsonValue] = NO_CONTEXT
        self._headers: Mapping[str, str] = NO_HEADERS
        self._header_lines = b""
        self._interceptors: tuple[Interceptor, ...] = ()
        self._telemetry: TelemetryManager | None = None
        self._called: dict[AnyOperation | str, OutgoingCalls] = {}
        self._call: CallNext = self._send
        self._codecs: dict[AnyOperation, OperationCodec] = {}

    @classmethod
    def connect(
        cls,
        servers: str | Sequence[str] = "nats://localhost:4222",
        *,
        connection: ConnectionOptions | None = None,
        token: TokenSource | None = None,
        timeout: Duration | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> Self:
        """Return a client with a connection of its own.

        The first call opens it, or `async with`.

        Raises:
            InvalidArgumentError: an option is refused.
        """
        client = cls(NatsTransport(servers, connection))
        if timeout is not None:
            client = client.with_timeout(timeout)
        if token is not None:
            client = client.with_token(token)
        for interceptor in interceptors:
            client = client.with_interceptor(interceptor)
        client._owns_transport = True
        return client

    @property
    def transport(self) -> Transport:
        """The connection of this client."""
        return self._transport

    async def close(self) -> None:
        """Close the connection when it is the client's own.

        Calls that wait end with ConnectionLostError.
        """
        if self._owns_transport:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        await self._transport.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def with_timeout(self, timeout: Duration) -> Self:
        """Give calls so long, seconds or timedelta, whatever the contract says.

        Raises:
            InvalidArgumentError: it is no positive duration.
        """
        return self._with(_timeout=seconds(timeout))

    def with_token(self, token: TokenSource) -> Self:
        """Send a JWT with each call that says who calls.

        A callable is asked for each call, within the call's time; CachedToken keeps what it says.

        Raises:
            InvalidArgumentError: it is empty, or neither a token nor a callable.
        """
        return self._with(_token=check_source(token))

    def with_header(self, name: str, value: str) -> Self:
        """Send a NATS header with each call.

        Raises:
            InvalidArgumentError: the header is reserved or malformed.
        """
        header_names.check({name: value})
        headers = {**self._headers, name: value}
        return self._with(_headers=headers, _header_lines=header_names.encode(headers))

    def with_context(self, **members: JsonValue) -> Self:
        """Send members of `metadata.context` with each call."""
        return self._with(_context={**self._context, **members})

    def with_interceptor(self, interceptor: Interceptor) -> Self:
        """Let an interceptor stand around each call; the first added is the outermost.

        Raises:
            TypeError: it is not async, or does not take (context, call_next).
        """
        chains.check(interceptor)
        return self._with(_interceptors=(*self._interceptors, interceptor))

    def with_retry(
        self,
        attempts: int = 3,
        *,
        initial_backoff: Duration = 0.05,
        max_backoff: Duration = 2.0,
        budget: float = 0.1,
    ) -> Self:
        """Make calls of idempotent operations again, at this place among the interceptors.

        Those added before see a call once, those added later see each attempt. The clients that
        come from the returned one share its budget of retries.

        Args:
            attempts: how often a call is made at most, the first time included, 2 to 10.
            initial_backoff: the longest pause before the second attempt; it doubles with each one.
            max_backoff: what the longest pause does not grow beyond.
            budget: the share of this client's calls that may be retries, see RetryBudget.

        Raises:
            ValueError: a value is out of bounds; or calls are made again already.
            InvalidArgumentError: a duration is none.
        """
        if any(isinstance(each, RetryInterceptor) for each in self._interceptors):
            raise ValueError("calls are made again already: with_retry is called once")
        return self.with_interceptor(
            RetryInterceptor(
                attempts, initial_backoff=initial_backoff, max_backoff=max_backoff, budget=budget
            )
        )

    def with_telemetry(self, settings: TelemetrySettings | None = None) -> Self:
        """Record a CLIENT span and the duration of each call, with the application's provider.

        Args:
            settings: what is collected.

        Raises:
            ValueError: there is an `exporter_url`, which is a service's.
        """
        settings = settings or TelemetrySettings()
        if settings.exporter_url is not None:
            raise ValueError("a client's spans go to the application's provider: no exporter_url")
        return self._with(_telemetry=TelemetryManager(settings), _called={})

    @property
    def telemetry(self) -> TelemetryManager:
        """What records the calls and events of this client and spans of your own; else nothing."""
        return self._telemetry or SILENT

    async def execute(
        self,
        command: Command[PayloadT, ResultT],
        key: str,
        payload: PayloadT,
        **options: Unpack[CallOptions],
    ) -> ResultT:
        """Execute a command on the aggregate with this key.

        Raises:
            ServiceError: what the service replied with, errors of the contract as their own class;
                or what kept the call from being answered, see Transport.request.
            InvalidArgumentError: an option, the key or the payload cannot be sent.
            TypeError: there is no such option.
        """
        response = await self._call(self._request(command, key, payload, options))
        return cast("ResultT", chains.result_of(response))

    async def query(
        self,
        query: Query[PayloadT, ResultT],
        key: str,
        parameters: PayloadT,
        **options: Unpack[CallOptions],
    ) -> ResultT:
        """Ask a query of the aggregate with this key.

        Raises:
            ServiceError: as `execute`.
            TypeError: as `execute`.
        """
        response = await self._call(self._request(query, key, parameters, options))
        return cast("ResultT", chains.result_of(response))

    async def get_service_info(self, instance_id: str | None = None) -> InfoResponse:
        """Return what the service tells of itself (ADR-32 INFO).

        Raises:
            ServiceError: see discovery.get_service_info.
        """
        return await self._discover("INFO", discovery.get_service_info, instance_id)

    async def get_service_stats(self, instance_id: str | None = None) -> StatsResponse:
        """Return what one instance of the service has counted (ADR-32 STATS).

        Raises:
            ServiceError: see discovery.get_service_stats.
        """
        return await self._discover("STATS", discovery.get_service_stats, instance_id)

    async def list_instances(self) -> list[PingResponse]:
        """Return every running instance of the service (ADR-32 PING)."""
        return await self._discover("PING", discovery.list_instances)

    async def check_health(self) -> HealthCheck:
        """Return the health of one instance of the service.

        Raises:
            ServiceError: see discovery.check_health.
        """
        return await self._discover("HEALTH", discovery.check_health)

    async def _discover(
        self, verb: str, ask: Callable[..., Awaitable[AnswerT]], *which: str | None
    ) -> AnswerT:
        """Ask the service about itself, within a span where there is telemetry."""
        name, timeout = self.contract.name, self._patience

        def send(_: None, trace: bytes) -> Awaitable[AnswerT]:
            return ask(self._transport, name, *which, timeout=timeout, headers=trace)

        if self._telemetry is None:
            return await send(None, b"")
        called = self._called.get(verb)
        if called is None:
            health = verb == "HEALTH"
            subject = subjects.health(name) if health else subjects.discovery(verb, name)
            called = OutgoingCalls(self._telemetry, f"{name}/${verb}", Kind.QUERY, subject)
            self._called[verb] = called
        return await called.call(None, send, self._transport.server_address)

    @property
    def _patience(self) -> float:
        return self._timeout or DEFAULT_TIMEOUT

    def _with(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of private attributes
        changed = copy(self)
        for name, value in changes.items():
            setattr(changed, name, value)
        changed._call = chains.chain(changed._interceptors, changed._send)
        return changed

    def _request(
        self, operation: AnyOperation, key: str, payload: object, options: CallOptions
    ) -> RequestContext:
        if "timeout" in options:
            timeout = seconds(options["timeout"])
        else:
            timeout = self._timeout or operation.timeout or DEFAULT_TIMEOUT
        message_id = STAMPER.stamp()
        context = RequestContext(
            side="client",
            operation=operation,
            key=key,
            payload=payload,
            message_id=message_id,
            correlation_id=message_id,
            metadata_context=self._context,
            headers=self._headers,
            deadline=monotonic() + timeout,
        )
        if self._token is not None:
            _set_token(context, self._token)
        current = CURRENT.get()
        if current is not None:
            _inherit(context, current)
            if self._telemetry is None or not self._telemetry.traces:
                _propagate(context, current)
        if options:
            _apply(context, options)
        return context

    async def _send(self, context: RequestContext) -> Response:
        if context.token is not None:
            try:
                return await self._exchange(context)
            finally:
                warn_if_exposed(self._transport)
        if _TOKEN_PROVIDER in context and (provider := context[_TOKEN_PROVIDER]) is not None:
            return await self._send_as(context, provider)
        return await self._exchange(context)

    async def _send_as(self, context: RequestContext, provider: TokenProvider) -> Response:
        """Send the call with a token of the provider; with another one when that is refused."""
        token = await _in_time(ask(provider), context)
        try:
            return await self._send(context.replace(token=token))
        except UnauthenticatedError as error:
            if not (error.remote and isinstance(provider, CachedToken)):
                raise
            renewed = await _in_time(provider.renew(token), context)
            if renewed is None:
                raise
        return await self._send(context.replace(token=renewed))

    async def _exchange(self, context: RequestContext) -> Response:
        if self._telemetry is None:
            return await self._ask(context)
        called = self._called.get(context.operation)
        if called is None:
            called = OutgoingCalls.of(self._telemetry, context.operation)
            self._called[context.operation] = called
        return await called.call(context, self._ask, self._transport.server_address)

    async def _ask(self, context: RequestContext, trace: bytes = b"") -> Response:
        operation = context.operation
        codec = self._codecs.get(operation)
        if codec is None:
            codec = self._codecs[operation] = OperationCodec(operation)
        deadline = cast("float", context.deadline)
        remaining = int((deadline - monotonic()) * 1000)
        if remaining <= 0:
            raise DeadlineExceededError("the deadline passed before the call was sent")
        lines = (
            self._header_lines
            if context.headers is self._headers
            else header_names.encode(context.headers)
        )
        reply = await self._transport.request(
            operation.subject,
            codec.encode_request(context),
            b"Wee-Timeout: %d\r\n%b%b" % (remaining, trace, lines),
            deadline,
            _is_reply,
            cancel_subject=operation.contract.cancel_subject,
        )
        return codec.decode_response(reply.payload)


def _inherit(context: RequestContext, current: MessageContext) -> None:
    """Take over from the message being served what its nested calls carry on."""
    context.correlation_id = current.correlation_id
    context.causation_id = current.message_id
    inherited = current.inherited_deadline
    if inherited is not None and context.deadline is not None:
        context.deadline = min(context.deadline, inherited)


def _propagate(context: RequestContext, current: MessageContext) -> None:
    """Carry the trace of the message being served on."""
    if propagated := propagated_headers(current):
        context.headers = {**context.headers, **propagated}


def _apply(context: RequestContext, options: CallOptions) -> None:
    """Let the options of one call win over the client's settings."""
    if not options.keys() <= _CALL_OPTIONS:
        raise unknown_option(options, _CALL_OPTIONS, "a call")
    if "correlation_id" in options:
        context.correlation_id = check_correlation(options["correlation_id"], "correlation_id")
    if "causation_id" in options:
        context.causation_id = check_correlation(options["causation_id"], "causation_id")
    if "token" in options:
        _set_token(context, check_source(options["token"]))
    if "context" in options:
        context.metadata_context = {**context.metadata_context, **options["context"]}
    if "headers" in options:
        header_names.check(options["headers"])
        context.headers = {**context.headers, **options["headers"]}


def _is_reply(delivery: Delivery) -> bool:
    """Tell a service's reply from what others on the subject sent, a stream for instance."""
    return b'"success"' in delivery.payload


def _set_token(context: RequestContext, token: TokenSource) -> None:
    """Let the call carry a token, or one that is asked for when it is sent."""
    if isinstance(token, str):
        context.token = token
        if _TOKEN_PROVIDER in context:
            context[_TOKEN_PROVIDER] = None
    else:
        context.token = None
        context[_TOKEN_PROVIDER] = token


async def _in_time(token: Awaitable[TokenT], context: RequestContext) -> TokenT:
    """Wait for a token, but no longer than the call may take."""
    try:
        async with asyncio.timeout(context.remaining):
            return await token
    except TimeoutError:
        raise DeadlineExceededError("the deadline passed before there was a token") from None
