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
from weenats.connection_options import ConnectionOptions
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
from weenats.stop_signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from weenats.auth import AuthConfig, TokenValidator
    from weenats.auth.jwks import JwksState
    from weenats.contract import ServiceContract
    from weenats.health import CustomCheck
    from weenats.interceptors import Interceptor
    from weenats.monitoring import CustomMetric
    from weenats.transport import Subscription, Transport

__all__ = ["Endpoint", "NatsService", "NatsServiceBuilder", "ServiceHandlers"]

_LOG: Final = logging.getLogger("weenats.service")
_MAX_CONCURRENCY: Final = 1000
_QUEUE_FACTOR: Final = 10


class ServiceHandlers(ABC):
    """The base of generated skeletons: the handlers of one contract.

    One object serves all requests, concurrently; what it holds is shared by them.
    """

    contract: ClassVar[ServiceContract]
    _transports: tuple[Transport, ...] = ()

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
        return self._transports[-1]

    def bind(self, transport: Transport) -> None:
        """Publish events on this connection from now on."""
        self._transports = (*self._transports, transport)

    def unbind(self, transport: Transport) -> None:
        """Use the connection no more; that of another service that serves them takes its place."""
        rest = list(self._transports)
        if transport in rest:
            rest.remove(transport)
        self._transports = tuple(rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    servers: str | Sequence[str]
    connection: ConnectionOptions
    transport: Transport | None
    queue_group: str
    max_concurrency: int = 10
    drain_timeout: float = 30.0
    interceptors: tuple[Interceptor, ...] = ()
    auth: Authentication | None = None
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

    def with_queue_group(self, name: str, max_concurrency: int = 10) -> Self:
        """Share the requests with the other instances of this queue group.

        Without it the group is named after the service.

        Args:
            name: the queue group, `^[a-z][a-z0-9-]*$`.
            max_concurrency: how many requests of this instance run at once, 1 to 1000. Ten times
                as many may wait; beyond that callers get RESOURCE_EXHAUSTED at once.

        Raises:
            ValueError: a value is out of bounds.
        """
        subjects.check_queue_group(name)
        if type(max_concurrency) is not int or not 1 <= max_concurrency <= _MAX_CONCURRENCY:
            raise ValueError(
                f"max_concurrency is from 1 to {_MAX_CONCURRENCY}, not {max_concurrency!r}"
            )
        return self._with(queue_group=name, max_concurrency=max_concurrency)

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
            ValueError: the contract wants to know who calls, and nobody asks (`with_auth`).
        """
        if self._settings.auth is None:
            check_unasked(endpoint.operation for endpoint in self._handlers.endpoints())
        return NatsService(self._handlers, self._settings)

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
        self._admission = Admission(
            max_concurrency=settings.max_concurrency,
            max_queue=settings.max_concurrency * _QUEUE_FACTOR,
        )
        self._runners = [
            EndpointRunner(endpoint, self._transport, settings.interceptors, self._admission)
            for endpoint in handlers.endpoints()
        ]
        self._health = HealthChecks(settings.health or HealthSettings())
        self._monitor = (
            None
            if settings.monitoring is None
            else Monitor(settings.monitoring, self._transport, self.contract, self.instance_id)
        )
        self._subscriptions: list[Subscription] = []
        self._discovery: list[Subscription] = []
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
            if self._settings.auth is not None:
                self._settings.auth.start()
            await self._transport.connect()
            self._handlers.bind(self._transport)
            instance = self._instance()
            if self._settings.health is None or self._settings.health.enabled:
                self._discovery = answer_health(self._transport, instance)
            await self._health.start()
            self._check_starting()
            if self._monitor is not None:
                await self._monitor.start()
            group = self._settings.queue_group
            self._subscriptions = [
                self._transport.subscribe(runner.operation.subject, runner.on_delivery, group)
                for runner in self._runners
            ]
            self._discovery += answer_discovery(self._transport, instance)
            await self._transport.fence()
        except BaseException:
            await self._stop(budget=0)
            raise
        self._state = "serving"
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

    def _check_starting(self) -> None:
        if self._state != "starting":
            raise UnavailableError("the service was stopped while it started")

    def _instance(self) -> Instance:
        group = self._settings.queue_group
        return Instance(
            contract=self.contract,
            instance_id=self.instance_id,
            endpoints=[_describe(each, group, self._data(each)) for each in self._runners],
            serving=lambda: self.is_serving,
            checks=self._checks,
            data={} if self._monitor is None else self._monitor.data(),
        )

    def _data(self, runner: EndpointRunner) -> Telling:
        """Return what tells of an endpoint beside its counters."""
        if self._monitor is None:
            return {}
        return self._monitor.watch(runner.counters, partial(self._admission.load, runner))

    def _checks(self) -> list[HealthCheckEntry]:
        keys = None if self._settings.health is None else self.jwks_state
        return [*self._health.entries, *([] if keys is None else [_jwks_check(keys)])]

    async def _stop(self, budget: float) -> None:
        self._state = "stopping"
        try:
            await self._transport.unsubscribe(self._subscriptions)
            await self._admission.drain(budget)
            await self._transport.unsubscribe(self._discovery)
            if self._owns_transport:
                await self._transport.close()
        finally:
            self._handlers.unbind(self._transport)
            if self._settings.auth is not None:
                await self._settings.auth.close()
            if self._monitor is not None:
                await self._monitor.close()
            await self._health.close()
            self._state = "stopped"
            self._stopped.set()


def _describe(runner: EndpointRunner, queue_group: str, data: Telling) -> EndpointDescription:
    operation = runner.operation
    return EndpointDescription(
        name=operation.name,
        subject=operation.subject,
        queue_group=queue_group,
        metadata={
            "kind": operation.kind.value,
            "operation": operation.name,
            "aggregate": operation.contract.aggregate,
            "description": operation.description,
        },
        counters=runner.counters,
        data=data,
    )


def _jwks_check(keys: JwksState) -> HealthCheckEntry:
    """Return how the keys are that tokens are verified with: without any nobody is let in."""
    if keys.status == "empty":
        return HealthCheckEntry(name=JWKS, status="error", message="there are no keys")
    return HealthCheckEntry(name=JWKS, status="ok")
