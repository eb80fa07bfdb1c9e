"""The health and the gauges of a durable consumer: what the server says about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from typing_extensions import override

from weenats._internal.watcher import Watcher
from weenats.errors import ServiceError
from weenats.protocol.messages import HealthCheckEntry
from weenats.streams.consumer_states import consumer_state
from weenats.telemetry import semconv
from weenats.telemetry.gauges import OF_CONSUMERS, observe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weenats.streams.consumer_states import ConsumerState
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["ConsumerHealth", "Consuming", "Source"]
_INTERVAL: Final = 15.0
"""Seconds between two looks at the server."""
_LATE: Final = 60.0
"""The age in seconds of the oldest event from which on the consumer counts as late."""


class Consuming(Protocol):
    """What a consumer does in this instance."""

    @property
    def problem(self) -> str:
        """Why no events get further; "" if they do."""
        ...

    @property
    def is_paused(self) -> bool:
        """Whether its circuit breaker is not closed."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A stream that a consumer gets events of.

    Attributes:
        stream: the name of the stream.
        consumers: the names of its consumers on the server.
    """

    stream: str
    consumers: Sequence[str]


class ConsumerHealth(Watcher):
    """Looks at a durable consumer on the server from time to time, from `start` to `close`.

    Args:
        transport: the connection.
        name: the name of the consumer.
        sources: the streams.
        consuming: what it does in this instance.
        telemetry: has its gauges.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        sources: Sequence[Source],
        consuming: Consuming,
        telemetry: TelemetryManager,
    ) -> None:
        self._transport = transport
        self._name = name
        self._consuming = consuming
        self._telemetry = telemetry
        self._parts = [_Part(each, consuming) for each in sources]

    @override
    def start(self) -> None:
        """Begin to look."""
        for each in self._parts:
            attributes = semconv.of_consumer(each.source.stream, self._name)
            observe(each, self._telemetry, OF_CONSUMERS, attributes)
        super().start()

    @override
    def close(self) -> None:
        """Look no more; the gauges have no values from now on."""
        super().close()
        for each in self._parts:
            each.state = None

    def check(self) -> HealthCheckEntry:
        """Return its health: an error when no events can arrive, else what delays them."""
        name = f"consumer {self._name}"
        if problem := self._consuming.problem:
            return HealthCheckEntry(name=name, status="error", message=problem)
        return HealthCheckEntry(name=name, status="ok", message=self._delay())

    def _delay(self) -> str | None:
        states = [each.state for each in self._parts if each.state is not None]
        if self._consuming.is_paused:
            return "its circuit breaker is open"
        if any(each.paused for each in states):
            return "it is paused on the server"
        lag = max((each.lag or 0.0 for each in states), default=0.0)
        if lag < _LATE:
            return None
        pending = sum(each.pending + each.unacknowledged for each in states)
        return f"it is late by {lag:.0f} s, {pending} events are not processed"

    @override
    async def _watch(self) -> None:
        while True:
            for each in self._parts:
                source = each.source
                try:
                    each.state = await consumer_state(
                        self._transport, source.stream, self._name, source.consumers
                    )
                except ServiceError:  # it is gone, or the connection is
                    each.state = None
            await asyncio.sleep(_INTERVAL)


class _Part:
    """The consumer of one stream, as its gauges show it."""

    def __init__(self, source: Source, consuming: Consuming) -> None:
        self.source = source
        self.state: ConsumerState | None = None
        self._consuming = consuming

    def gauges(self) -> Mapping[str, float]:
        """Return the values; none when they are unknown."""
        state = self.state
        if state is None:
            return {}
        values: dict[str, float] = {
            semconv.PENDING: state.pending,
            semconv.UNACKNOWLEDGED: state.unacknowledged,
            semconv.REDELIVERED: state.redelivered,
            semconv.PAUSED: int(state.paused or self._consuming.is_paused),
        }
        if state.lag is not None:
            values[semconv.LAG] = state.lag
        return values
