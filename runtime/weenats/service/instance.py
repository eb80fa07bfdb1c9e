"""One running instance of a service."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from weenats.admission.controller import Admission
from weenats.circuit_breaker import CircuitBreakers
from weenats.discovery import (
    EndpointDescription,
    Instance,
    Telling,
    answer_discovery,
    answer_health,
)
from weenats.errors import ConnectionLostError, UnavailableError
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.messages import HealthCheckEntry
from weenats.rate_limit import RateLimits
from weenats.service.endpoint import Endpoint, EndpointRunner
from weenats.service.health import JWKS, HealthChecks, HealthSettings
from weenats.service.monitoring import Monitor
from weenats.service.queue_group import QueueMembership
from weenats.service.signals import StopSignals
from weenats.telemetry.gauges import observe
from weenats.telemetry.manager import TelemetryManager
from weenats.telemetry.otlp import export_to
from weenats.telemetry.semconv import (
    BREAKERS_OPEN,
    DRAIN_STARTED,
    DRAINING,
    FEATURE_AUTH,
    IN_FLIGHT,
    JWKS_AGE,
    LIMIT_REFUSALS,
    QUEUED,
)
from weenats.telemetry.server import ServedOperation
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from weenats.auth.jwks import JwksState
    from weenats.contract import AnyOperation
    from weenats.service.handlers import ServiceHandlers
    from weenats.service.settings import ServiceSettings
    from weenats.telemetry.manager import Attributes
    from weenats.telemetry.otlp import Providers
    from weenats.transport.base import Subscription


_LOG: Final = logging.getLogger("weenats.service")


class NatsService:
    """One running instance of a service; `async with` starts and stops it."""

    def __init__(self, handlers: ServiceHandlers, settings: ServiceSettings) -> None:
        self.contract = handlers.contract
        self.instance_id = STAMPER.new_id()
        self._settings = settings
        self._owns_transport = settings.transport is None
        self._transport = settings.transport or NatsTransport(settings.servers, settings.connection)
        self._handlers = handlers
        self._admission = Admission(
            max_concurrency=settings.max_concurrency,
            max_queue=settings.max_waiting,
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
        self._watch: asyncio.Task[None] | None = None
        self._lost: ConnectionLostError | None = None

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
    def is_member(self) -> bool:
        """Say whether it is in its queue group, so that new requests reach it; see `self_eject`."""
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
        others = {
            BREAKERS_OPEN: self._breakers.not_closed,
            LIMIT_REFUSALS: self._limits.refused,
            JWKS_AGE: None if auth is None or auth.jwks is None else auth.jwks.age,
        }
        return values | {name: value for name, value in others.items() if value is not None}

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
        self._watch = asyncio.create_task(self._stop_without_connection())
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

        Raises:
            ConnectionLostError: it stopped because its connection had ended for good.
        """
        with StopSignals(self._on_signal):
            await self._stopped.wait()
            if self._stopping is not None:
                await asyncio.shield(self._stopping)
        if self._lost is not None:
            raise self._lost

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

    async def _stop_without_connection(self) -> None:
        """Stop when the connection has ended for good: nothing would ever reach this instance."""
        await self._transport.wait_closed()
        if self._stopping is None:
            _LOG.error("%s stops: its connection to NATS has ended for good", self.contract.name)
            self._lost = ConnectionLostError("the connection to NATS has ended for good")
            await self.stop()

    def _telemetry_of(self, settings: ServiceSettings) -> TelemetryManager | None:
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
            [self._breakers.seconds_to_trial, self._health.seconds_until_well]
            if self._settings.self_eject
            else [],
        )
        self._breakers.on_change(membership.review)
        self._health.on_result(membership.review)
        membership.join()
        membership.review()
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
            serving=lambda: self.is_serving and self.is_member,
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
        if self._watch is not None and self._lost is None:
            self._watch.cancel()
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
