"""The health and the gauges of a durable consumer: what the server says about it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Final

from weenats.errors import ServiceError
from weenats.protocol.messages import HealthCheckEntry
from weenats.telemetry import semconv
from weenats.telemetry.gauges import OF_CONSUMERS, observe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weenats.events.consume_work import ConsumerWork
    from weenats.streams.consumers import ConsumerState, StreamConsumer
    from weenats.telemetry.manager import TelemetryManager

__all__ = ["ConsumerHealth"]
_INTERVAL: Final = 15.0
"""Seconds between two looks at the server."""
_LATE: Final = 60.0
"""The age in seconds of the oldest event from which on the consumer counts as late."""


class ConsumerHealth:
    """Looks at a durable consumer on the server from time to time.

    Args:
        name: the name of the consumer.
        parts: the consumer of each stream.
        work: what it does in this instance.
        telemetry: has its gauges.
    """

    def __init__(
        self,
        name: str,
        parts: Sequence[StreamConsumer],
        work: ConsumerWork,
        telemetry: TelemetryManager,
    ) -> None:
        self._name = name
        self._work = work
        self._parts = [_Part(each, work) for each in parts]
        for each in self._parts:
            observe(each, telemetry, OF_CONSUMERS, each.attributes)
        self._watching = asyncio.create_task(self._watch(), context=Context())

    def close(self) -> None:
        """Look no more; the gauges have no values from now on."""
        self._watching.cancel()
        for each in self._parts:
            each.state = None

    def check(self) -> HealthCheckEntry:
        """Return its health: an error when no events can arrive, else what delays them."""
        problems = self._work.problems
        if problems:
            message = f"it receives no events: {next(iter(problems.values()))}"
            return HealthCheckEntry(name=self._check_name, status="error", message=message)
        return HealthCheckEntry(name=self._check_name, status="ok", message=self._delay())

    @property
    def _check_name(self) -> str:
        return f"consumer {self._name}"

    def _delay(self) -> str | None:
        states = [each.state for each in self._parts if each.state is not None]
        if self._work.is_paused:
            return "its circuit breaker is open"
        if any(each.paused for each in states):
            return "it is paused on the server"
        lag = max((each.lag or 0.0 for each in states), default=0.0)
        if lag < _LATE:
            return None
        pending = sum(each.pending + each.unacknowledged for each in states)
        return f"it is late by {lag:.0f} s, {pending} events are not processed"

    async def _watch(self) -> None:
        while True:
            for each in self._parts:
                try:
                    each.state = await each.part.state()
                except ServiceError:  # it is gone, or the connection is
                    each.state = None
            await asyncio.sleep(_INTERVAL)


class _Part:
    """The consumer of one stream, as its gauges show it."""

    def __init__(self, part: StreamConsumer, work: ConsumerWork) -> None:
        self.part = part
        self.state: ConsumerState | None = None
        self._work = work
        self.attributes = semconv.of_consumer(part.stream.name, part.name)

    def gauges(self) -> Mapping[str, float]:
        """Return the values; none when they are unknown."""
        state = self.state
        if state is None:
            return {}
        values: dict[str, float] = {
            semconv.PENDING: state.pending,
            semconv.UNACKNOWLEDGED: state.unacknowledged,
            semconv.REDELIVERED: state.redelivered,
            semconv.PAUSED: int(state.paused or self._work.is_paused),
        }
        if state.lag is not None:
            values[semconv.LAG] = state.lag
        return values
