"""Serving a contract: the handlers' base, the immutable builder, and the running service."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from weenats import interceptors as chains
from weenats import subjects
from weenats.admission import Admission
from weenats.auth.authentication import Authentication, check_unasked
from weenats.circuit_breaker import CircuitBreakerPolicy, CircuitBreakers
from weenats.connection_options import ConnectionOptions
from weenats.contract import RateLimit
from weenats.deadline import Duration, seconds
from weenats.discovery import (
    EndpointDescription,
    Instance,
    Telling,
    answer_discovery,
    answer_health,
)
from weenats.endpoint import Endpoint, EndpointRunner
from weenats.errors import UnavailableError
from weenats.health import JWKS, HealthChecks, HealthSettings
from weenats.identifiers import STAMPER
from weenats.messages import HealthCheckEntry
from weenats.monitoring import Monitor, MonitoringSettings
from weenats.nats_transport import NatsTransport
from weenats.queue_membership import QueueMembership
from weenats.rate_limit import RateLimits, RateLimitSettings
from weenats.stop_signals import StopSignals
from weenats.telemetry.exporting import check_installed, export_to
from weenats.telemetry.gauges import observe
from weenats.telemetry.manager import TelemetryManager
from weenats.telemetry.names import (
    DRAIN_STARTED,
    DRAINING,
    FEATURE_AUTH,
    IN_FLIGHT,
    JWKS_AGE,
    QUEUED,
)
from weenats.telemetry.operations import ServedOperation
from weenats.telemetry.settings import TelemetrySettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from weenats.auth import AuthConfig, TokenValidator
    from weenats.auth.jwks import JwksState
    from weenats.circuit_breaker import IsFailure, Listener, Scope
    from weenats.contract import AnyOperation, ServiceContract
    from weenats.health import CustomCheck
    from weenats.interceptors import Interceptor
    from weenats.monitoring import CustomMetric
    from weenats.rate_limit import KeyExtractor, MissingPrincipal
    from weenats.telemetry.exporting import Providers
    from weenats.telemetry.manager import Attributes
    from weenats.telemetry.settings import Level, PrincipalMode
    from weenats.transport import Subscription, Transport

__all__ = ["Endpoint", "NatsService", "NatsServiceBuilder", "ServiceHandlers"]

_LOG: Final = logging.getLogger("weenats.service")
_MAX_CONCURRENCY: Final = 1000
_MAX_QUEUE: Final = 100_000
_QUEUE_FACTOR: Final = 10


class ServiceHandlers(ABC):
    """The base of generated skeletons: the handlers of one contract.

    One object serves all requests, concurrently; what it holds is shared by them.
    """

    contract: ClassVar[ServiceContract]
    _transports: tuple[tuple[Transport, TelemetryManager | None], ...] = ()

    @abstractmethod
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations of the contract with the handlers that serve them."""

    @property
    def transport(self) -> Transport:
        """The connection of the service that serves these handlers; events are published on it.

        Raises:
            UnavailableError: no service serves them yet.
        """
        if not self._transports:
            raise UnavailableError("these handlers are not served yet")
        return self._transports[-1][0]

    @property
    def telemetry(self) -> TelemetryManager | None:
        """What records the events of these handlers, None when nothing does."""
        return self._transports[-1][1] if self._transports else None

    def bind(self, transport: Transport, telemetry: TelemetryManager | None = None) -> None:
        """Publish events on this connection from now on."""
        self._transports = (*self._transports, (transport, telemetry))

    def unbind(self, transport: Transport) -> None:
        """Use the connection no more; that of another service that serves them takes its place."""
        rest = list(self._transports)
        for bound in rest:
            if bound[0] is transport:
                rest.remove(bound)
                break
        self._transports = tuple(rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    servers: str | Sequence[str]
    connection: ConnectionOptions
    transport: Transport | None
    queue_group: str
    max_concurrency: int = 10
    max_queue: int | None = None
    max_queue_time: float = 5.0
    self_eject: bool = False
    drain_timeout: float = 30.0
    interceptors: tuple[Interceptor | RateLimitSettings, ...] = ()
    rate_limit: RateLimitSettings | None = None
    auth: Authentication | None = None
    circuit_breaker: CircuitBreakerPolicy | None = None
    telemetry: TelemetrySettings | None = None
    health: HealthSettings | None = None
    monitoring: MonitoringSettings | None = None


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
        self._settings = _Settings(
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
            self_eject: leave the group while the circuit breakers let nobody in, and come back
                when a trial is due.

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
            TypeError: it cannot be called.
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
        limit = RateLimit(
            max_requests_per_second=max_requests_per_second,
            burst=0 if burst is None else burst,
        )
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
            health=HealthSettings.of(
                enabled=enabled, interval=interval, timeout=timeout, custom_checks=custom_checks
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
            monitoring=MonitoringSettings.of(
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
                `self_eject` has no circuit breaker to go by.
        """
        self._check_limit()
        if self._settings.auth is None:
            check_unasked(endpoint.operation for endpoint in self._handlers.endpoints())
        if self._settings.self_eject and self._settings.circuit_breaker is None:
            raise ValueError("self_eject goes by circuit breakers: add with_circuit_breaker(...)")
        return NatsService(self._handlers, self._settings)

    def _check_limit(self) -> None:
        limit, auth = self._settings.rate_limit, self._settings.auth
        if limit is None or not limit.per_client or limit.key_extractor is not None:
            return
        chain = self._settings.interceptors
        if auth is None or chain.index(limit) < chain.index(auth.interceptor):
            raise ValueError("a limit per client needs to know who calls: add with_auth before it")

    def _with(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of _Settings
        changed = copy(self)
        changed._settings = replace(self._settings, **changes)
        return changed


class NatsService:
    """One running instance of a service; `async with` starts and stops it."""

    def __init__(self, handlers: ServiceHandlers, settings: _Settings) -> None:
        self.contract = handlers.contract
        self.instance_id = STAMPER.stamp()
        self._settings = settings
        self._owns_transport = settings.transport is None
        self._transport = settings.transport or NatsTransport(settings.servers, settings.connection)
        self._handlers = handlers
        max_queue = settings.max_queue
        self._admission = Admission(
            max_concurrency=settings.max_concurrency,
            max_queue=settings.max_concurrency * _QUEUE_FACTOR if max_queue is None else max_queue,
            max_queue_time=settings.max_queue_time,
        )
        operations = [endpoint.operation for endpoint in handlers.endpoints()]
        self._limits = RateLimits(settings.rate_limit, operations)
        self._breakers = CircuitBreakers(settings.circuit_breaker, operations)
        self._providers: Providers | None = None
        self._telemetry: TelemetryManager | None = None
        self._runners: list[EndpointRunner] = []
        self._membership: QueueMembership | None = None
        self._health = HealthChecks(settings.health or HealthSettings())
        self._monitor = (
            None
            if settings.monitoring is None
            else Monitor(settings.monitoring, self._transport, self.contract, self.instance_id)
        )
        self._discovery: list[Subscription] = []
        self._cancels: list[Subscription] = []
        self._state = "new"
        self._stopping: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<NatsService {self.contract.name} {self.instance_id} {self._state}>"

    @property
    def is_serving(self) -> bool:
        """Say whether it takes requests."""
        return self._state == "serving"

    @property
    def jwks_state(self) -> JwksState | None:
        """The state of the keys that tokens are verified with, None when no issuer publishes them.

        For health checks.
        """
        auth = self._settings.auth
        return None if auth is None or auth.jwks is None else auth.jwks.state()

    @property
    def _is_member(self) -> bool:
        return self._membership is not None and self._membership.is_member

    def gauges(self) -> Mapping[str, float]:
        """Return what telemetry shows of this instance; see telemetry."""
        if self._state not in {"serving", "stopping"}:
            return {}
        values: dict[str, float] = {
            IN_FLIGHT: len(self._admission.running),
            QUEUED: self._admission.queued,
            DRAINING: int(self._state == "stopping"),
        }
        auth = self._settings.auth
        if auth is not None and auth.jwks is not None and auth.jwks.age is not None:
            values[JWKS_AGE] = auth.jwks.age
        return values

    async def start(self) -> None:
        """Connect, check its health, subscribe, and return when requests reach this instance.

        Raises:
            UnavailableError: NATS cannot be reached, or somebody stopped it meanwhile.
            PermissionDeniedError: NATS refused the credentials or a subject.
            RuntimeError: it was started before.
        """
        if self._state != "new":
            raise RuntimeError("a service is started once; build another one")
        self._state = "starting"
        try:
            self._telemetry = self._telemetry_of(self._settings)
            self._runners = [self._runner(endpoint) for endpoint in self._handlers.endpoints()]
            if self._settings.auth is not None:
                self._settings.auth.start()
            await self._transport.connect()
            self._handlers.bind(self._transport, self._telemetry)
            instance = self._instance()
            if self._settings.health is None or self._settings.health.enabled:
                self._discovery = answer_health(self._transport, instance)
            await self._health.start()
            self._check_starting()
            if self._monitor is not None:
                await self._monitor.start()
            self._membership = self._join()
            self._discovery += answer_discovery(self._transport, instance)
            self._cancels = [
                self._transport.subscribe(self.contract.cancel_subject, self._admission.on_cancel)
            ]
            await self._transport.fence()
        except BaseException:
            await self._stop(budget=0)
            raise
        self._state = "serving"
        if self._telemetry is not None:
            observe(self, self._telemetry)
        _LOG.info("%s %s serves as %s", self.contract.name, self.contract.version, self.instance_id)

    async def stop(self) -> None:
        """Leave the queue group, finish what was admitted, and close.

        What the drain budget is too short for is answered UNAVAILABLE.

        Stopping twice waits for the first stop.
        """
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._settings.drain_timeout))
        await asyncio.shield(self._stopping)

    def abort(self) -> None:
        """Cut a stop short: what is still admitted is answered UNAVAILABLE now."""
        self._admission.abort()

    async def wait_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT comes or somebody calls `stop`.

        A second signal cuts the drain short.
        """
        with StopSignals(self._on_signal):
            await self._stopped.wait()
            if self._stopping is not None:
                await asyncio.shield(self._stopping)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _on_signal(self) -> None:
        if self._stopping is None:
            _LOG.info("%s stops on a signal", self.contract.name)
            self._stopping = asyncio.get_running_loop().create_task(
                self._stop(self._settings.drain_timeout)
            )
        else:
            self.abort()

    def _telemetry_of(self, settings: _Settings) -> TelemetryManager | None:
        wanted = settings.telemetry
        if wanted is None:
            return None
        if wanted.exporter_url is None:
            return TelemetryManager(wanted)
        providers = export_to(wanted.exporter_url, self.contract, self.instance_id, wanted)
        self._providers = providers
        return TelemetryManager(
            wanted, tracer_provider=providers.tracer, meter_provider=providers.meter
        )

    def _runner(self, endpoint: Endpoint) -> EndpointRunner:
        settings, telemetry = self._settings, None
        if self._telemetry is not None:
            telemetry = ServedOperation(
                self._telemetry,
                endpoint.operation,
                settings.queue_group,
                self._features(endpoint.operation),
            )
        return EndpointRunner(
            endpoint,
            self._transport,
            self._limits.placed(endpoint.operation, settings.interceptors),
            self._admission,
            guard=self._breakers.guard(endpoint.operation),
            telemetry=telemetry,
        )

    def _join(self) -> QueueMembership:
        """Take requests, as a member of the queue group."""
        membership = QueueMembership(
            self._transport,
            [(runner.operation.subject, runner.on_delivery) for runner in self._runners],
            self._settings.queue_group,
            [self._breakers.seconds_to_trial] if self._settings.self_eject else [],
        )
        self._breakers.on_change(membership.review)
        membership.join()
        return membership

    def _features(self, operation: AnyOperation) -> Attributes:
        """Return what the features say on the spans of most requests."""
        auth = "disabled" if self._settings.auth is None else "enabled"
        features: Attributes = {FEATURE_AUTH: auth}
        return features | self._limits.attributes(operation) | self._breakers.attributes()

    def _check_starting(self) -> None:
        if self._state != "starting":
            raise UnavailableError("the service was stopped while it started")

    def _instance(self) -> Instance:
        return Instance(
            contract=self.contract,
            instance_id=self.instance_id,
            endpoints=[self._describe(runner) for runner in self._runners],
            serving=lambda: self.is_serving and self._is_member,
            checks=self._checks,
            data={} if self._monitor is None else self._monitor.data(),
        )

    def _data(self, runner: EndpointRunner) -> Telling:
        """Return what tells of an endpoint beside its counters."""
        operation = runner.operation
        data = {**self._limits.data(operation), **self._breakers.data(operation)}
        if self._monitor is None:
            return data
        load = partial(self._admission.load, runner)
        return {**data, **self._monitor.watch(runner.counters, load)}

    def _checks(self) -> list[HealthCheckEntry]:
        keys = None if self._settings.health is None else self.jwks_state
        return [*self._health.entries, *([] if keys is None else [_jwks_check(keys)])]

    async def _stop(self, budget: float) -> None:
        self._state = "stopping"
        for job in self._admission.running:
            if job.context is not None:
                job.context.add_event(DRAIN_STARTED)
        try:
            if self._membership is not None:
                await self._membership.close()
            await self._admission.drain(budget)
            await self._transport.unsubscribe([*self._discovery, *self._cancels])
            if self._owns_transport:
                await self._transport.close()
        finally:
            self._handlers.unbind(self._transport)
            if self._settings.auth is not None:
                await self._settings.auth.close()
            if self._monitor is not None:
                await self._monitor.close()
            await self._health.close()
            if self._providers is not None:
                await self._providers.shut_down()
            self._state = "stopped"
            self._stopped.set()

    def _describe(self, runner: EndpointRunner) -> EndpointDescription:
        operation = runner.operation
        return EndpointDescription(
            name=operation.name,
            subject=operation.subject,
            queue_group=self._settings.queue_group,
            metadata={
                "kind": operation.kind.value,
                "operation": operation.name,
                "aggregate": operation.contract.aggregate,
                "description": operation.description,
            },
            counters=runner.counters,
            data=self._data(runner),
        )


def _jwks_check(keys: JwksState) -> HealthCheckEntry:
    """Return how the keys are that tokens are verified with: without any nobody is let in."""
    if keys.status == "empty":
        return HealthCheckEntry(name=JWKS, status="error", message="there are no keys")
    return HealthCheckEntry(name=JWKS, status="ok")
