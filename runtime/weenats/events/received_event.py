"""Received events, and running a handler for them: the same for all ways to receive events."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic

from typing_extensions import TypeVar

from weenats._internal.limited_log import LimitedLogger
from weenats.codec.events import Notification, event_codec
from weenats.context import CURRENT, MessageContext, Response
from weenats.contract import Event
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.interceptors import Interceptor, chain, wrong_context
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.telemetry.messaging import EventTelemetry

__all__ = ["EventHandler", "EventReturnedError", "EventRunner", "ReceivedEvent"]
_LOG: Final = LimitedLogger("weenats.events")
DataT = TypeVar("DataT")
KeyT = TypeVar("KeyT", default=str)


class ReceivedEvent(MessageContext, Generic[DataT, KeyT]):
    """A received event.

    Attributes:
        id: the id of the event.
        key: the key of the aggregate, of the type in the contract; None for an event of the service
            itself.
        revision: the revision of the aggregate after the event; None when the publisher gave none.
        timestamp: when the event happened, ISO 8601 in UTC with milliseconds.
        data: the data of the event, of the type that the contract declares.
        sequence: the sequence in the stream of a durable event that a durable consumer received;
            else None.
        attempt: which delivery of the event this is, from 1.
    """

    __slots__ = ("attempt", "data", "id", "key", "revision", "sequence")
    _SLOTS: ClassVar[tuple[str, ...]] = (*MessageContext.__slots__, *__slots__)

    def __init__(self, notification: Notification, headers: Mapping[str, str]) -> None:
        self.key: KeyT
        self.data: DataT
        (
            self.id,
            self.key,
            self.revision,
            self.timestamp,
            self.data,
            self.message_id,
            self.correlation_id,
            self.causation_id,
            self._metadata_context,
        ) = notification
        self._headers = headers
        self.deadline: float | None = None
        self.otel_context = None
        self._values = None
        self.sequence: int | None = None
        self.attempt = 1

    def __repr__(self) -> str:
        return f"<ReceivedEvent {type(self.data).__name__} {self.id}>"


class EventReturnedError(Exception):
    """A durable event was not processed: it is delivered again at once."""


EventHandler = Callable[[ReceivedEvent[DataT, KeyT]], Awaitable[None]]
"""An async function that handles an event; its exceptions are logged."""


class EventRunner(Generic[DataT, KeyT]):
    """Decodes the messages of an event and runs its handler.

    Args:
        event: the event.
        handler: an async function that is called with each event.
        telemetry: records CONSUMER spans and metrics.
        group: the queue group or the durable consumer, "" for none.
        interceptors: run around the handler, the first one is the outermost.
    """

    def __init__(
        self,
        event: Event[DataT],
        handler: EventHandler[DataT, KeyT],
        telemetry: TelemetryManager,
        group: str,
        interceptors: Sequence[Interceptor[ReceivedEvent[Any, Any]]] = (),
    ) -> None:
        self._event = event
        self._handler = _intercepted(handler, interceptors) if interceptors else handler
        self._codec = event_codec(event)
        self._telemetry: EventTelemetry | None = None
        if telemetry is not SILENT:
            self._telemetry = EventTelemetry(telemetry, event, "process", group)

    def decode(self, payload: bytes, headers: Mapping[str, str]) -> ReceivedEvent[DataT, KeyT]:
        """Return the event of a message.

        Args:
            payload: the payload of the message.
            headers: its headers.

        Raises:
            InvalidArgumentError: it does not match the contract, which is logged and recorded.
        """
        try:
            notification = self._codec.decode(payload)
        except InvalidArgumentError as error:
            found: Any = error.details
            text = "a message on %s does not match the contract: %s"
            _LOG.warning(text, self._event.subject, found or error)
            self.refuse(headers, error)
            raise
        # Not `ReceivedEvent[DataT, KeyT](...)`, which creates a type for each event.
        event: ReceivedEvent[DataT, KeyT] = ReceivedEvent(notification, headers)
        return event

    def handle(self, event: ReceivedEvent[DataT, KeyT]) -> Awaitable[None]:
        """Run the handler in the current task, which is that of this event alone.

        Args:
            event: the event.

        Returns:
            The running handler, to be awaited at once; it raises what the handler raises. It is not
            wrapped in another coroutine, which would be a tenth of what an event costs.
        """
        CURRENT.set(event)
        if self._telemetry is None:
            return self._handler(event)
        return self._recorded(event, self._telemetry)

    async def _recorded(self, event: ReceivedEvent[DataT, KeyT], telemetry: EventTelemetry) -> None:
        with telemetry.processing(event):
            await self._handler(event)

    def refuse(self, headers: Mapping[str, str], error: ServiceError) -> None:
        """Record a message that no handler gets.

        Args:
            headers: its headers.
            error: the reason.
        """
        if self._telemetry is not None:
            self._telemetry.refuse(headers, error)


def _intercepted(
    handler: EventHandler[Any, Any], interceptors: Sequence[Interceptor[ReceivedEvent[Any, Any]]]
) -> EventHandler[Any, Any]:
    async def innermost(event: ReceivedEvent[Any, Any]) -> Response:
        if not isinstance(event, ReceivedEvent):  # pyright: ignore[reportUnnecessaryIsInstance] - of an interceptor
            raise wrong_context(event)
        await handler(event)
        return Response(None)

    call = chain(interceptors, innermost)

    async def intercepted(event: ReceivedEvent[Any, Any]) -> None:
        await call(event)

    return intercepted
