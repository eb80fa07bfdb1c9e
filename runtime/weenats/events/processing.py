"""Processing one event of a durable consumer, until it is acknowledged or given up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats._internal.tracebacks import release_frames
from weenats.admission.job import Job
from weenats.codec.failures import code_of
from weenats.contract import Aggregate, Event
from weenats.errors import Code, InvalidArgumentError, ServiceError, UnavailableError
from weenats.events.received_event import EventReturnedError, EventRunner
from weenats.protocol.timeouts import DeadlineTimer
from weenats.schema import Schema
from weenats.streams.dead_letters import DeadLetters, original_subject
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.events.consume_breaker import EventGuard
    from weenats.events.consume_options import ConsumeSettings
    from weenats.events.consumer_base import EventConsumer
    from weenats.events.received_event import EventHandler, ReceivedEvent
    from weenats.interceptors import Interceptor
    from weenats.streams.consumers import StreamConsumer
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.jetstream import PulledMessage

__all__ = ["EventRunners", "EventWorker", "MessageJob"]
_LOG: Final = LimitedLogger("weenats.events")
_DEATHS: Final = 2
"""How many times `max_deliver` an event is delivered without an outcome.

Instances that stop return events that they have not begun: such deliveries count on the server too.
"""
_MAX_UNKNOWN: Final = 1000
"""How many events that the contract does not know are remembered."""
_ANY: Final = Schema[Any](Any)
_MAX_SUBJECTS: Final = 1000
"""How many subjects are remembered with what runs their handlers."""


class MessageJob(Job):
    """A job whose message is acknowledged.

    Args:
        worker: processes the message.
        message: the message.

    Attributes:
        ended: set when the message was processed or returned; None if nobody waits for it.
        is_late: whether the handler was cancelled because it took too long.
    """

    __slots__ = ("ended", "is_late", "message")

    def __init__(self, worker: EventWorker, message: PulledMessage) -> None:
        super().__init__(worker, message.delivery)
        self.message = message
        self.ended: asyncio.Event | None = None
        self.is_late = False

    def end(self) -> None:
        """Note that the message was processed or returned."""
        if self.ended is not None:
            self.ended.set()


def _cancel(job: MessageJob) -> None:
    job.is_late = True
    if job.task is not None:
        job.task.cancel()


class EventRunners:
    """Runs the handler of each event, also of those that the contract does not know.

    Args:
        consumer: the handlers.
        telemetry: records CONSUMER spans and metrics.
        name: the name of the consumer.
        interceptors: run around each handler, the first one is the outermost.
        guard: the circuit breaker, None for none.
    """

    def __init__(
        self,
        consumer: EventConsumer,
        telemetry: TelemetryManager,
        name: str,
        interceptors: Sequence[Interceptor[ReceivedEvent[Any, Any]]] = (),
        guard: EventGuard | None = None,
    ) -> None:
        self.guard = guard
        self._consumer = consumer
        self.telemetry = telemetry
        self._name = name
        self._interceptors = interceptors if guard is None else (*interceptors, guard)
        self._known = {
            each.event.path: self._runner(each.event, each.handler) for each in consumer.routes()
        }
        self._unknown: dict[str, EventRunner[Any, Any]] = {}

    def get(self, path: str) -> EventRunner[Any, Any]:
        """Return what runs the handler of an event.

        Args:
            path: the aggregate and the name of the event.

        Raises:
            ValueError: it is not the name of an event.
        """
        if (known := self._known.get(path) or self._unknown.get(path)) is not None:
            return known
        aggregate, _, name = path.rpartition(".")
        event: Event[Any] = Event(
            name=name,
            contract=self._consumer.contract,
            aggregate=Aggregate(name=aggregate, state=_ANY) if aggregate else None,
            data=_ANY,
            description="An event of another version of the contract.",
        )
        handler: Any = partial(self._consumer.other, path)
        runner = self._runner(event, handler)
        if len(self._unknown) < _MAX_UNKNOWN:
            self._unknown[path] = runner
        return runner

    def _runner(self, event: Event[Any], handler: EventHandler[Any, Any]) -> EventRunner[Any, Any]:
        return EventRunner(event, handler, self.telemetry, self._name, self._interceptors)


class EventWorker:
    """Processes the events of one stream.

    Args:
        consumer: the consumer on the server.
        settings: its settings.
        runners: run the handlers.
        working: until when the instance sends heartbeats for each message that it has.
    """

    def __init__(
        self,
        consumer: StreamConsumer,
        settings: ConsumeSettings,
        runners: EventRunners,
        working: dict[PulledMessage, float],
    ) -> None:
        self.consumer = consumer
        self._settings = settings
        self._runners = runners
        self._working = working
        self._late = DeadlineTimer(_cancel)
        self._subjects: dict[str, EventRunner[Any, Any]] = {}
        self._dead_letters = DeadLetters(consumer.transport, consumer.stream)
        self._count_dead_letter = runners.telemetry.counter(
            semconv.DEAD_LETTERS, "{message}", "Events that became dead letters."
        )
        self._attributes = semconv.of_consumer(consumer.stream.name, consumer.name)

    async def run(self, job: Job) -> None:
        """Process the event of a job.

        Args:
            job: a `MessageJob`.
        """
        assert isinstance(job, MessageJob)  # noqa: S101 - for type checkers
        message, guard = job.message, self._runners.guard
        try:
            with suppress(ServiceError):  # the connection is closed: it is delivered again
                if guard is not None and guard.seconds_to_trial() > 0:
                    message.nak()
                else:
                    await self._process(job)
            job.answered = True
        finally:
            self._working.pop(message, None)
            job.end()

    def close(self) -> None:
        """Stop the timer of the handlers."""
        self._late.close()

    async def _process(self, job: MessageJob) -> None:
        message, settings = job.message, self._settings
        if message.attempt > settings.max_deliver * _DEATHS:
            # Nearly no attempt had an outcome: the handler ends the process or blocks its event
            # loop, its dead letter could not be stored, or instances returned it.
            await self._give_up(message, "ABORTED", "ProcessDied")
            return
        try:
            runner = self._subjects.get(message.subject) or self._runner(message)
            event = runner.decode(message.payload, message.headers)
        except (InvalidArgumentError, ValueError) as error:
            await self._give_up(message, "INVALID_ARGUMENT", type(error).__name__)
            return
        event.sequence, event.attempt = message.sequence, message.attempt
        limit = event.deadline = self._working[message] = monotonic() + settings.handler_timeout
        try:
            failure = await self._handle(runner, event, job, limit)
        except EventReturnedError:
            message.nak()
            return
        if failure is None:
            message.ack()
        elif message.attempt >= settings.max_deliver:
            await self._give_up(message, *failure)
        else:
            message.nak(settings.pause(message.attempt))

    def _runner(self, message: PulledMessage) -> EventRunner[Any, Any]:
        """Return what runs the handler of a message.

        Raises:
            ValueError: its subject is not that of an event.
        """
        subject = original_subject(message)
        runner = self._runners.get(subject.split(".", 3)[-1])
        if subject == message.subject and len(self._subjects) < _MAX_SUBJECTS:
            self._subjects[subject] = runner
        return runner

    async def _handle(
        self,
        runner: EventRunner[Any, Any],
        event: ReceivedEvent[Any, Any],
        job: MessageJob,
        limit: float,
    ) -> tuple[str, str] | None:
        """Run the handler; return the code and the class of its error, None if it succeeded."""
        task = job.task
        # One timer for all handlers: an `asyncio.timeout` for each takes a tenth of an event.
        self._late.add(job, limit)
        try:
            await runner.handle(event)
        except BaseException as error:  # any of the handler
            self._end(job)
            if isinstance(error, EventReturnedError) or ends_task(error, task):
                raise
            return self._failure(job, error)
        self._end(job)
        return None

    def _end(self, job: MessageJob) -> None:
        self._late.discard(job)
        if job.is_late and job.task is not None:
            job.task.uncancel()

    def _failure(self, job: MessageJob, error: BaseException) -> tuple[str, str]:
        """Log the exception of a handler; return the code and the class of the error."""
        is_late = job.is_late and isinstance(error, TimeoutError | asyncio.CancelledError)
        self._log(job.message, error, "took too long" if is_late else "failed")
        release_frames(error)
        if is_late:
            return "DEADLINE_EXCEEDED", "TimeoutError"
        return (code_of(error) or Code.INTERNAL).value, type(error).__name__

    def _log(self, message: PulledMessage, error: BaseException, what: str) -> None:
        _LOG.warning(
            "the handler of %s in the consumer %s %s, attempt %d of %d",
            message.subject,
            self.consumer.name,
            what,
            message.attempt,
            self._settings.max_deliver,
            exc_info=error,
        )

    async def _give_up(self, message: PulledMessage, reason: str, error: str) -> None:
        """Make a message a dead letter; if that is impossible, it is delivered again."""
        self._working[message] = inf
        name = self.consumer.name
        try:
            await self._dead_letters.add(
                message, name, reason=reason, error=error, attempts=message.attempt
            )
        except ServiceError as failure:
            _LOG.error(
                "an event of %s cannot become a dead letter: %s", self.consumer.stream.name, failure
            )
            message.nak(self._settings.backoff[-1])
        else:
            _LOG.error(
                "event %d of %s is now a dead letter of %s: %s (%s)",
                message.sequence,
                self.consumer.stream.name,
                name,
                reason,
                error,
            )
            message.term()
            self._count_dead_letter(1, {**self._attributes, semconv.ERROR_TYPE: reason})

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Let the server deliver an event again: at once to another instance if this one stops.

        Args:
            job: a `MessageJob`.
            error: why its event is not processed here.
        """
        assert isinstance(job, MessageJob)  # noqa: S101 - for type checkers
        self._working.pop(job.message, None)
        job.end()
        if not job.message.is_settled:
            pause = 0.0 if isinstance(error, UnavailableError) else self._settings.backoff[0]
            with suppress(ServiceError):
                job.message.nak(pause)
