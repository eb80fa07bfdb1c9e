"""Durable consumers: each event is processed by one instance, in key order, at least once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, cast

from typing_extensions import Unpack

from weenats._internal.tasks import finish
from weenats._internal.uncopyable import Uncopyable
from weenats._internal.validation import check_options
from weenats.admission.scope import SCOPE
from weenats.events.consume_options import ConsumeOptions, ConsumeSettings
from weenats.events.consumer_base import EventConsumer
from weenats.events.processing import EventRunners, EventWorker
from weenats.events.pulling import DRAIN_TIMEOUT, ConsumerWork
from weenats.protocol import subjects
from weenats.streams.consumer_health import ConsumerHealth, Source
from weenats.streams.consumers import StreamConsumer
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.transport.base import check_transport
from weenats.transport.event_loop import check_event_loop

if TYPE_CHECKING:
    from weenats.transport.base import Transport

__all__ = ["Consumption", "consume"]


class Consumption(Uncopyable):
    """A running durable consumer; `async with` ends it.

    One that was started in the lifespan or in a handler of a service ends with the service.
    """

    def __init__(self, work: ConsumerWork) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Take no more events, and wait up to 30 seconds until those that arrived are processed.

        Events that are not processed by then are delivered to other instances. It goes on when its
        caller is cancelled.

        Raises:
            WrongEventLoopError: the consumer runs on another event loop.
        """
        check_event_loop(self._loop)
        await finish(self._work.end(DRAIN_TIMEOUT))

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
    """Process the durable events of a contract, each one in one instance, at least once.

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
        TypeError: the transport or the consumer is not one, or an option is unknown.
    """
    check_transport(transport)
    check_options(options, ConsumeOptions, "a durable consumer")
    if not isinstance(cast("object", consumer), EventConsumer):
        raise TypeError(
            f"consumer must be an instance of a generated consumer class, not {consumer!r}"
        )
    settings = ConsumeSettings.of(options)
    subjects.check_queue_group(name)
    await transport.connect()
    routes = consumer.routes()
    streams = {s.name: s for each in routes if (s := each.event.stream) is not None}
    consumers = [StreamConsumer(transport, stream, name) for stream in streams.values()]
    for each in consumers:
        await each.prepare(settings.start, settings.ack_wait)
    scope = SCOPE.get()
    work = ConsumerWork(transport, settings, scope)
    if settings.circuit_breaker is not None:
        from weenats.events.consume_breaker import EventGuard  # noqa: PLC0415 - few have one

        service = consumer.contract.name
        work.guard = EventGuard(settings.circuit_breaker, service, name, work.review)
    runners = EventRunners(consumer, telemetry, name, settings.interceptors, work.guard)
    work.start([EventWorker(each, settings, runners, work.working) for each in consumers])
    if scope is not None or telemetry is not SILENT:
        sources = [Source(each.stream.name, each.partition_names()) for each in consumers]
        health = work.health = ConsumerHealth(transport, name, sources, work, telemetry)
        health.start()
        if scope is not None:
            scope.add(work, health.check)
    return Consumption(work)
