"""Serving a contract: the immutable builder, beside what it builds."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

from weenats import interceptors as chains
from weenats.auth.authentication import Authentication, check_unasked
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.contract import RateLimit
from weenats.protocol import subjects
from weenats.protocol.deadline import Duration, seconds
from weenats.rate_limit import RateLimitSettings
from weenats.service.explain import OperationPolicy, policy_of
from weenats.service.handlers import ServiceHandlers
from weenats.service.health import HealthSettings
from weenats.service.instance import NatsService
from weenats.service.monitoring import MonitoringSettings
from weenats.service.settings import ServiceSettings
from weenats.telemetry.otlp import check_installed
from weenats.telemetry.settings import TelemetrySettings
from weenats.transport.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weenats.auth import AuthConfig, TokenValidator
    from weenats.circuit_breaker import IsFailure, Listener, Scope
    from weenats.interceptors import Interceptor
    from weenats.rate_limit import KeyExtractor, MissingPrincipal
    from weenats.service.explain import OperationPolicy
    from weenats.service.health import CustomCheck
    from weenats.service.monitoring import CustomMetric
    from weenats.telemetry.settings import Level, PrincipalMode
    from weenats.transport.base import Transport

_MAX_CONCURRENCY: Final = 1000
_MAX_QUEUE: Final = 100_000


class NatsServiceBuilder:
    """Puts a service together; every `with_*` returns a new builder and refuses bad values at once.

    Args:
        handlers: the filled-in skeleton.
        servers: the NATS servers to connect to; the service closes this connection when it stops.
        connection: how to connect to them.
        transport: a connection to share instead; whoever opened it closes it.
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
            raise TypeError(f"handlers are an instance of a handlers class, not {handlers!r}")
        self._handlers = handlers
        self._settings = ServiceSettings(
            servers=servers,
            connection=connection or ConnectionOptions(name=handlers.contract.name),
            transport=transport,
            queue_group=handlers.contract.name,
        )

    def with_servers(self, servers: str | Sequence[str]) -> Self:
        """Connect to other servers."""
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
        """Share the requests with the other instances of this queue group.

        Without it the group is named after the service.

        Args:
            name: the queue group, `^[a-z][a-z0-9-]*$`.
            max_concurrency: how many requests of this instance run at once, 1 to 1000.
            max_queue: how many more may wait, 0 to 100,000, ten times `max_concurrency` if not set;
                beyond that callers get RESOURCE_EXHAUSTED at once.
            max_queue_time: how long a request may wait; then its caller gets RESOURCE_EXHAUSTED.
            self_eject: leave the group while the circuit breakers let nobody in, until a trial is
                due, and while a health check finds something wrong.

        Raises:
            ValueError: a value is out of bounds.
            InvalidArgumentError: `max_queue_time` is no positive duration.
        """
        subjects.check_queue_group(name)
        if type(max_concurrency) is not int or not 1 <= max_concurrency <= _MAX_CONCURRENCY:
            raise ValueError(
                f"max_concurrency is from 1 to {_MAX_CONCURRENCY}, not {max_concurrency!r}"
            )
        if max_queue is not None and not (type(max_queue) is int and 0 <= max_queue <= _MAX_QUEUE):
            raise ValueError(f"max_queue is from 0 to {_MAX_QUEUE}, not {max_queue!r}")
        return self._with(
            queue_group=name,
            max_concurrency=max_concurrency,
            max_queue=max_queue,
            max_queue_time=seconds(max_queue_time, "max_queue_time"),
            self_eject=self_eject,
        )

    def with_interceptor(self, interceptor: Interceptor) -> Self:
        """Let an interceptor stand around every request; the first added is the outermost.

        Raises:
            TypeError: it is not async, or does not take (context, call_next).
        """
        chains.check(interceptor)
        return self._with(interceptors=(*self._settings.interceptors, interceptor))

    def with_auth(
        self,
        config: AuthConfig | None = None,
        *,
        validator: TokenValidator | None = None,
        required: bool | None = None,
    ) -> Self:
        """Ask callers who they are, at this place among the interceptors.

        What the contract says of an operation (`auth`) wins over `required`. Later interceptors
        and handlers find who calls in `context.principal`.

        Args:
            config: how tokens are judged; NoAuthConfig asks nobody.
            validator: what judges tokens instead.
            required: with a validator, whether a token must come; by default it must.

        Raises:
            ValueError: settings are missing, contradict each other or are not safe; or callers are
                asked already.
            TypeError: the configuration is none, or the validator has no `validate`.
        """
        auth = Authentication.of(config, validator, required=required)
        if auth is None:
            return copy(self)
        if self._settings.auth is not None:
            raise ValueError("callers are asked already: with_auth is called once")
        return self.with_interceptor(auth.interceptor)._with(auth=auth)

    def with_rate_limit(  # noqa: PLR0913 - what may be said of a limit
        self,
        max_requests_per_second: float,
        burst: float | None = None,
        *,
        per_client: bool = False,
        key_extractor: KeyExtractor | None = None,
        on_missing_principal: MissingPrincipal = "shared",
        max_clients: int = 10_000,
    ) -> Self:
        """Let so many requests through, at this place among the interceptors.

        It counts the requests of one instance, and refuses beyond it: RESOURCE_EXHAUSTED, with
        `retryAfter` (ms). Limits of operations in the contract count besides, by the same keys.

        Args:
            max_requests_per_second: in the long run, more than 0.
            burst: at once after a pause, not fewer than a second's; twice as many if not set.
            per_client: each caller by itself, as `context.principal` tells them apart.
            key_extractor: tells callers apart instead; it must not block.
            on_missing_principal: whether callers that cannot be told apart have a bucket together
                (`shared`), or are refused as UNAUTHENTICATED (`reject`).
            max_clients: how many callers are told apart at once, up to 1,000,000.

        Raises:
            ValueError: a value is out of bounds, or requests are limited already.
        """
        if self._settings.rate_limit is not None:
            raise ValueError("requests are limited already: with_rate_limit is called once")
        limit = RateLimit(max_requests_per_second=max_requests_per_second, burst=burst)
        settings = RateLimitSettings(
            limit=limit,
            per_client=per_client,
            key_extractor=key_extractor,
            on_missing_principal=on_missing_principal,
            max_clients=max_clients,
        )
        chain = (*self._settings.interceptors, settings)
        return self._with(interceptors=chain, rate_limit=settings)

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
        """Keep calls away from handlers that fail, until a few that are tried succeed.

        It stands around the handlers, after all interceptors. Each running instance has breakers
        of its own.

        Args:
            failure_threshold: so many failures within the window open a breaker: calls are
                UNAVAILABLE at once.
            recovery_timeout: how long, until calls are tried.
            monitoring_window: how long a failure counts.
            half_open_max_calls: so many calls are tried; all must succeed for it to close.
            scope: a breaker for each operation, or one for all of the service.
            is_failure: says in place of the default whether an exception of a handler is a failure.
            listener: is told of each change.

        Raises:
            ValueError: a value is out of bounds, or there is a circuit breaker already.
            InvalidArgumentError: a duration is no positive amount of time.
            TypeError: `is_failure` or `listener` is no plain function.
        """
        if self._settings.circuit_breaker is not None:
            raise ValueError("there is a circuit breaker already: call with_circuit_breaker once")
        policy = CircuitBreakerPolicy(
            failure_threshold=failure_threshold,
            recovery_timeout=seconds(recovery_timeout, "recovery_timeout"),
            monitoring_window=seconds(monitoring_window, "monitoring_window"),
            half_open_max_calls=half_open_max_calls,
            scope=scope,
            is_failure=is_failure,
            listener=listener,
        )
        return self._with(circuit_breaker=policy)

    def with_telemetry(
        self,
        *,
        sampling: Mapping[str, float] | None = None,
        environment: str = "development",
        exporter_url: str | None = None,
        attributes: Level = "standard",
        principal: PrincipalMode = "plain",
    ) -> Self:
        """Record spans and metrics of requests and events.

        Args:
            sampling: by `commands`, `queries` and `events`, the share of traces begun here that is
                recorded: 1, 0.5 and 0.1 if not set. A trace that a message belongs to is followed.
            environment: `deployment.environment.name`.
            exporter_url: the base URL of an OTLP/HTTP receiver, with a provider of the service's
                own (extra `otel`); without it the application's provider takes all.
            attributes: how many attributes spans have, see TelemetrySettings.
            principal: whether they name who calls `plain`, `hashed` or not at all (`none`).

        Raises:
            ValueError: a value is out of bounds.
            ImportError: there is an exporter_url, and the SDK is not installed.
        """
        settings = TelemetrySettings(
            sampling=sampling or {},
            environment=environment,
            exporter_url=exporter_url,
            attributes=attributes,
            principal=principal,
        )
        if exporter_url is not None:
            check_installed()
        return self._with(telemetry=settings)

    def with_drain_timeout(self, timeout: Duration) -> Self:
        """Set how long a stop may take to finish what was admitted, 30 seconds if not set.

        Raises:
            InvalidArgumentError: it is no positive duration.
        """
        return self._with(drain_timeout=seconds(timeout, "drain_timeout"))

    def with_health(
        self,
        enabled: bool = True,  # noqa: FBT001, FBT002 - `with_health(False)` says what it does
        *,
        interval: Duration = 30,
        timeout: Duration = 5,
        custom_checks: Sequence[CustomCheck] = (),
    ) -> Self:
        """Let checks say whether the service is well, beside whether it serves.

        They run together in the background; the first time before the service takes requests.

        Args:
            enabled: False: nobody is told how the service is.
            interval: how long after they ran the checks run again.
            timeout: how long a check may take.
            custom_checks: by name, what returns True or None when all is well; anything else is an
                error, and so is an exception.

        Raises:
            InvalidArgumentError: a duration is none.
            ValueError: a name is malformed, repeated or "jwks"; or it was called before.
            TypeError: a check cannot be called.
        """
        if self._settings.health is not None:
            raise ValueError("with_health is called once")
        return self._with(
            health=HealthSettings(
                enabled=enabled, interval=interval, timeout=timeout, checks=custom_checks
            )
        )

    def with_monitoring(
        self,
        interval: Duration = 30,
        *,
        include_memory_stats: bool = True,
        include_request_stats: bool = True,
        custom_metrics: Sequence[CustomMetric] = (),
    ) -> Self:
        """Publish snapshots of each instance on `{service}.monitoring`; statistics show them too.

        Args:
            interval: how long after a snapshot the next one is taken.
            include_memory_stats: tell how much memory the process holds.
            include_request_stats: tell of requests, errors, rates and percentiles.
            custom_metrics: by name, what returns a finite number at once.

        Raises:
            InvalidArgumentError: the interval is no duration.
            ValueError: a name is malformed or repeated, a type unknown; or it was called before.
            TypeError: a metric cannot be read.
        """
        if self._settings.monitoring is not None:
            raise ValueError("with_monitoring is called once")
        return self._with(
            monitoring=MonitoringSettings(
                interval=interval,
                include_memory_stats=include_memory_stats,
                include_request_stats=include_request_stats,
                custom_metrics=custom_metrics,
            )
        )

    def build(self) -> NatsService:
        """Return the service, ready to start.

        Raises:
            ValueError: the contract wants to know who calls, and nobody asks (`with_auth`);
                callers are limited each by itself before they are asked who they are; or
                `self_eject` has neither a circuit breaker nor health checks to go by.
        """
        self._check_limit()
        if self._settings.auth is None:
            check_unasked(endpoint.operation for endpoint in self._handlers.endpoints())
        settings = self._settings
        if settings.self_eject and settings.circuit_breaker is None and settings.health is None:
            raise ValueError(
                "self_eject goes by circuit breakers and health checks: add"
                " with_circuit_breaker(...) or with_health(...)"
            )
        return NatsService(self._handlers, settings)

    def explain(self) -> tuple[OperationPolicy, ...]:
        """Return what holds for each operation, and who said so; see `weenats explain`."""
        return tuple(
            policy_of(endpoint.operation, self._settings) for endpoint in self._handlers.endpoints()
        )

    def _check_limit(self) -> None:
        limit, auth = self._settings.rate_limit, self._settings.auth
        if limit is None or not limit.per_client or limit.key_extractor is not None:
            return
        chain = self._settings.interceptors
        if auth is None or chain.index(limit) < chain.index(auth.interceptor):
            raise ValueError("a limit per client needs to know who calls: add with_auth before it")

    def _with(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of ServiceSettings
        changed = copy(self)
        changed._settings = replace(self._settings, **changes)
        return changed
