"""The aggregates of one running instance that are kept in streams."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from weenats.aggregates.cache import Cache, Connections
from weenats.aggregates.executor import Executor
from weenats.aggregates.history import History
from weenats.aggregates.relay import RELAY, Relay, relay_consumers
from weenats.aggregates.snapshots import Snapshots, snapshot_bucket
from weenats.aggregates.store import CommitStore, commit_stream
from weenats.errors import FailedPreconditionError
from weenats.protocol import subjects
from weenats.streams.consumer_health import ConsumerHealth, Source
from weenats.streams.settings import SERVICE
from weenats.telemetry.manager import SILENT
from weenats.transport.jetstream import JetStream, StreamConfig, StreamUpkeep
from weenats.transport.jetstream.key_value import bucket_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.aggregates.settings import AggregateSettings
    from weenats.aggregates.state_codec import StoredAggregate
    from weenats.contract import ServiceContract
    from weenats.protocol.messages import HealthCheckEntry
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["Aggregates", "streams_of"]
_WINDOW: Final = 120.0


class Aggregates:
    """The aggregates of one running instance.

    Args:
        stored: the aggregates.
        contract: the service.
        transport: the connection.
        settings: how they are kept.
        telemetry: records the events that the relay publishes.

    Attributes:
        executors: what executes their commands and queries, by the names of the aggregates.
        streams: the streams that keep them.
    """

    def __init__(
        self,
        stored: Iterable[StoredAggregate],
        contract: ServiceContract,
        transport: Transport,
        settings: AggregateSettings,
        telemetry: TelemetryManager = SILENT,
    ) -> None:
        self._jetstream = JetStream(transport)
        stored = tuple(stored)
        events = [event for each in stored for event in each.folds]
        self._configs = streams_of(contract.name, _replicas(contract))
        self.streams = tuple(each.name for each in self._configs)
        self._snapshots: list[Snapshots] = []
        self.executors: dict[str, Executor] = {}
        self._connections = Connections(transport)
        store = CommitStore(transport, contract.name)
        self._relay = Relay(transport, contract.name, events, store.recent, telemetry)
        source = Source(commit_stream(contract.name), relay_consumers(events))
        self._health = ConsumerHealth(transport, RELAY, [source], self._relay, telemetry)
        self._upkeep = StreamUpkeep("commits", self._check)
        for each in stored:
            name = each.aggregate.name
            snapshots = Snapshots(transport, contract, name, settings.snapshot_every)
            self._snapshots.append(snapshots)
            history = History(each, contract.name, store, snapshots)
            cache = Cache(settings.cache_size, self._connections, history.subject)
            self.executors[name] = Executor(name, history, store, snapshots, cache)

    async def start(self, *, may_create: bool) -> None:
        """Create the streams that are missing, check the others, and start to publish events.

        Args:
            may_create: whether streams are created.

        Raises:
            FailedPreconditionError: a stream has settings with which commits would get lost.
            StreamMissingError: a stream is missing.
            ServiceError: JetStream is not available.
        """
        for config in self._configs:
            await self._prepare(config, may_create=may_create)
        await self._relay.start()
        self._health.start()
        self._upkeep.start()

    async def close(self, timeout: float) -> None:
        """Publish no more events, and finish the snapshots that are being stored.

        Args:
            timeout: how long it may take, in seconds.
        """
        self._connections.close()
        self._health.close()
        self._upkeep.close()
        await asyncio.gather(
            self._relay.close(timeout), *(each.close(timeout) for each in self._snapshots)
        )

    def health_checks(self) -> Sequence[HealthCheckEntry]:
        """Return the health of the relay, and whether the stream of commits can be used."""
        return (self._health.check(), *self._upkeep.health_checks())

    async def _check(self) -> None:
        """Check the stream of commits; only a start creates it, as they are the state."""
        await self._prepare(self._configs[0], may_create=False)

    async def _prepare(self, config: StreamConfig, *, may_create: bool) -> None:
        if may_create:
            found = await self._jetstream.ensure_stream(config)
        else:
            found = await self._jetstream.stream_info(config.name)
        if problem := _problem(config, found.config):
            raise FailedPreconditionError(f"the stream {config.name} {problem}")


def streams_of(service: str, replicas: int = 1) -> tuple[StreamConfig, StreamConfig]:
    """Return the streams of the commits and of the snapshots of a service.

    Args:
        service: the name of the service.
        replicas: how many servers keep them.
    """
    commits = StreamConfig(
        name=commit_stream(service),
        subjects=(subjects.commits(service),),
        description=f"the commits of {service}",
        replicas=replicas,
        discard="new",
        duplicate_window=_WINDOW,
        deny_delete=True,
        metadata={SERVICE: service},
    )
    snapshots = bucket_config(snapshot_bucket(service), replicas=replicas)
    return commits, replace(snapshots, metadata={SERVICE: service})


def _replicas(contract: ServiceContract) -> int:
    """Return how many servers keep the commits: as many as keep any event, or as demanded."""
    return max([contract.replicas, *(stream.replicas for stream in contract.streams)])


def _problem(config: StreamConfig, found: StreamConfig) -> str:
    """Return why a stream cannot be used, "" if it can."""
    if set(found.subjects) != set(config.subjects):
        return f"stores {', '.join(found.subjects)}, not {', '.join(config.subjects)}"
    if found.obstacles:
        return f"has settings that commits cannot be stored with ({', '.join(found.obstacles)})"
    if not found.allow_direct:
        return "does not allow direct access (allow_direct)"
    if found.allow_rollup and not config.allow_rollup:
        return "permits rollups (allow_rollup_hdrs)"
    if config.max_messages_per_subject is None and _forgets(found):
        return (
            "can delete commits, which are the state: it must have no max_age, no"
            " max_msgs_per_subject and retention 'limits', and with max_msgs or max_bytes"
            " discard: new"
        )
    return ""


def _forgets(found: StreamConfig) -> bool:
    is_limited = found.max_bytes is not None or found.max_messages is not None
    return (
        found.max_age is not None
        or found.max_messages_per_subject is not None
        or found.retention != "limits"
        or (is_limited and found.discard == "old")
    )
