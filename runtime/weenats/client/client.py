"""The base class of generated clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from typing_extensions import Unpack

from weenats import discovery
from weenats import interceptors as chains
from weenats._internal.uncopyable import Derivable
from weenats._internal.validation import check_integer
from weenats.client.call import CallDefaults, CallOptions, Exchange
from weenats.client.retry import RetryInterceptor, check_not_retried
from weenats.client.sharing import Connected, SharedTelemetry
from weenats.client.tokens import TokenInterceptor, check_source
from weenats.client.verification import Verification
from weenats.errors import InvalidArgumentError
from weenats.principal import read_only
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.timeouts import DEFAULT_TIMEOUT, Duration, seconds
from weenats.telemetry.client import ClientTelemetry
from weenats.telemetry.delegating import DelegatingTelemetry
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.telemetry.settings import TelemetrySettings
from weenats.transport.base import check_transport
from weenats.transport.nats import NatsTransport
from weenats.transport.shared import SharedTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pydantic import JsonValue

    from weenats.client.gathering import InstanceReply
    from weenats.client.tokens import TokenSource
    from weenats.client.verification import Verify
    from weenats.context import Response
    from weenats.contract import AnyOperation, Command, Query, ServiceContract
    from weenats.interceptors import CallNext, Interceptor
    from weenats.protocol.messages import HealthCheck, InfoResponse, PingResponse, StatsResponse
    from weenats.transport.base import Transport
    from weenats.transport.options import ConnectionOptions

__all__ = ["ServiceClient"]
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")


class ServiceClient(Derivable):
    """The base class of generated clients: calls the operations of one contract.

    A client is immutable. Every `with_*` method returns a new client that uses the same connection.
    A client from `connect`, and those derived from it, open their connection on the first call or
    with `async with`, and close it when the last of their `async with` blocks ends. A client that
    was given a transport leaves it open.

    A client belongs to the event loop on which it connected: calls on another loop raise
    WrongEventLoopError.

    Args:
        transport: a connection to share.

    Example:
        ```python
        async with ReceiptsClient.connect("nats://localhost:4222") as receipts:
            receipt = await receipts.get_receipt("r-1", timeout=2)
            hurried = receipts.with_timeout(0.5).with_retry()
            await hurried.finalize("r-1", Finalize())
        ```

    Raises:
        TypeError: the transport is a URL: use `connect`; or it is not a transport.
    """

    contract: ClassVar[ServiceContract]
    """The contract of the service; generated clients set it."""

    def __init__(self, transport: Transport) -> None:
        if isinstance(cast("object", transport), str):
            raise TypeError(f"to connect to a URL, use {type(self).__name__}.connect(url)")
        check_transport(transport)
        self._transport = transport
        self._owns_transport = False
        self._blocks: list[ServiceClient] = []  # shared by clients with the same connection
        self._defaults = CallDefaults()
        self._interceptors: tuple[Interceptor, ...] = ()
        self._tokens = TokenInterceptor(transport)
        self._telemetry: ClientTelemetry | SharedTelemetry | None = None
        self._instance: str | None = None
        self._verification: Verification | None = None
        self._chains: dict[AnyOperation, CallNext] = {}  # shared by clients with the same members

    @classmethod
    def connect(  # noqa: PLR0913 - the settings of a client
        cls,
        servers: str | Sequence[str] = "nats://localhost:4222",
        *,
        connection: ConnectionOptions | None = None,
        token: TokenSource | None = None,
        timeout: Duration | None = None,
        interceptors: Sequence[Interceptor] = (),
        verify: Verify = "warn",
    ) -> Self:
        """Return a client with a connection of its own, which the first call opens.

        Args:
            servers: the URL of a NATS server, or several URLs; a text may have several, separated
                by commas.
            connection: how to connect: credentials, TLS, timeouts.
            token: a JWT that authenticates the caller, or a provider of tokens; see `with_token`.
            timeout: the timeout of every call, in seconds or as timedelta; see `with_timeout`.
            interceptors: run around every call; the first one is the outermost.
            verify: what to do about a running contract that is not compatible: `warn` logs it, once
                and without delaying calls; `strict` fails; `off` does not look.

        Returns:
            The client.

        Example:
            ```python
            receipts = ReceiptsClient.connect(
                ["nats://a.example:4222", "nats://b.example:4222"],
                connection=ConnectionOptions(credentials="app.creds"),
                timeout=2,
            )
            ```

        Raises:
            InvalidArgumentError: an argument is not valid.
            TypeError: an interceptor is not async, or does not take (context, call_next); or
                `interceptors` is not a list of them.
        """
        client = cls(NatsTransport(servers, connection))
        given = cast("object", interceptors)
        if not isinstance(given, Iterable):
            raise TypeError(f"interceptors is a list of interceptors, not {type(given).__name__}")
        if timeout is not None:
            client = client.with_timeout(timeout)
        if token is not None:
            client = client.with_token(token)
        for interceptor in interceptors:
            client = client.with_interceptor(interceptor)
        client._owns_transport = True
        if verify != "off":
            client._verification = Verification(cls.contract, client._transport, verify)
        return client

    @classmethod
    def sharing(cls, owner: Connected) -> Self:
        """Return a client with the connection and the telemetry of its owner.

        It can be made before the owner is connected, for example when handlers are constructed, and
        leaves the connection open. Its calls in a handler have the remaining time of the request as
        their limit.

        Args:
            owner: the handlers of a service, or a client.

        Returns:
            The client; its calls raise UnavailableError while no running service serves the
            handlers.

        Raises:
            TypeError: `owner` has no connection to share.

        Example:
            ```python
            class Orders(OrdersHandlers):
                def __init__(self) -> None:
                    self._shipping = ShippingClient.sharing(self)
            ```
        """
        # Not `isinstance(owner, Connected)`: that would look for the connection now.
        if not (hasattr(type(owner), "transport") and hasattr(type(owner), "telemetry")):
            raise TypeError(
                f"{cls.__name__}.sharing takes the handlers of a service or a client, not {owner!r}"
            )
        client = cls(SharedTransport(lambda: owner.transport))
        client._telemetry = SharedTelemetry(owner, client._transport)
        return client

    @property
    def transport(self) -> Transport:
        """The connection of the client."""
        shared = self._transport
        return shared.current if isinstance(shared, SharedTransport) else shared

    @property
    def telemetry(self) -> TelemetryManager:
        """The telemetry of the client, for spans of your own; without `with_telemetry` a no-op."""
        return SILENT if self._telemetry is None else self._telemetry.manager

    async def close(self) -> None:
        """Close the connection, if the client has its own; pending calls fail.

        A server that hangs delays it up to `close_timeout` of ConnectionOptions.
        Closing goes on when its caller is cancelled.
        """
        if self._verification is not None:
            self._verification.stop()
        if self._owns_transport:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        self._blocks.append(self)  # before waiting: a block that ends meanwhile must not close it
        is_open = False
        try:
            await self._transport.connect()
            is_open = True
            if self._verification is not None:
                await self._verification.on_connect()
        except BaseException as error:  # `__aexit__` is not called
            self._blocks.pop()
            # A server that cannot be reached leaves nothing to close: entering can be tried again.
            if not self._blocks and (is_open or isinstance(error, asyncio.CancelledError)):
                await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._blocks:
            raise RuntimeError("the client is in no block of `async with` or `with`: use close()")
        self._blocks.pop()
        if not self._blocks:
            await self.close()

    def with_timeout(self, timeout: Duration) -> Self:
        """Set the timeout of every call; overrides the contract's.

        Args:
            timeout: seconds or a timedelta.

        Returns:
            A client with this timeout.

        Raises:
            InvalidArgumentError: it is not a positive duration.
        """
        return self._with(_defaults=self._defaults._replace(timeout=seconds(timeout)))

    def with_token(self, token: TokenSource) -> Self:
        """Authenticate the caller of every call.

        Args:
            token: a JWT, or a provider that returns one, sync or async. The provider is called for
                each call, before the deadline of the call; CachedToken keeps its token.

        Returns:
            A client with this token.

        Raises:
            InvalidArgumentError: it is an empty token, or neither a token nor a provider.
        """
        return self._with(_defaults=self._defaults._replace(token=check_source(token)))

    def with_header(self, name: str, value: str) -> Self:
        """Send a NATS header with every call.

        Args:
            name: the name of the header.
            value: the value of the header.

        Returns:
            A client with this header.

        Raises:
            InvalidArgumentError: the header is reserved or malformed.
        """
        header_names.check({name: value})
        headers = read_only({**self._defaults.headers, name: value})
        return self._with(_defaults=self._defaults._replace(headers=headers), _chains={})

    def with_context(self, **members: JsonValue) -> Self:
        """Send members of `metadata.context` with every call.

        Args:
            members: the members, by name.

        Returns:
            A client with these members.

        Raises:
            InvalidArgumentError: a member contains itself, or is nested too deeply.
        """
        try:
            context = read_only({**self._defaults.context, **members})
        except ValueError as error:
            raise InvalidArgumentError(f"context: {error}") from None
        return self._with(_defaults=self._defaults._replace(context=context))

    def with_interceptor(self, interceptor: Interceptor) -> Self:
        """Add an interceptor around every call; the first one that is added is the outermost.

        Args:
            interceptor: an async function that takes (context, call_next).

        Returns:
            A client with this interceptor.

        Raises:
            TypeError: it is not async, or does not take (context, call_next).
        """
        chains.check(interceptor)
        return self._with(_interceptors=(*self._interceptors, interceptor), _chains={})

    def with_retry(
        self,
        attempts: int = 3,
        *,
        initial_backoff: Duration = 0.05,
        max_backoff: Duration = 2.0,
        budget: float = 0.1,
    ) -> Self:
        """Retry calls of idempotent operations that fail with UNAVAILABLE or RESOURCE_EXHAUSTED.

        Interceptors that were added before see a call once; those that are added later see each
        attempt. Clients that are derived from the returned one share its budget.

        Args:
            attempts: the maximum number of attempts, the first one included, 2 to 10.
            initial_backoff: the longest delay before the second attempt, in seconds or as
                timedelta; it doubles with each attempt.
            max_backoff: the limit of the longest delay, in seconds or as timedelta.
            budget: the share of calls that may be retries, greater than 0 and at most 1; ten
                retries in 10 seconds are always granted.

        Returns:
            A client that retries.

        Raises:
            ValueError: an argument is out of range, or with_retry() was already called.
            InvalidArgumentError: a backoff is not a positive duration.
        """
        check_not_retried(self._interceptors)
        return self.with_interceptor(
            RetryInterceptor(
                attempts, initial_backoff=initial_backoff, max_backoff=max_backoff, budget=budget
            )
        )

    def with_telemetry(self, settings: TelemetrySettings | None = None) -> Self:
        """Record a CLIENT span and the duration of every call, with the application's providers.

        In the handlers of a service that has an `exporter_url`, they are exported with its own.

        Args:
            settings: what is recorded.

        Returns:
            A client with telemetry.

        Raises:
            ValueError: the settings have an `exporter_url`, which only services can have.
            TypeError: they are not TelemetrySettings.
        """
        settings = TelemetrySettings() if settings is None else settings
        if not isinstance(cast("object", settings), TelemetrySettings):
            raise TypeError(f"settings are TelemetrySettings, not {type(settings).__name__}")
        if settings.exporter_url is not None:
            raise ValueError(
                "exporter_url is for services only: a client uses the application's providers"
            )
        telemetry = ClientTelemetry(DelegatingTelemetry(settings), self._transport)
        return self._with(_telemetry=telemetry, _chains={})

    async def execute(
        self,
        command: Command[PayloadT, ResultT],
        key: object,
        payload: PayloadT,
        **options: Unpack[CallOptions],
    ) -> ResultT:
        """Execute a command.

        Args:
            command: the command.
            key: the key of the aggregate, of the type in the contract; None for a command of the
                service itself.
            payload: the payload of the command.
            options: see CallOptions.

        Returns:
            The result of the command.

        Raises:
            ServiceError: the error that the service replied with, errors of the contract as their
                own class; or why there is no reply, see Transport.request.
            InvalidArgumentError: an option, the key or the payload is not valid.
            TypeError: an option is unknown.
        """
        result: ResultT = chains.result_of(await self._call(command, key, payload, options))
        return result

    async def query(
        self,
        query: Query[PayloadT, ResultT],
        key: object,
        parameters: PayloadT,
        **options: Unpack[CallOptions],
    ) -> ResultT:
        """Send a query.

        Args:
            query: the query.
            key: the key of the aggregate, of the type in the contract; None for a query of the
                service itself.
            parameters: the parameters of the query, None when it has none.
            options: see CallOptions.

        Returns:
            The result of the query.

        Raises:
            ServiceError: as `execute`.
            TypeError: as `execute`.
        """
        result: ResultT = chains.result_of(await self._call(query, key, parameters, options))
        return result

    def on_instance(self, instance_id: str) -> Self:
        """Call one instance of the service, whether or not it is in its queue group.

        Queries and idempotent commands can be called; others raise InvalidArgumentError.

        Args:
            instance_id: the id of the instance, see `list_instances`.

        Returns:
            A client whose calls go to this instance.

        Raises:
            InvalidArgumentError: the id is not one token of a subject.
        """
        try:
            subjects.all_on_instance(self.contract.name, instance_id)
        except subjects.SubjectError as error:
            raise InvalidArgumentError(str(error)) from None
        return self._with(_instance=instance_id, _chains={})

    async def on_all(
        self,
        call: Callable[[Self], Awaitable[AnswerT]],
        *,
        max_wait: Duration | None = None,
        max_replies: int = 1000,
    ) -> list[InstanceReply[AnswerT]]:
        """Call every running instance of the service at the same time, and gather the replies.

        Each instance serves an ordinary request: authentication, limits and telemetry apply to it.
        Queries and idempotent commands can be called; others raise InvalidArgumentError.

        Args:
            call: makes the call with a client of one instance, see `on_instance`.
            max_wait: the time limit for everything, in seconds or as timedelta; by default the
                timeout of the client, else 5 seconds. Discovery takes at least 0.15 seconds of it.
            max_replies: the maximum number of instances, of more the first ones by id.

        Returns:
            A reply for each instance, sorted by id, with its result or error; DEADLINE_EXCEEDED for
            an instance that has not answered within `max_wait`.

        Example:
            ```python
            for reply in await receipts.on_all(lambda one: one.get_receipt("r-1"), max_wait=2):
                print(reply.instance.id, reply.error or reply.result().revision)
            ```

        Raises:
            InvalidArgumentError: an argument, or one of the call, is not valid.
            ServiceError: the instances cannot be listed, see discovery.list_instances.
        """
        check_integer("max_replies", max_replies, 1, error=InvalidArgumentError)
        wait = self._defaults.timeout or DEFAULT_TIMEOUT if max_wait is None else seconds(max_wait)
        deadline = monotonic() + wait
        instances = await self.with_timeout(wait).list_instances()
        clients: dict[str, tuple[PingResponse, Self]] = {}
        for each in instances:
            with suppress(InvalidArgumentError):  # an id that another party made up
                clients.setdefault(each.id, (each, self.on_instance(each.id)))
        from weenats.client.gathering import gather_calls  # noqa: PLC0415 - few clients need it

        return await gather_calls([*clients.values()][:max_replies], call, deadline)

    async def get_service_info(self, instance_id: str | None = None) -> InfoResponse:
        """Return the description of the service and its endpoints (ADR-32 INFO).

        Args:
            instance_id: the id of the instance; by default the first one that replies.

        Raises:
            ServiceError: see discovery.get_service_info.
        """
        return await self._discover("INFO", discovery.get_service_info, instance_id)

    async def get_service_stats(self, instance_id: str | None = None) -> StatsResponse:
        """Return the statistics of one instance of the service (ADR-32 STATS).

        Args:
            instance_id: the id of the instance; by default the first one that replies.

        Raises:
            ServiceError: see discovery.get_service_stats.
        """
        return await self._discover("STATS", discovery.get_service_stats, instance_id)

    async def get_contract_document(self, instance_id: str | None = None) -> bytes:
        """Return the contract of the running service as one JSON document.

        Args:
            instance_id: the id of the instance; by default any.

        Raises:
            ServiceError: see discovery.get_contract_document.
        """
        return await self._discover("CONTRACT", discovery.get_contract_document, instance_id)

    async def list_instances(self) -> list[PingResponse]:
        """Return all running instances of the service (ADR-32 PING).

        Raises:
            ServiceError: see discovery.list_instances.
        """
        return await self._discover("PING", discovery.list_instances)

    async def check_health(self) -> HealthCheck:
        """Return the health of one instance of the service.

        Raises:
            ServiceError: see discovery.check_health.
        """
        return await self._discover("HEALTH", discovery.check_health)

    async def _discover(
        self, verb: str, ask: Callable[..., Awaitable[AnswerT]], *instance: str | None
    ) -> AnswerT:
        name, timeout = self.contract.name, self._defaults.timeout or DEFAULT_TIMEOUT
        call = self._telemetry.discovery(name, verb) if self._telemetry else None
        with call or nullcontext(b"") as headers:
            return await ask(self._transport, name, *instance, timeout=timeout, headers=headers)

    def _call(
        self, operation: AnyOperation, key: object, payload: object, options: CallOptions
    ) -> Awaitable[Response]:
        call = self._chains.get(operation)
        if call is None:
            call = self._first(operation)
        return call(self._defaults.request(operation, key, payload, options))

    def _first(self, operation: AnyOperation) -> CallNext:
        """Return how an operation is called, and keep it unless calls wait for verification."""
        call, verification = self._chain(operation), self._verification
        if verification is not None:
            if verification.is_awaited:
                return verification.before(call)
            verification.start()
        self._chains[operation] = call
        return call

    def _chain(self, operation: AnyOperation) -> CallNext:
        """Compose the calls of an operation: interceptors, token, telemetry, exchange."""
        links = [*self._interceptors, self._tokens]
        if self._telemetry is not None:
            links.append(self._telemetry.interceptor(operation))
        exchange = Exchange(operation, self._transport, self._defaults.headers, self._instance)
        return chains.chain(links, exchange.send)

    def _with(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of private attributes
        changed = copy(self)
        vars(changed).update(changes)
        return changed
