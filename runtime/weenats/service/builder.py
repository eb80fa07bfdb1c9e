"""The builder of services."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from weenats import interceptors as chains
from weenats._internal.extras import check_installed
from weenats._internal.validation import check_boolean, check_integer
from weenats.admission.controller import check_concurrency
from weenats.aggregates.settings import AggregateSettings
from weenats.auth.authentication import Authentication
from weenats.circuit_breaker import CircuitBreakerPolicy, CircuitBreakers
from weenats.contract import Command, RateLimit
from weenats.interceptors import PRINCIPAL, UserInterceptor
from weenats.protocol import subjects
from weenats.protocol.timeouts import Duration, seconds
from weenats.rate_limit import RateLimits, RateLimitSettings
from weenats.service.chain import Host, Member, Position, add_member, build_chain
from weenats.service.explain import explain_operations
from weenats.service.handlers import ServiceHandlers
from weenats.service.health import HealthSettings
from weenats.service.instance import NatsService
from weenats.service.monitoring import MonitoringSettings
from weenats.service.settings import ServiceSettings
from weenats.telemetry.server import ServerTelemetry
from weenats.telemetry.settings import TelemetrySettings
from weenats.transport.base import check_transport
from weenats.transport.options import ConnectionOptions, checked_options
from weenats.transport.servers import check_servers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weenats.auth import AuthConfig, TokenValidator
    from weenats.circuit_breaker import IsFailure, Listener, Scope
    from weenats.contract import AnyOperation
    from weenats.interceptors import Interceptor, ServiceFeature
    from weenats.rate_limit import KeyExtractor, LimitScope, MissingPrincipal
    from weenats.service.explain import OperationPolicy
    from weenats.service.health import CustomCheck
    from weenats.service.monitoring import CustomMetric
    from weenats.telemetry.settings import Level, PrincipalMode
    from weenats.transport.base import Transport

__all__ = ["NatsServiceBuilder"]
_MAX_QUEUE: Final = 100_000
_OF_CONTRACT: Final = "contract"
_NO_AUTH: Final = (
    "add with_auth(...) to the builder, or set WEENATS_JWKS_URI if EnvironmentSettings makes it"
)
_AUTH_IS_OFF: Final = (
    "with_auth(NoAuthConfig()) turns it off; pass a JwtAuthConfig or a validator instead"
)


class NatsServiceBuilder:
    """Builds a service from its handlers.

    A builder is immutable: each `with_*` method returns a new builder, and raises at once when an
    argument is wrong. Interceptors, `with_auth` and `with_rate_limit` run in the order in which
    they were added, around the circuit breaker and the handler.

    Args:
        handlers: the handlers, an instance of the class that extends the generated skeleton.
        servers: the URL of the NATS server, or several URLs; a text may have several, separated by
            commas. The service closes this connection when it stops.
        connection: how to connect to the servers, with which credentials.
        transport: an open connection to share, in place of `servers`; the service leaves it open.

    Raises:
        TypeError: `handlers` is not an instance of a handlers class, `connection` is not
            ConnectionOptions, or `transport` is not a transport.
        InvalidArgumentError: a URL is malformed.
        ImportError: a WebSocket URL is given without the extra `websocket`.

    Example:
        ```python
        builder = (
            NatsServiceBuilder(Receipts(), "nats://localhost:4222")
            .with_queue_group("receipt-workers", max_concurrency=50)
            .with_auth(config)
            .with_rate_limit(100, per_client=True)
            .with_circuit_breaker()
        )
        async with builder.build() as service:
            await service.wait_until_stopped()
        ```
    """

    def __init__(
        self,
        handlers: ServiceHandlers,
        servers: str | Sequence[str] = "nats://localhost:4222",
        *,
        connection: ConnectionOptions | None = None,
        transport: Transport | None = None,
    ) -> None:
        if not isinstance(cast("object", handlers), ServiceHandlers):
            kind = type(handlers).__name__ if isinstance(handlers, str) else repr(handlers)
            raise TypeError(f"handlers must be an instance of a handlers class, not {kind}")
        check_servers(servers)
        if transport is not None:
            check_transport(transport)
        self._handlers = handlers
        self._settings = ServiceSettings(
            servers=servers,
            connection=ConnectionOptions(name=handlers.contract.name)
            if connection is None
            else checked_options(connection),
            transport=transport,
            queue_group=handlers.contract.name,
            members=(
                Member(_OF_CONTRACT, RateLimitSettings(), _rate_limits, Position.INNER),
                Member("large", None, _large, Position.INNER),
                Member("once", None, _idempotency, Position.INNER),
                Member("durability", None, _durability, Position.INNERMOST),
            ),
        )

    def with_servers(self, servers: str | Sequence[str]) -> Self:
        """Connect to other NATS servers.

        Args:
            servers: the URL of the server, or several URLs; a text may have several, separated by
                commas.

        Returns:
            A builder with this setting.

        Raises:
            InvalidArgumentError: a URL is malformed.
            ImportError: a WebSocket URL is given without the extra `websocket`.
        """
        check_servers(servers)
        return self._with(servers=servers, transport=None)

    def with_queue_group(
        self,
        name: str,
        max_concurrency: int = 10,
        *,
        max_queue: int | None = None,
        max_queue_time: Duration = 5.0,
        self_eject: bool = False,
    ) -> Self:
        """Set the queue group that shares the requests, and how many requests run at once.

        Without this method the queue group has the name of the service.

        Args:
            name: the queue group, `^[a-z][a-z0-9-]*$`.
            max_concurrency: how many requests of this instance run at once, 1 to 1000.
            max_queue: how many more requests may wait, 0 to 100,000; ten times `max_concurrency`
                if not set. Requests beyond it fail immediately with RESOURCE_EXHAUSTED.
            max_queue_time: how long a request may wait, in seconds or as a timedelta; then it fails
                with RESOURCE_EXHAUSTED.
            self_eject: leave the queue group while all circuit breakers are open, until the next
                trial call is due, and while a health check fails.

        Returns:
            A builder with these settings.

        Raises:
            ValueError: a value is out of bounds.
            InvalidArgumentError: `max_queue_time` is not a positive duration.
            TypeError: `self_eject` is not True or False.
        """
        subjects.check_queue_group(name)
        check_concurrency(max_concurrency)
        if max_queue is not None:
            check_integer("max_queue", max_queue, 0, _MAX_QUEUE)
        check_boolean("self_eject", self_eject)
        return self._with(
            queue_group=name,
            max_concurrency=max_concurrency,
            max_queue=max_queue,
            max_queue_time=seconds(max_queue_time, "max_queue_time"),
            self_eject=self_eject,
        )

    def with_interceptor(self, interceptor: Interceptor) -> Self:
        """Add an interceptor around every request; the first one added is the outermost.

        Args:
            interceptor: an async function, or an object with an async `__call__`, that takes the
                context and `call_next`.

        Returns:
            A builder with this interceptor.

        Raises:
            TypeError: it is not async, or does not take (context, call_next).

        Example:
            ```python
            async def timing(context: RequestContext, call_next: CallNext) -> Response:
                started = perf_counter()
                try:
                    return await call_next(context)
                finally:
                    log.info("%s: %.3f s", context.operation.name, perf_counter() - started)


            builder = builder.with_interceptor(timing)
            ```
        """
        chains.check(interceptor)
        return self._with_member(Member("with_interceptor", interceptor, _user_interceptor))

    def with_auth(
        self,
        config: AuthConfig | None = None,
        *,
        validator: TokenValidator | None = None,
        required: bool | None = None,
    ) -> Self:
        """Authenticate callers by the token of each message, at this position in the chain.

        Later interceptors and handlers find the caller in `context.principal`. What the contract
        requires of an operation (`auth`) overrides `required`.

        Args:
            config: how tokens are validated: JwtAuthConfig; NoAuthConfig turns authentication off.
            validator: an object that validates tokens, in place of a configuration.
            required: with a validator, whether calls need a token; True if not set.

        Returns:
            A builder with authentication.

        Raises:
            ValueError: the configuration is incomplete, contradictory or not safe; both or neither
                of `config` and `validator` are given; or with_auth() was already called.
            TypeError: the configuration is not an AuthConfig, or the validator has no `validate`.

        Example:
            ```python
            config = JwtAuthConfig(
                jwks_uri="https://issuer.example/.well-known/jwks.json",
                algorithms=["EdDSA"],
                issuer="https://issuer.example",
                audience="receipts",
            )
            builder = builder.with_auth(config)
            ```
        """
        auth = Authentication.of(config, validator, required=required)
        if auth is None:
            return self._with(auth_is_off=True)
        self._check_first_call("with_auth")
        member = Member("with_auth", auth, _authentication)
        return self._with_member(member)._with(jwks=auth.jwks, auth_is_off=False)

    def with_rate_limit(  # noqa: PLR0913 - the options of one limit
        self,
        max_requests_per_second: float,
        burst: float | None = None,
        *,
        per_client: bool = False,
        key_extractor: KeyExtractor | None = None,
        on_missing_principal: MissingPrincipal = "shared",
        max_clients: int = 10_000,
        scope: LimitScope = "instance",
    ) -> Self:
        """Limit the rate of requests to instances or the service, at this position in the chain.

        Requests above the limit fail immediately with RESOURCE_EXHAUSTED and a `retryAfter` in
        milliseconds. Limits of operations in the contract apply as well, with the same keys.

        Args:
            max_requests_per_second: the rate, more than 0.
            burst: how many requests may come at once after a pause, at least one second's; twice
                the rate if not set.
            per_client: whether each caller, by `context.principal`, has a limit of its own.
            key_extractor: a plain function that returns whose limit applies, in place of the
                principal; it must not block.
            on_missing_principal: callers without a principal or key have one limit together
                ("shared"), or are refused as UNAUTHENTICATED ("reject").
            max_clients: how many callers have limits of their own at once, 1 to 1,000,000; further
                ones share a limit.
            scope: the limits are those of each "instance", or those of the "service", which its
                instances share by JetStream; this holds for the limits of the contract as well.

        Returns:
            A builder with this limit.

        Raises:
            ValueError: a value is out of bounds, or with_rate_limit() was already called.
            TypeError: `key_extractor` is not a plain function, or `per_client` is not True or
                False.

        Example:
            100 requests per second of each caller, up to 300 at once:

            ```python
            builder = builder.with_auth(config).with_rate_limit(100, burst=300, per_client=True)
            ```
        """
        settings = RateLimitSettings(
            limit=RateLimit(max_requests_per_second=max_requests_per_second, burst=burst),
            per_client=per_client,
            key_extractor=key_extractor,
            on_missing_principal=on_missing_principal,
            max_clients=max_clients,
            scope=scope,
        )
        self._check_first_call("with_rate_limit")
        limits = Member("with_rate_limit", settings, _rate_limits)
        return self._with_member(limits, replaces=_OF_CONTRACT)

    def with_circuit_breaker(  # noqa: PLR0913 - the options of one policy
        self,
        failure_threshold: int = 5,
        recovery_timeout: Duration = 30,
        monitoring_window: Duration = 60,
        half_open_max_calls: int = 1,
        *,
        scope: Scope = "operation",
        is_failure: IsFailure | None = None,
        listener: Listener | None = None,
    ) -> Self:
        """Refuse calls to handlers that fail, until a few trial calls succeed.

        While a breaker is open, calls fail immediately with UNAVAILABLE and a `retryAfter` in
        milliseconds. It runs after all interceptors. Each running instance has its own breakers.

        Args:
            failure_threshold: how many failures within `monitoring_window` open a breaker.
            recovery_timeout: how long it is open until trial calls are made, in seconds or as a
                timedelta.
            monitoring_window: how long a failure counts, in seconds or as a timedelta.
            half_open_max_calls: how many trial calls are made; all must succeed to close it.
            scope: one breaker for each "operation", or one for the whole "service".
            is_failure: a plain function that decides in place of the default whether an exception
                of a handler is a failure.
            listener: a plain function that is called with each change of a breaker's state.

        Returns:
            A builder with circuit breakers.

        Raises:
            ValueError: a value is out of bounds, or with_circuit_breaker() was already called.
            InvalidArgumentError: a duration is not positive.
            TypeError: `is_failure` or `listener` is not a plain function.

        Example:
            Ten failures within a minute open the breaker of an operation for five seconds:

            ```python
            builder = builder.with_circuit_breaker(failure_threshold=10, recovery_timeout=5)
            ```
        """
        policy = CircuitBreakerPolicy(
            failure_threshold=failure_threshold,
            recovery_timeout=seconds(recovery_timeout, "recovery_timeout"),
            monitoring_window=seconds(monitoring_window, "monitoring_window"),
            half_open_max_calls=half_open_max_calls,
            scope=scope,
            is_failure=is_failure,
            listener=listener,
        )
        return self._with_breakers(policy)

    def with_telemetry(
        self,
        *,
        sampling: Mapping[str, float] | None = None,
        environment: str | None = None,
        exporter_url: str | None = None,
        attributes: Level = "standard",
        principal: PrincipalMode = "plain",
    ) -> Self:
        """Record spans and metrics of requests and events with OpenTelemetry.

        Args:
            sampling: the share of new traces that is recorded, 0 to 1, by "commands", "queries" and
                "events"; 1, 0.5 and 0.1 if not set. A message that belongs to a trace is recorded
                if the trace is.
            environment: `deployment.environment.name`; if not set, that of the environment variable
                OTEL_RESOURCE_ATTRIBUTES, else "development".
            exporter_url: the base URL of an OTLP/HTTP receiver; the service then has OpenTelemetry
                providers of its own (extra `otel`), which the clients with telemetry of its
                handlers use too. If not set, the application's providers are used.
            attributes: which attributes spans have: "minimal", "standard" or "full", see
                TelemetrySettings.
            principal: how spans show the caller: "plain", "hashed" or "none".

        Returns:
            A builder with telemetry.

        Raises:
            ValueError: a value is out of bounds.
            TypeError: `sampling` is not a mapping.
            ImportError: `exporter_url` is set and the OpenTelemetry SDK is not installed.
        """
        settings = TelemetrySettings(
            sampling={} if sampling is None else sampling,
            exporter_url=exporter_url,
            attributes=attributes,
            principal=principal,
            **({} if environment is None else {"environment": environment}),
        )
        if exporter_url is not None:
            check_installed(
                "exporter_url needs the OpenTelemetry SDK: pip install 'weenats[otel]'",
                "opentelemetry.sdk",
                "opentelemetry.exporter.otlp.proto.http",
            )
        member = Member("with_telemetry", settings, _telemetry, Position.OUTERMOST)
        return self._with_member(member, replaces=member.added_by)._with(telemetry=settings)

    def with_drain_timeout(self, timeout: Duration) -> Self:
        """Set how long a stop may take to finish the admitted requests; 30 seconds if not set.

        Args:
            timeout: seconds or a timedelta; requests that are left then fail with UNAVAILABLE.

        Returns:
            A builder with this setting.

        Raises:
            InvalidArgumentError: it is not a positive duration.
        """
        return self._with(drain_timeout=seconds(timeout, "drain_timeout"))

    def with_health(
        self,
        enabled: bool = True,  # noqa: FBT001, FBT002 - `with_health(False)` says what it does
        *,
        interval: Duration = 30,
        timeout: Duration = 5,
        custom_checks: Sequence[CustomCheck] = (),
        http: str | None = None,
    ) -> Self:
        """Add health checks, which run together in the background.

        They run for the first time before the service accepts requests. Health requests get the
        last results, and "ok" only while all checks pass and the service accepts requests.

        Args:
            enabled: False: the service does not answer health requests.
            interval: the time between two runs of the checks, in seconds or as a timedelta.
            timeout: how long a check may take, in seconds or as a timedelta.
            custom_checks: dictionaries with the `name` of a check and the function `check`, sync or
                async. The check passes if the function returns True or None.
            http: host and port, such as "0.0.0.0:8080": serve `/livez` and `/readyz` there over
                HTTP, for the probes of an orchestrator (extra `http`).

        Returns:
            A builder with health checks.

        Raises:
            InvalidArgumentError: a duration is not positive.
            ValueError: a name is malformed, repeated or "jwks"; `http` is not an address; or
                with_health() was already called.
            TypeError: a check is not callable.
            ImportError: `http` is set and aiohttp is not installed.
        """
        if self._settings.health is not None:
            raise ValueError("with_health() was already called")
        settings = HealthSettings(
            enabled=enabled, interval=interval, timeout=timeout, checks=custom_checks, http=http
        )
        if http is not None:
            check_installed("http needs aiohttp: pip install 'weenats[http]'", "aiohttp")
        return self._with(health=settings)

    def with_monitoring(
        self,
        interval: Duration = 30,
        *,
        include_memory_stats: bool = True,
        include_request_stats: bool = True,
        custom_metrics: Sequence[CustomMetric] = (),
    ) -> Self:
        """Publish snapshots of each instance on `{service}.monitoring`; STATS has them as well.

        Args:
            interval: the time between two snapshots, in seconds or as a timedelta.
            include_memory_stats: whether snapshots have the memory of the process.
            include_request_stats: whether snapshots have requests, errors, rates and percentiles.
            custom_metrics: dictionaries with `name`, `type` ("counter" or "gauge"), `help`, and the
                plain function `read` that returns a finite number.

        Returns:
            A builder with monitoring.

        Raises:
            InvalidArgumentError: the interval is not a positive duration.
            ValueError: a name is malformed or repeated, a type is unknown; or with_monitoring()
                was already called.
            TypeError: a metric has no plain function `read`.
        """
        if self._settings.monitoring is not None:
            raise ValueError("with_monitoring() was already called")
        return self._with(
            monitoring=MonitoringSettings(
                interval=interval,
                include_memory_stats=include_memory_stats,
                include_request_stats=include_request_stats,
                custom_metrics=custom_metrics,
            )
        )

    def with_aggregates(self, *, cache_size: int = 10_000, snapshot_every: int = 100) -> Self:
        """Set how aggregates with `store: stream` are kept.

        Args:
            cache_size: how many states of each aggregate an instance remembers, 0 to 10,000,000.
            snapshot_every: after how many events of a key a snapshot is stored, 1 to 1,000,000.

        Returns:
            A builder with these settings.

        Raises:
            ValueError: a number is out of bounds, or no aggregate is kept in a stream.
        """
        if not self._handlers.stored_aggregates():
            raise ValueError("no aggregate of the contract has `store: stream`")
        settings = AggregateSettings(cache_size=cache_size, snapshot_every=snapshot_every)
        return self._with(aggregates=settings)

    def with_streams(self, mode: Literal["apply", "check"]) -> Self:
        """Set what the service does about the streams of its durable events when it starts.

        Without it streams that are missing are created, and existing ones stay as they are.
        `weenats streams` creates and updates them from the command line.

        Args:
            mode: "apply" creates streams and updates their settings, but takes nothing away from
                them; "check" only compares them, and creates none. The service does not start when
                that fails, or they have less than the contract demands. What they have more of, as
                a newer version of the service has set it, stays and is logged.

        Returns:
            A builder with this setting.

        Raises:
            ValueError: the mode is unknown, or the contract has no durable events.
        """
        if mode not in ("apply", "check"):  # a list has no hash
            raise ValueError(f'mode is "apply" or "check", not {mode!r}')
        if not self._handlers.contract.streams:
            raise ValueError(
                f"the contract of {self._handlers.contract.name} has no durable events"
            )
        return self._with(streams=mode)

    def with_process(self, number: int) -> Self:
        """Build one of several processes that serve the same on one machine.

        `weenats run --processes` uses it. The HTTP probes of process 1 have the port of
        `with_health(http=...)`, those of process 2 the next one, and so on.

        Args:
            number: of the process, from 1.

        Returns:
            A builder with this setting.

        Raises:
            ValueError: the number is less than 1, or there is no such port.
        """
        check_integer("number", number, 1)
        health = self._settings.health
        return self if health is None else self._with(health=health.of_process(number))

    def build(self) -> NatsService:
        """Return a new instance of the service, which `async with` or `start` starts.

        Raises:
            ValueError: the contract requires authentication and with_auth() is missing or turned it
                off; a rate limit per client comes before with_auth(); or `self_eject` is set
                without circuit breakers and health checks.
            TypeError: a handler is not async, or a method of an event is.
        """
        settings = self._settings
        self._handlers.stored_aggregates()  # checks the methods of events
        chain = build_chain(settings.members, Host(self._operations()))
        remedy = _AUTH_IS_OFF if settings.auth_is_off else _NO_AUTH
        unauthenticated = [
            operation.label
            for operation in self._operations()
            if PRINCIPAL not in _provided(operation, chain, remedy)
            and operation.auth is not None
            and operation.auth.required
        ]
        if unauthenticated:
            raise ValueError(
                f"the contract requires authentication for {', '.join(unauthenticated)}: {remedy}"
            )
        ejects = any(feature.seconds_until_ready() is not None for feature in chain)
        if settings.self_eject and settings.health is None and not ejects:
            raise ValueError(
                "self_eject requires circuit breakers or health checks: add"
                " with_circuit_breaker(...) or with_health(...)"
            )
        return NatsService(self._handlers, settings)

    def explain(self) -> tuple[OperationPolicy, ...]:
        """Return the settings that apply to each operation, and what set them.

        `weenats explain` shows them.
        """
        return explain_operations(self._operations(), self._settings)

    def _operations(self) -> list[AnyOperation]:
        return [endpoint.operation for endpoint in self._handlers.endpoints()]

    def _with_breakers(self, policy: CircuitBreakerPolicy) -> Self:
        self._check_first_call("with_circuit_breaker")
        member = Member("with_circuit_breaker", policy, _circuit_breakers, Position.INNERMOST)
        return self._with_member(member)

    def _check_first_call(self, method: str) -> None:
        if any(each.added_by == method for each in self._settings.members):
            raise ValueError(f"{method}() was already called")

    def _with_member(self, member: Member[Any], *, replaces: str = "") -> Self:
        return self._with(members=add_member(self._settings.members, member, replaces=replaces))

    def _with(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of ServiceSettings
        changed = copy(self)
        changed._settings = replace(self._settings, **changes)
        return changed


def _user_interceptor(interceptor: Interceptor, _: Host) -> ServiceFeature:
    return UserInterceptor(interceptor)


def _authentication(auth: Authentication, _: Host) -> ServiceFeature:
    return auth


def _rate_limits(settings: RateLimitSettings, host: Host) -> ServiceFeature:
    return RateLimits(settings, host.operations, host.transport)


def _idempotency(_: None, host: Host) -> ServiceFeature | None:
    if not any(isinstance(each, Command) and each.once is not None for each in host.operations):
        return None
    from weenats.idempotency import Idempotency  # noqa: PLC0415 - few services have `once`

    replicas = 1 if host.contract is None else host.contract.replicas
    return Idempotency(host.operations, host.instance_id, host.transport, replicas)


def _large(_: None, host: Host) -> ServiceFeature | None:
    if all(each.large is None for each in host.operations):
        return None
    from weenats.large import LargePayloads  # noqa: PLC0415 - few services have `large`

    return LargePayloads(host.operations, host.transport)


def _durability(_: None, host: Host) -> ServiceFeature | None:
    if host.contract is None or host.transport is None:
        return None
    streams = [*(each.name for each in host.contract.streams), *host.streams]
    streams += [name for feature in host.chain for name in feature.stored_in()]
    if not streams:
        return None
    from weenats.durability import Durability  # noqa: PLC0415 - few services store anything

    return Durability(host.contract, streams, host.transport)


def _circuit_breakers(policy: CircuitBreakerPolicy, host: Host) -> ServiceFeature:
    return CircuitBreakers(policy, host.operations, host.review)


def _telemetry(_: TelemetrySettings, host: Host) -> ServiceFeature:
    return ServerTelemetry(host.telemetry, host.queue_group, host.chain)


def _provided(operation: AnyOperation, chain: Sequence[ServiceFeature], remedy: str) -> set[str]:
    """Return what the members of the chain provide for an operation.

    Args:
        operation: the operation.
        chain: the members, the outermost first.
        remedy: what to do when no principal is provided.

    Raises:
        ValueError: a member requires what no earlier member provides.
    """
    provided: set[str] = set()
    for feature in chain:
        description = feature.describe(operation)
        if description is not None:
            for requirement, message in description.requires.items():
                if requirement not in provided:
                    raise ValueError(message.format(remedy=remedy))
            provided |= description.provides
    return provided
