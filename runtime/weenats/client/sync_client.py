"""The base class of generated synchronous clients."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from typing_extensions import Unpack

from weenats._internal.uncopyable import Derivable
from weenats.client.client import ServiceClient
from weenats.client.loop_thread import process_loop
from weenats.errors import WrongEventLoopError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from pydantic import JsonValue

    from weenats.client.call import CallOptions
    from weenats.client.gathering import InstanceReply
    from weenats.client.loop_thread import LoopThread
    from weenats.client.tokens import TokenSource
    from weenats.client.verification import Verify
    from weenats.contract import Command, Query, ServiceContract
    from weenats.interceptors import Interceptor
    from weenats.protocol.messages import HealthCheck, InfoResponse, PingResponse, StatsResponse
    from weenats.protocol.timeouts import Duration
    from weenats.telemetry.manager import TelemetryManager
    from weenats.telemetry.settings import TelemetrySettings
    from weenats.transport.base import Transport
    from weenats.transport.options import ConnectionOptions

__all__ = ["ServiceSyncClient"]
ClientT = TypeVar("ClientT", bound=ServiceClient)
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")


class ServiceSyncClient(Derivable, Generic[ClientT]):
    """The base class of generated synchronous clients: each call waits for its result.

    It has the methods, options and errors of the async client that it runs, on one event loop that
    all synchronous clients of a process share, in a thread of its own. The first call starts it;
    connections that are still open at the end of the process are closed then.

    A client is immutable, and any thread may use it; the context variables of the calling thread
    are those of the call. KeyboardInterrupt, and whatever else a signal handler raises while a call
    waits, cancels the call. Every `with_*` method returns a new client that uses the same
    connection. The connection opens on the first call or with `with`, and closes when the last
    `with` block of its clients ends. A client that has been used cannot be used in a forked
    process: WrongEventLoopError.

    Args:
        transport: a connection to share, that of another synchronous client or an unopened one.

    Example:
        ```python
        with ReceiptsSyncClient.connect("nats://localhost:4222") as receipts:
            receipt = receipts.get_receipt("r-1", timeout=2)
            hurried = receipts.with_timeout(0.5).with_retry()
            hurried.finalize("r-1", Finalize())
        ```

    Raises:
        TypeError: the transport is a URL: use `connect`; or it is not a transport.
    """

    contract: ClassVar[ServiceContract]
    """The contract of the service; generated clients set it."""
    client_class: ClassVar[type[ServiceClient]]
    """The asynchronous client of the same service; generated clients set it."""

    def __init__(self, transport: Transport) -> None:
        if isinstance(cast("object", transport), str):
            raise TypeError(f"to connect to a URL, use {type(self).__name__}.connect(url)")
        self._client = cast("ClientT", self.client_class(transport))
        self._binding = _Binding()

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

        Raises:
            InvalidArgumentError: an argument is not valid.
            TypeError: an interceptor is not async, or does not take (context, call_next); or
                `interceptors` is not a list of them.
        """
        owner = cls.client_class.connect(
            servers,
            connection=connection,
            token=token,
            timeout=timeout,
            interceptors=interceptors,
            verify=verify,
        )
        return cls(owner.transport)._with(owner)

    @classmethod
    def sharing(cls, owner: ServiceSyncClient[Any]) -> Self:
        """Return a client with the connection and the telemetry of its owner.

        It leaves the connection open. To call other services in async handlers, use the async
        client.

        Args:
            owner: the other client.

        Returns:
            The client.

        Raises:
            TypeError: `owner` is not a synchronous client.

        Example:
            ```python
            orders = OrdersSyncClient.sharing(receipts)
            ```
        """
        if not isinstance(cast("object", owner), ServiceSyncClient):
            raise TypeError(f"{cls.__name__}.sharing takes a synchronous client, not {owner!r}")
        return cls(owner.transport)._with(cls.client_class.sharing(owner))

    @property
    def transport(self) -> Transport:
        """The connection of the client."""
        return self._client.transport

    @property
    def telemetry(self) -> TelemetryManager:
        """The telemetry of the client, for spans of your own; without `with_telemetry` a no-op."""
        return self._client.telemetry

    def close(self) -> None:
        """Close the connection, if the client has its own; pending calls fail.

        A server that hangs delays it up to `close_timeout` of ConnectionOptions.

        Raises:
            WrongEventLoopError: the client was used before this process was forked.
        """
        self._wait(self._client.close())

    def __enter__(self) -> Self:
        self._wait(self._client.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._client.__aexit__())

    def with_timeout(self, timeout: Duration) -> Self:
        """Set the timeout of every call; overrides the contract's.

        Args:
            timeout: seconds or a timedelta.

        Returns:
            A client with this timeout.

        Raises:
            InvalidArgumentError: it is not a positive duration.
        """
        return self._with(self._client.with_timeout(timeout))

    def with_token(self, token: TokenSource) -> Self:
        """Authenticate the caller of every call.

        Args:
            token: a JWT, or a provider that returns one, sync or async. The provider is called for
                each call, before the deadline of the call; CachedToken keeps its token. A
                synchronous provider may block: it runs in a thread of its own.

        Returns:
            A client with this token.

        Raises:
            InvalidArgumentError: it is an empty token, or neither a token nor a provider.
        """
        return self._with(self._client.with_token(token))

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
        return self._with(self._client.with_header(name, value))

    def with_context(self, **members: JsonValue) -> Self:
        """Send members of `metadata.context` with every call.

        Args:
            members: the members, by name.

        Returns:
            A client with these members.

        Raises:
            InvalidArgumentError: a member contains itself, or is nested too deeply.
        """
        return self._with(self._client.with_context(**members))

    def with_interceptor(self, interceptor: Interceptor) -> Self:
        """Add an interceptor around every call; the first one that is added is the outermost.

        Args:
            interceptor: an async function that takes (context, call_next). It runs on the event
                loop of the synchronous clients, and must not block.

        Returns:
            A client with this interceptor.

        Raises:
            TypeError: it is not async, or does not take (context, call_next).
        """
        return self._with(self._client.with_interceptor(interceptor))

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
        return self._with(
            self._client.with_retry(
                attempts, initial_backoff=initial_backoff, max_backoff=max_backoff, budget=budget
            )
        )

    def with_telemetry(self, settings: TelemetrySettings | None = None) -> Self:
        """Record a CLIENT span and the duration of every call, with the application's providers.

        Args:
            settings: what is recorded.

        Returns:
            A client with telemetry.

        Raises:
            ValueError: the settings have an `exporter_url`, which only services can have.
        """
        return self._with(self._client.with_telemetry(settings))

    def execute(
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
            RuntimeError: the caller runs on the event loop of the synchronous clients.
        """
        return self._wait(self._client.execute(command, key, payload, **options))

    def query(
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
            RuntimeError: as `execute`.
        """
        return self._wait(self._client.query(query, key, parameters, **options))

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
        return self._with(self._client.on_instance(instance_id))

    def on_all(
        self,
        call: Callable[[ClientT], Awaitable[AnswerT]],
        *,
        max_wait: Duration | None = None,
        max_replies: int = 1000,
    ) -> list[InstanceReply[AnswerT]]:
        """Call every running instance of the service at the same time, and gather the replies.

        Each instance serves an ordinary request: authentication, limits and telemetry apply to it.
        Queries and idempotent commands can be called; others raise InvalidArgumentError.

        Args:
            call: makes the call with the async client of one instance; it must not wait for it.
            max_wait: the time limit for everything, in seconds or as timedelta; by default the
                timeout of the client, else 5 seconds. Discovery takes at least 0.15 seconds of it.
            max_replies: the maximum number of instances, of more the first ones by id.

        Returns:
            A reply for each instance, sorted by id, with its result or error; DEADLINE_EXCEEDED for
            an instance that has not answered within `max_wait`.

        Example:
            ```python
            for reply in receipts.on_all(lambda one: one.get_receipt("r-1"), max_wait=2):
                print(reply.instance.id, reply.error or reply.result().revision)
            ```

        Raises:
            InvalidArgumentError: an argument, or one of the call, is not valid.
            ServiceError: the instances cannot be listed, see discovery.list_instances.
        """
        return self._wait(self._client.on_all(call, max_wait=max_wait, max_replies=max_replies))

    def get_service_info(self, instance_id: str | None = None) -> InfoResponse:
        """Return the description of the service and its endpoints (ADR-32 INFO).

        Args:
            instance_id: the id of the instance; by default the first one that replies.

        Raises:
            ServiceError: see discovery.get_service_info.
        """
        return self._wait(self._client.get_service_info(instance_id))

    def get_service_stats(self, instance_id: str | None = None) -> StatsResponse:
        """Return the statistics of one instance of the service (ADR-32 STATS).

        Args:
            instance_id: the id of the instance; by default the first one that replies.

        Raises:
            ServiceError: see discovery.get_service_stats.
        """
        return self._wait(self._client.get_service_stats(instance_id))

    def get_contract_document(self, instance_id: str | None = None) -> bytes:
        """Return the contract of the running service as one JSON document.

        Args:
            instance_id: the id of the instance; by default any.

        Raises:
            ServiceError: see discovery.get_contract_document.
        """
        return self._wait(self._client.get_contract_document(instance_id))

    def list_instances(self) -> list[PingResponse]:
        """Return all running instances of the service (ADR-32 PING).

        Raises:
            ServiceError: see discovery.list_instances.
        """
        return self._wait(self._client.list_instances())

    def check_health(self) -> HealthCheck:
        """Return the health of one instance of the service.

        Raises:
            ServiceError: see discovery.check_health.
        """
        return self._wait(self._client.check_health())

    def _wait(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a call of the async client; wait for its result."""
        try:
            loop = self._binding.loop(self.transport)
        except BaseException:
            call.close()
            raise
        return loop.run(call)

    def _with(self, client: ServiceClient) -> Self:
        changed = copy(self)
        changed._client = cast("ClientT", client)
        return changed


class _Binding:
    """The event loop that clients with the same connection belong to, from their first call on."""

    def __init__(self) -> None:
        self._loop: LoopThread | None = None

    def loop(self, transport: Transport) -> LoopThread:
        loop = self._loop
        if loop is None:
            loop = self._loop = process_loop()
            loop.close_at_exit(transport)
        elif not loop.is_of_process:
            raise WrongEventLoopError(
                "the client was used before this process was forked: create one in each process, or"
                " use it only after the fork"
            )
        return loop
