"""Serving a contract: the handlers' base, the immutable builder, and the running service."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from weenats import interceptors as chains
from weenats import subjects
from weenats.admission import Admission
from weenats.auth.authentication import Authentication, check_unasked
from weenats.connection_options import ConnectionOptions
from weenats.deadline import Duration, seconds
from weenats.discovery import EndpointDescription, Instance, answer_discovery
from weenats.endpoint import Endpoint, EndpointRunner
from weenats.errors import UnavailableError
from weenats.identifiers import STAMPER
from weenats.nats_transport import NatsTransport
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
    from weenats.contract import ServiceContract
    from weenats.interceptors import Interceptor
    from weenats.telemetry.exporting import Providers
    from weenats.telemetry.settings import Level, PrincipalMode
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
    drain_timeout: float = 30.0
    interceptors: tuple[Interceptor, ...] = ()
    auth: Authentication | None = None
    telemetry: TelemetrySettings | None = None


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
        self._providers: Providers | None = None
        self._telemetry: TelemetryManager | None = None
        self._runners: list[EndpointRunner] = []
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
        """Connect, subscribe, and return when requests reach this instance.

        Raises:
            UnavailableError: NATS cannot be reached.
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
            group = self._settings.queue_group
            self._subscriptions = [
                self._transport.subscribe(runner.operation.subject, runner.on_delivery, group)
                for runner in self._runners
            ]
            self._discovery = answer_discovery(self._transport, self._instance())
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
                {FEATURE_AUTH: "disabled" if settings.auth is None else "enabled"},
            )
        return EndpointRunner(
            endpoint, self._transport, settings.interceptors, self._admission, telemetry
        )

    def _instance(self) -> Instance:
        return Instance(
            contract=self.contract,
            instance_id=self.instance_id,
            endpoints=[_describe(runner, self._settings.queue_group) for runner in self._runners],
            healthy=lambda: self.is_serving,
        )

    async def _stop(self, budget: float) -> None:
        self._state = "stopping"
        for job in self._admission.running:
            if job.context is not None:
                job.context.add_event(DRAIN_STARTED)
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
            if self._providers is not None:
                await self._providers.shut_down()
            self._state = "stopped"
            self._stopped.set()


def _describe(runner: EndpointRunner, queue_group: str) -> EndpointDescription:
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
    )
