"""Snapshots of a running instance, which are published and included in its statistics."""

import logging
import os
import sys
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from time import monotonic
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from weenats._internal.periodic import Periodic
from weenats._internal.timestamps import utc_timestamp
from weenats.contract import ServiceContract
from weenats.errors import ServiceError
from weenats.protocol import subjects
from weenats.protocol.messages import MonitoringMemory, MonitoringRequests, MonitoringSnapshot
from weenats.protocol.timeouts import Clock, seconds
from weenats.service.discovery import EndpointCounters, Statistics
from weenats.service.monitoring.custom_metrics import CustomMetrics
from weenats.service.monitoring.request_stats import Load, RequestMeter, measure
from weenats.service.monitoring.settings import MonitoringSettings
from weenats.transport.base import Transport

__all__ = ["Monitor", "resident_bytes"]

_LOG: Final = logging.getLogger("weenats.monitoring")
_MEMBER: Final = "monitoring"
"""The member of `data` in statistics (ADR-32 STATS)."""
_STATM: Final = Path("/proc/self/statm")


class Monitor:
    """Takes a snapshot of one instance at the start and then at an interval.

    Rate and percentiles in a snapshot cover the time since the previous one. Statistics contain
    the latest snapshot with current request statistics. Their rate and percentiles also cover the
    interval before, so that they are meaningful right after a snapshot.

    Args:
        settings: the content and the interval of snapshots.
        transport: the connection on which snapshots are published.
        contract: the service.
        instance_id: id of the instance.
        clock: monotonic time in seconds.
        variables: the context variables of custom metrics; None for an empty context.
    """

    def __init__(  # noqa: PLR0913 - what is in a snapshot, and where it goes
        self,
        settings: MonitoringSettings,
        transport: Transport,
        contract: ServiceContract,
        instance_id: str,
        clock: Clock = monotonic,
        *,
        variables: Context | None = None,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._contract = contract
        self._instance_id = instance_id
        self._clock = clock
        self._subject = subjects.monitoring(contract.name)
        self._metrics = CustomMetrics(settings.custom_metrics, variables)
        self._meters: list[RequestMeter] = []
        self._started = 0.0
        self._snapshot: MonitoringSnapshot | None = None
        self._periodic = Periodic(self._take, seconds(settings.interval))

    def watch(self, counters: EndpointCounters, load: Load) -> Statistics:
        """Measure an endpoint from now on, and return the functions for its statistics.

        Args:
            counters: counters of the endpoint.
            load: returns the numbers of requests in flight and queued.
        """
        if not self._settings.include_request_stats:
            return {}
        meter = RequestMeter(counters, load, self._clock())
        self._meters.append(meter)
        return {_MEMBER: lambda: _dumped(measure([meter], self._clock(), windows=2))}

    def data(self) -> Statistics:
        """Return the functions for the statistics of the instance."""
        return {_MEMBER: self._latest}

    async def start(self) -> None:
        """Take the first snapshot and start taking snapshots in the background."""
        self._started = self._clock()
        await self._take()
        self._periodic.start()

    async def close(self) -> None:
        """Stop taking snapshots."""
        await self._periodic.close()

    def _latest(self) -> JsonValue:
        snapshot = self._snapshot or self._new_snapshot()
        return _dumped(snapshot.model_copy(update={"requests": self._requests(windows=2)}))

    async def _take(self) -> None:
        self._snapshot = self._new_snapshot()
        now = self._clock()
        for meter in self._meters:
            meter.start_window(now)
        try:
            self._transport.publish(self._subject, to_json(self._snapshot, by_alias=True))
        except ServiceError as error:
            _LOG.warning("a snapshot of %s cannot be published: %s", self._contract.name, error)

    def _new_snapshot(self) -> MonitoringSnapshot:
        rss = resident_bytes() if self._settings.include_memory_stats else None
        return MonitoringSnapshot(
            name=self._contract.name,
            id=self._instance_id,
            version=self._contract.version,
            timestamp=utc_timestamp(),
            uptime=round(self._clock() - self._started, 3),
            memory=None if rss is None else MonitoringMemory(rss=rss),
            requests=self._requests(windows=1),
            custom=self._metrics.read(),
        )

    def _requests(self, *, windows: int) -> MonitoringRequests | None:
        if not self._settings.include_request_stats:
            return None
        return measure(self._meters, self._clock(), windows=windows)


def _dumped(message: MonitoringSnapshot | MonitoringRequests) -> JsonValue:
    return message.model_dump(mode="json", by_alias=True)


def resident_bytes() -> int | None:
    """Return the resident memory of this process in bytes, None if the platform has no figure.

    Without /proc it is the peak instead of the current value.
    """
    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource  # noqa: PLC0415 - not available on every platform
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
