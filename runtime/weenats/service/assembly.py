"""Puts the parts of a running instance together, from the settings of its service."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from weenats._internal.tasks import start_task
from weenats.admission.controller import Admission
from weenats.admission.scope import Scope
from weenats.codec.events import event_codec
from weenats.contract import AnyOperation, Command, ServiceContract
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.protocol import subjects
from weenats.protocol.messages import EndpointInfo, HealthCheckData, HealthCheckEntry
from weenats.service.chain import Host, build_chain
from weenats.service.discovery import EndpointDescription, Instance, Statistics
from weenats.service.endpoint import EndpointRunner
from weenats.service.handlers import CURRENT_BINDING, Binding, Endpoint, ServiceHandlers
from weenats.service.health import JWKS, HealthChecks, HealthSettings, readiness
from weenats.service.monitoring import Monitor
from weenats.service.queue_group import QueueMembership
from weenats.service.settings import ServiceSettings
from weenats.telemetry.delegating import OF_SERVICE
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.telemetry.semconv import DRAIN_STARTED, IN_FLIGHT, JWKS_AGE, QUEUED
from weenats.telemetry.settings import TelemetrySettings
from weenats.transport.base import Delivery, Transport

if TYPE_CHECKING:  # needs aiohttp
    from weenats.aggregates.aggregates import Aggregates
    from weenats.service.health.http import HealthServer

__all__ = ["Assembly"]


class Assembly:
    """The parts of one running instance.

    Args:
        handlers: the handlers.
        settings: the settings of the service.
        transport: the connection of the instance.
        instance_id: the id of the instance.
        is_serving: returns whether the instance accepts requests.

    Attributes:
        telemetry: records its spans and metrics.
        aggregates: its aggregates that are kept in streams, None without any.
        binding: its connection, as handlers use it.
        scope: what its tasks share, and what ends with it.
        admission: decides when requests run.
        runners: serve its endpoints.
        membership: its membership of the queue group.
        health: its health checks.
        http: serves its health over HTTP, None without `http`.
        monitor: takes snapshots, None without monitoring.
        instance: its description for discovery.
    """

    def __init__(
        self,
        handlers: ServiceHandlers,
        settings: ServiceSettings,
        transport: Transport,
        instance_id: str,
        is_serving: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._is_serving = is_serving
        self.telemetry = _telemetry(settings.telemetry, handlers.contract, instance_id)
        self.aggregates = _aggregates(handlers, settings, transport, self.telemetry)
        executors = {} if self.aggregates is None else self.aggregates.executors
        self.binding = Binding(transport, self.telemetry, executors)
        self.scope = Scope()
        self.scope.variables.run(CURRENT_BINDING.set, self.binding)
        self.scope.variables.run(OF_SERVICE.set, self.telemetry)
        self.admission = self._admission()
        endpoints = handlers.endpoints()
        operations = [endpoint.operation for endpoint in endpoints]
        self._chain = build_chain(
            settings.members,
            Host(
                operations,
                settings.queue_group,
                self.telemetry,
                self._review,
                instance_id,
                transport,
                handlers.contract,
                () if self.aggregates is None else self.aggregates.streams,
            ),
        )
        self.runners = [self._runner(endpoint, transport) for endpoint in endpoints]
        self.health = HealthChecks(
            settings.health or HealthSettings(), self._review, self.scope.variables
        )
        self.membership = QueueMembership(
            transport,
            [(runner.operation.subject, runner.on_delivery) for runner in self.runners],
            settings.queue_group,
            [self._seconds_until_ready, self.health.seconds_until_ok]
            if settings.self_eject
            else [],
        )
        self.monitor = (
            None
            if settings.monitoring is None
            else Monitor(
                settings.monitoring,
                transport,
                handlers.contract,
                instance_id,
                variables=self.scope.variables,
            )
        )
        self.http = _http(settings.health, self._readiness)
        self.instance = Instance(
            contract=handlers.contract,
            instance_id=instance_id,
            endpoints=[self._describe(runner, instance_id) for runner in self.runners],
            readiness=self._readiness,
            data={} if self.monitor is None else self.monitor.data(),
        )

    def gauges(self) -> Mapping[str, float]:
        """Return the current values of the gauges, by their names."""
        jwks = self._settings.jwks
        values: dict[str, float] = {
            IN_FLIGHT: len(self.admission.running),
            QUEUED: self.admission.queued,
        }
        if jwks is not None and jwks.age is not None:
            values[JWKS_AGE] = jwks.age
        for feature in self._chain:
            values |= feature.gauges()
        return values

    async def start(self) -> None:
        """Prepare what the features need.

        Raises:
            ServiceError: the service cannot start.
        """
        for feature in self._chain:
            await feature.start()

    async def close_features(self, timeout: float) -> None:
        """End what the features do in the background, within `timeout`."""
        await asyncio.gather(*(feature.close(timeout) for feature in self._chain))

    async def drain(self, budget: float) -> None:
        """Leave the queue group, and finish the admitted requests and events within `budget`."""
        end = monotonic() + budget
        events = start_task(self.scope.end(budget))
        await self._drain_requests(budget)
        await events
        if self.aggregates is not None:
            await self.aggregates.close(max(end - monotonic(), 0))

    def abort(self) -> None:
        """Fail the requests, and cancel the handlers of events, that are not finished."""
        self.admission.abort()
        self.scope.abort()

    async def close(self, timeout: float) -> None:
        """Stop what runs in the background, and export pending telemetry, within `timeout`."""
        end = monotonic() + timeout
        if self.monitor is not None:
            await self.monitor.close()
        await self.health.close(timeout)
        if self.http is not None:
            await self.http.close(max(end - monotonic(), 0))
        await self.telemetry.shut_down(max(end - monotonic(), 0))

    async def _drain_requests(self, budget: float) -> None:
        end = monotonic() + budget
        for job in self.admission.running:
            if job.context is not None:
                job.context.add_event(DRAIN_STARTED)
        await self.membership.close(budget)
        await self.admission.drain(max(end - monotonic(), 0))

    def _admission(self) -> Admission:
        return Admission(
            max_concurrency=self._settings.max_concurrency,
            max_queue=self._settings.max_waiting,
            max_queue_time=self._settings.max_queue_time,
            variables=self.scope.variables,
        )

    def _runner(self, endpoint: Endpoint, transport: Transport) -> EndpointRunner:
        operation = endpoint.operation
        interceptors = [feature.interceptor(operation) for feature in self._chain]
        for event in operation.emits if isinstance(operation, Command) else ():
            event_codec(event)  # compiles its schema, before there are any requests
        return EndpointRunner(
            endpoint,
            transport,
            [each for each in interceptors if each is not None],
            self.admission,
            partial(self._on_refused, operation),
        )

    def _on_refused(
        self, operation: AnyOperation, delivery: Delivery, received: int, error: ServiceError
    ) -> None:
        for feature in self._chain:
            feature.on_refused(operation, delivery, received, error)

    def _review(self) -> None:
        self.membership.review()

    def _seconds_until_ready(self) -> float:
        return max((feature.seconds_until_ready() or 0.0 for feature in self._chain), default=0.0)

    def _readiness(self) -> HealthCheckData:
        return readiness(
            serving=self._is_serving(),
            connected=self.binding.transport.is_connected,
            member=self.membership.is_member,
            refusing=self._refusing(),
            checks=self._checks(),
            denied=self.membership.denied,
        )

    def _refusing(self) -> list[str]:
        """Return the names of the features that refuse all requests now."""
        operation = self.runners[0].operation if self.runners else None
        return [
            description.name
            for feature in self._chain
            if feature.seconds_until_ready()
            and operation is not None
            and (description := feature.describe(operation)) is not None
        ]

    def _describe(self, runner: EndpointRunner, instance_id: str) -> EndpointDescription:
        operation = runner.operation
        aggregate = operation.aggregate
        data: Statistics = {}
        for feature in self._chain:
            if (description := feature.describe(operation)) is not None:
                data = {**data, **description.statistics}
        if self.monitor is not None:
            load = partial(self.admission.load, runner)
            data = {**data, **self.monitor.watch(runner.counters, load)}
        info = EndpointInfo(
            name=operation.name,
            subject=operation.subject,
            queue_group=self._settings.queue_group,
            metadata={
                "kind": operation.kind.value,
                "operation": operation.name,
                **({} if aggregate is None else {"aggregate": aggregate.name}),
                "description": operation.description,
                **self._instance_subject(operation, instance_id),
            },
        )
        return EndpointDescription(info, runner.counters, data)

    @staticmethod
    def _instance_subject(operation: AnyOperation, instance_id: str) -> dict[str, str]:
        if not operation.for_instances:
            return {}
        return {"instanceSubject": subjects.on_instance(operation.subject, instance_id)}

    def _checks(self) -> list[HealthCheckEntry]:
        entries = [*self.health.entries, *self.scope.health_checks()]
        if self.aggregates is not None:
            entries += self.aggregates.health_checks()
        for feature in self._chain:
            entries += feature.health_checks()
        jwks = self._settings.jwks
        if self._settings.health is None or jwks is None:
            return entries
        if jwks.state().status != "empty":
            return [*entries, HealthCheckEntry(name=JWKS, status="ok")]
        return [*entries, HealthCheckEntry(name=JWKS, status="error", message="there are no keys")]


def _aggregates(
    handlers: ServiceHandlers,
    settings: ServiceSettings,
    transport: Transport,
    telemetry: TelemetryManager,
) -> "Aggregates | None":
    stored = handlers.stored_aggregates()
    if not stored:
        return None
    from weenats.aggregates.aggregates import Aggregates  # noqa: PLC0415 - few services have them

    return Aggregates(stored, handlers.contract, transport, settings.aggregates, telemetry)


def _http(
    settings: HealthSettings | None, readiness: Callable[[], HealthCheckData]
) -> "HealthServer | None":
    if settings is None or settings.http is None:
        return None
    from weenats.service.health.http import HealthServer  # noqa: PLC0415 - needs aiohttp

    return HealthServer(settings.http, readiness)


def _telemetry(
    settings: TelemetrySettings | None, contract: ServiceContract, instance_id: str
) -> TelemetryManager:
    if settings is None:
        return SILENT
    if settings.exporter_url is None:
        return TelemetryManager(settings)
    try:
        from weenats.telemetry.otlp import ExportingTelemetry  # noqa: PLC0415 - needs the SDK

        return ExportingTelemetry(settings.exporter_url, settings, contract, instance_id)
    except ValueError as error:  # from the SDK, which reads some variables when it is imported
        raise InvalidArgumentError(
            f"the OpenTelemetry SDK does not accept an environment variable OTEL_*: {error}"
        ) from error
