"""What a durable consumer does in one instance: receive events, and keep those it works on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from functools import partial
from math import inf
from random import sample
from time import monotonic
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import start_task
from weenats.admission.controller import Admission
from weenats.errors import ConnectionClosedError, ServiceError
from weenats.events.processing import MessageJob
from weenats.streams.consumer_upkeep import ConsumerUpkeep
from weenats.transport.jetstream import JetStream, PulledMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.admission.scope import Scope
    from weenats.events.consume_breaker import EventGuard
    from weenats.events.consume_options import ConsumeSettings
    from weenats.events.processing import EventWorker
    from weenats.streams.consumer_health import ConsumerHealth
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import Pull

__all__ = ["DRAIN_TIMEOUT", "ConsumerWork"]
DRAIN_TIMEOUT: Final = 30.0
"""Seconds that handlers have to end at the end of a consumer."""
_LOG: Final = LimitedLogger("weenats.events")
_MAX_QUEUE: Final = 10_000
_PULL: Final = 100
"""How many events are asked for ahead; the next one comes after an ack."""
_PAUSE: Final = 1.0
"""Seconds until a consumer that is gone, or has no event to try, is looked at again."""
_PATIENCE: Final = 0.5
"""Seconds to wait for one event of a partition while the circuit breaker is not closed."""
_BURST: Final = 0.1
"""The seconds whose events the rate limit lets begin at once."""
_HEARTBEATS: Final = 3
"""How many heartbeats (in-progress acks) are sent within `ack_wait` for an event in work."""


class ConsumerWork:
    """The tasks of a durable consumer in one instance.

    Args:
        transport: the connection.
        settings: the settings of the consumer.
        scope: the service that it belongs to, None for none.

    Attributes:
        working: until when heartbeats are sent for each message that this instance has.
        guard: the circuit breaker, None for none.
        health: its health, None if nobody looks at it.
    """

    def __init__(
        self, transport: Transport, settings: ConsumeSettings, scope: Scope | None
    ) -> None:
        self.working: dict[PulledMessage, float] = {}
        self.guard: EventGuard | None = None
        self._problems: dict[str, str] = {}
        self.health: ConsumerHealth | None = None
        self._transport = transport
        self._settings = settings
        self._scope = scope
        self._admission = Admission(
            max_concurrency=settings.max_concurrency,
            max_queue=_MAX_QUEUE,
            variables=None if scope is None else scope.variables,
        )
        rate = settings.rate_limit
        self._limiter = None if rate is None else _limiter(rate)
        self._sources: Sequence[tuple[EventWorker, int]] = ()
        self._upkeep: list[ConsumerUpkeep] = []
        self._is_paused: bool | None = None
        self._pulling: set[asyncio.Task[None]] = set()
        self._heartbeats = start_task(self._send_heartbeats())
        self._closing = start_task(self._end_with_connection())

    @property
    def problem(self) -> str:
        """Why no events arrive; "" if they do."""
        problem = next(iter(self._problems.values()), "")
        return problem and f"it receives no events: {problem}"

    @property
    def is_paused(self) -> bool:
        """Whether the circuit breaker is not closed."""
        return self.guard is not None and not self.guard.is_closed

    def start(self, workers: Sequence[EventWorker]) -> None:
        """Begin to receive events.

        Args:
            workers: process the events of each stream.
        """
        self._sources = [
            (each, partition)
            for each in workers
            for partition in range(each.consumer.stream.partitions)
        ]
        for each in workers:
            wanted = each.consumer.configs(self._settings.start, self._settings.ack_wait)
            upkeep = ConsumerUpkeep(self._transport, each.consumer.stream.name, wanted)
            upkeep.start()
            self._upkeep.append(upkeep)
        self.review()

    def review(self) -> None:
        """Receive all events, or one at a time while the circuit breaker is not closed."""
        is_paused = self.is_paused
        if not self._sources or is_paused is self._is_paused:
            return
        self._is_paused = is_paused
        self._stop_pulling()
        for pull in [self._try()] if is_paused else [self._pull(*each) for each in self._sources]:
            # A breaker changes in a handler, to which what follows does not belong.
            task = start_task(pull, context=Context())
            self._pulling.add(task)
            task.add_done_callback(self._pulling.discard)

    async def end(self, timeout: float) -> None:
        """Take no more events, finish those that were taken, and return the rest.

        Args:
            timeout: how long it may take, in seconds.
        """
        end = monotonic() + timeout
        workers = {worker for worker, _ in self._sources}
        self._sources = ()
        self._stop_pulling()
        for each in self._upkeep:
            each.close()
        if self._pulling:
            await asyncio.wait(self._pulling, timeout=timeout)
        try:
            await self._admission.drain(max(end - monotonic(), 0))
        finally:
            for worker in workers:
                worker.close()
            self._heartbeats.cancel()
            self._closing.cancel()
            if self.health is not None:
                self.health.close()
            if self._scope is not None:
                self._scope.discard(self)

    async def _end_with_connection(self) -> None:
        """End when the connection is closed for good, if nobody has ended it before."""
        await self._transport.wait_closed()
        await self.end(DRAIN_TIMEOUT)

    def abort(self) -> None:
        """Return all events to the server."""
        self._admission.abort()

    def _stop_pulling(self) -> None:
        for task in self._pulling:
            task.cancel()

    async def _pull(self, worker: EventWorker, partition: int) -> None:
        stream, name = worker.consumer.stream.name, worker.consumer.partition_name(partition)
        while True:
            try:
                async with JetStream(self._transport).pull(stream, name, batch=_PULL) as messages:
                    self._problems.pop(f"{stream}.{name}", None)
                    if self._limiter is None:
                        await messages.hand_over(partial(self._begin, worker))
                    else:
                        async for message in messages:
                            await self._submit(MessageJob(worker, message))
            except ConnectionClosedError:
                return
            except ServiceError as error:
                # Somebody deleted it, for example to create it with another start, or edited it.
                self._report(worker, name, error)
            await asyncio.sleep(_PAUSE)

    def _begin(self, worker: EventWorker, message: PulledMessage) -> None:
        self.working[message] = inf
        self._admission.submit(MessageJob(worker, message))

    async def _submit(self, job: MessageJob) -> None:
        message = job.message
        self.working[message] = inf
        if self._limiter is not None:
            try:
                await self._limiter.acquire()
            except asyncio.CancelledError:
                del self.working[message]
                with suppress(ServiceError):
                    message.nak()  # at once to another instance
                raise
        self._admission.submit(job)

    async def _try(self) -> None:
        """Process one event after the other, when the circuit breaker admits one."""
        guard = self.guard
        while guard is not None:
            while (pause := guard.seconds_to_trial()) > 0:  # noqa: ASYNC110 - a condition of time
                await asyncio.sleep(pause)
            job = await self._next()
            if job is None:
                await asyncio.sleep(_PAUSE)
            else:
                ended = job.ended = asyncio.Event()
                await self._submit(job)
                await ended.wait()

    async def _next(self) -> MessageJob | None:
        """Return an event of any partition, None if none can be delivered now."""
        jetstream = JetStream(self._transport)
        found: list[tuple[int, EventWorker, str]] = []
        for worker, partition in sample(self._sources, len(self._sources)):
            name = worker.consumer.partition_name(partition)
            try:
                info = await jetstream.consumer_info(worker.consumer.stream.name, name)
            except ServiceError as error:
                self._report(worker, name, error)
                continue
            self._problems.pop(f"{worker.consumer.stream.name}.{name}", None)
            if info.pending or info.unacknowledged:
                found.append((info.unacknowledged, worker, name))
        # Those that are unacknowledged wait for their next delivery, or another instance has them.
        for _, worker, name in sorted(found, key=lambda each: each[0]):
            with suppress(ServiceError):
                message = await _take(jetstream.pull(worker.consumer.stream.name, name, batch=1))
                if message is not None:
                    return MessageJob(worker, message)
        return None

    def _report(self, worker: EventWorker, name: str, error: ServiceError) -> None:
        _LOG.error("the consumer %s receives no events: %s", worker.consumer.name, error)
        self._problems[f"{worker.consumer.stream.name}.{name}"] = str(error)
        for each in self._upkeep:
            each.look_soon()

    async def _send_heartbeats(self) -> None:
        """Keep the server from delivering again what is being processed."""
        while True:
            await asyncio.sleep(self._settings.ack_wait / _HEARTBEATS)
            now = monotonic()
            for message, until in self.working.items():
                if now < until:
                    with suppress(ServiceError):
                        message.in_progress()


async def _take(pull: Pull) -> PulledMessage | None:
    """Return the next message, None if none comes soon."""
    message: PulledMessage | None = None
    try:
        async with pull:
            # Not around the block: to leave it takes as long as the server is away, and the message
            # would be lost until `ack_wait` is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    message = await anext(pull)
    except BaseException:
        if message is not None:
            with suppress(ServiceError):
                message.nak()  # at once to another instance
        raise
    return message


def _limiter(rate: float) -> AsyncLimiter:
    """Return a limiter of some events a second."""
    burst = max(rate * _BURST, 1.0)
    return AsyncLimiter(burst, burst / rate)
