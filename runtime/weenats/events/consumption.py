"""Durable consumers: every event is processed, in the order of its key, by one of all instances."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

from typing_extensions import Unpack

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.validation import check_options
from weenats.admission.controller import Admission
from weenats.admission.scope import SCOPE, Scope
from weenats.errors import ConnectionClosedError, ServiceError
from weenats.events.consume_options import ConsumeOptions, ConsumeSettings
from weenats.events.consume_worker import EventRunners, EventWorker, MessageJob
from weenats.protocol import subjects
from weenats.streams.consumers import StreamConsumer
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.transport.jetstream import JetStream, PulledMessage

if TYPE_CHECKING:
    from weenats.events.consumer import EventConsumer
    from weenats.transport.base import Transport

__all__ = ["Consumption", "consume"]
_LOG: Final = LimitedLogger("weenats.events")
_DRAIN_TIMEOUT: Final = 30.0
_MAX_QUEUE: Final = 10_000
_PULL: Final = 100
"""How many events are asked for ahead; the next one comes after an ack."""
_PAUSE: Final = 1.0
"""Seconds until a consumer that is gone is looked for again."""
_SIGNS: Final = 3
"""How many signs of life an event that is processed gives within `ack_wait`."""


class Consumption:
    """A running durable consumer; `async with` ends it.

    One that was started in the lifespan or in a handler of a service ends with the service.
    """

    def __init__(self, work: _Work) -> None:
        self._work = work

    async def stop(self) -> None:
        """Take no more events, and wait up to 30 seconds until those that arrived are processed.

        Events that are not processed by then are delivered to other instances.
        """
        await self._work.end(_DRAIN_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def consume(
    transport: Transport,
    consumer: EventConsumer,
    name: str,
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[ConsumeOptions],
) -> Consumption:
    """Process the durable events of a contract, each one until it was processed.

    All instances that consume under one name share the events. Events of one key are processed in
    order, those of other keys at the same time. An event whose handler raises is delivered again,
    to any instance, and becomes a dead letter after `max_deliver` attempts. An instance that dies
    within a handler has processed its event or not: handlers have to stand a repeated event.

    Args:
        transport: the connection, which a consumer in a service does not outlive.
        consumer: the handlers, an object of a class that extends the generated one.
        name: the name of the consumer, under which the server remembers how far it is.
        telemetry: records CONSUMER spans and metrics.
        options: see ConsumeOptions.

    Returns:
        The running consumer.

    Example:
        ```python
        class Billing(ReceiptsConsumer):
            async def item_added(self, event: ReceivedEvent[ItemAdded]) -> None:
                await self.bill(event.key, event.data)

        async with await consume(receipts.transport, Billing(), "billing"):
            await stopped.wait()
        ```

    Raises:
        ValueError: an option is out of range.
        StreamMissingError: a stream does not exist.
        FailedPreconditionError: a stream has another number of partitions than in the contract.
        ServiceError: there is no connection, or the server denies a subject.
        TypeError: an option is unknown.
    """
    check_options(options, ConsumeOptions, "a durable consumer")
    settings = ConsumeSettings.of(options)
    subjects.check_queue_group(name)
    await transport.connect()
    routes = consumer.routes()
    streams = dict.fromkeys(stream for each in routes if (stream := each.event.stream) is not None)
    parts = [StreamConsumer(transport, stream, name) for stream in streams]
    for part in parts:
        await part.prepare(settings.start, settings.ack_wait)
    scope = SCOPE.get()
    runners = EventRunners(consumer, telemetry, name)
    work = _Work(transport, settings, scope)
    for part in parts:
        work.start(EventWorker(part, settings, runners, work.working))
    if scope is not None:
        scope.add(work)
    return Consumption(work)


class _Work:
    """The tasks of a durable consumer in one instance."""

    def __init__(
        self, transport: Transport, settings: ConsumeSettings, scope: Scope | None
    ) -> None:
        self.working: dict[PulledMessage, float] = {}
        self._transport = transport
        self._settings = settings
        self._scope = scope
        self._admission = Admission(
            max_concurrency=settings.max_concurrency,
            max_queue=_MAX_QUEUE,
            variables=None if scope is None else scope.variables,
        )
        self._pulling: set[asyncio.Task[None]] = set()
        self._giving_signs = asyncio.create_task(self._give_signs())

    def start(self, worker: EventWorker) -> None:
        """Begin to receive the events of a stream.

        Args:
            worker: processes them.
        """
        for partition in range(worker.part.stream.partitions):
            self._pulling.add(asyncio.create_task(self._pull(worker, partition)))

    async def end(self, timeout: float) -> None:
        end = monotonic() + timeout
        for task in self._pulling:
            task.cancel()
        if self._pulling:
            await asyncio.wait(self._pulling, timeout=timeout)
        try:
            await self._admission.drain(max(end - monotonic(), 0))
        finally:
            self._giving_signs.cancel()
            if self._scope is not None:
                self._scope.discard(self)

    def abort(self) -> None:
        self._admission.abort()

    async def _pull(self, worker: EventWorker, partition: int) -> None:
        stream, name = worker.part.stream.name, worker.part.partition_name(partition)
        while True:
            try:
                async with JetStream(self._transport).pull(stream, name, batch=_PULL) as messages:
                    async for message in messages:
                        self.working[message] = inf
                        self._admission.submit(MessageJob(worker, message))
            except ConnectionClosedError:
                return
            except ServiceError as error:
                # Somebody deleted it, for example to create it with another start.
                _LOG.error("the consumer %s receives no events: %s", worker.part.name, error)
            await asyncio.sleep(_PAUSE)

    async def _give_signs(self) -> None:
        """Keep the server from delivering again what is being processed."""
        while True:
            await asyncio.sleep(self._settings.ack_wait / _SIGNS)
            now = monotonic()
            for message, until in self.working.items():
                if now < until:
                    with suppress(ServiceError):
                        message.in_progress()
