"""Snapshots of a running service: published, and shown in its statistics."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydantic import MISSING
from pydantic_core import to_json

from weenats._internal.periodic import Periodic
from weenats._internal.timestamps import utc_timestamp
from weenats.errors import ServiceError
from weenats.protocol import subjects
from weenats.protocol.messages import MonitoringMemory, MonitoringRequests, MonitoringSnapshot
from weenats.service.monitoring.custom_metrics import CustomMetrics
from weenats.service.monitoring.process_memory import resident_bytes
from weenats.service.monitoring.request_meter import Load, RequestMeter, measure

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.contract import ServiceContract
    from weenats.protocol.deadline import Clock
    from weenats.service.discovery import EndpointCounters, Statistics
    from weenats.service.monitoring.settings import MonitoringSettings
    from weenats.transport.base import Transport

_LOG: Final = logging.getLogger("weenats.monitoring")
_MEMBER: Final = "monitoring"
"""What it is called in the `data` of statistics."""


class Monitor:
    """Takes a snapshot of one instance when it starts and every interval from then on.

    In snapshots "lately" is since the last one. Statistics show the last snapshot, with requests
    as they are now and "lately" one interval longer, so that it is never too short to tell.

    Args:
        settings: what to take, and how often.
        transport: where snapshots are published.
        contract: the service.
        instance_id: the instance.
        clock: the time in seconds, monotonic.
    """

    def __init__(
        self,
        settings: MonitoringSettings,
        transport: Transport,
        contract: ServiceContract,
        instance_id: str,
        clock: Clock = monotonic,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._contract = contract
        self._instance_id = instance_id
        self._clock = clock
        self._subject = subjects.monitoring(contract.name)
        self._metrics = CustomMetrics(settings.custom_metrics)
        self._meters: list[RequestMeter] = []
        self._started = 0.0
        self._snapshot: MonitoringSnapshot | None = None
        self._periodic = Periodic(self._turn, settings.interval)

    def watch(self, counters: EndpointCounters, load: Load) -> Statistics:
        """Watch an endpoint from now on; return what tells of it in statistics."""
        if not self._settings.include_request_stats:
            return {}
        meter = RequestMeter(counters, load, self._clock())
        self._meters.append(meter)
        return {_MEMBER: lambda: _dumped(measure([meter], self._clock(), windows=2))}

    def data(self) -> Statistics:
        """Return what tells of the instance in statistics."""
        return {_MEMBER: self._tell}

    async def start(self) -> None:
        """Take the first snapshot and go on in the background."""
        self._started = self._clock()
        await self._turn()
        self._periodic.start()

    async def close(self) -> None:
        """Take no more snapshots."""
        await self._periodic.close()

    def _tell(self) -> JsonValue:
        snapshot = self._snapshot or self._taken()
        return _dumped(snapshot.model_copy(update={"requests": self._requests(windows=2)}))

    async def _turn(self) -> None:
        self._snapshot = self._taken()
        now = self._clock()
        for meter in self._meters:
            meter.turn(now)
        try:
            self._transport.publish(self._subject, to_json(self._snapshot, by_alias=True))
        except ServiceError as error:
            _LOG.warning("a snapshot of %s cannot be published: %s", self._contract.name, error)

    def _taken(self) -> MonitoringSnapshot:
        rss = resident_bytes() if self._settings.include_memory_stats else None
        return MonitoringSnapshot(
            name=self._contract.name,
            id=self._instance_id,
            version=self._contract.version,
            timestamp=utc_timestamp(),
            uptime=round(self._clock() - self._started, 3),
            memory=MISSING if rss is None else MonitoringMemory(rss=rss),
            requests=self._requests(windows=1),
            custom=self._metrics.read(),
        )

    def _requests(self, *, windows: int) -> Any:  # noqa: ANN401 - MISSING has no type of its own
        if not self._settings.include_request_stats:
            return MISSING
        return measure(self._meters, self._clock(), windows=windows)


def _dumped(told: MonitoringSnapshot | MonitoringRequests) -> JsonValue:
    return told.model_dump(mode="json", by_alias=True)
