"""The base class of generated consumers of durable events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import TypeVar

from weenats._internal.validation import check_async

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.contract import Event, ServiceContract
    from weenats.events.received_event import EventHandler, ReceivedEvent

__all__ = ["EventConsumer", "EventRoute"]
DataT = TypeVar("DataT")
KeyT = TypeVar("KeyT", default=str)


@dataclass(frozen=True, slots=True, eq=False)
class EventRoute:
    """A durable event and the handler for it; generated consumers return theirs.

    Attributes:
        event: the event.
        handler: an async function that is called with each event.
    """

    event: Event[Any]
    handler: EventHandler[Any, Any]

    @classmethod
    def of(cls, event: Event[DataT], handler: EventHandler[DataT, KeyT]) -> EventRoute:
        """Return a route whose handler takes the data of its event.

        Args:
            event: the event, which a stream keeps.
            handler: an async function that is called with each event.

        Raises:
            TypeError: the handler is not async.
            ValueError: no stream keeps the event.
        """
        check_async(handler, f"the handler of event {event.name}")
        if event.stream is None:
            raise ValueError(f"the event {event.name} is not durable: no stream keeps it")
        return cls(event, handler)


class EventConsumer(ABC):
    """The base class of generated consumers: the handlers of the durable events of a contract.

    An event counts as processed when its method returns. When that raises, the event is delivered
    again after a while. One object handles events of several keys at a time.
    """

    contract: ClassVar[ServiceContract]
    """The contract of the service that publishes the events; generated consumers set it."""

    @abstractmethod
    def routes(self) -> tuple[EventRoute, ...]:
        """Return the durable events of the contract with their handlers."""

    async def other(self, name: str, event: ReceivedEvent[JsonValue]) -> None:
        """Handle an event that this version of the contract does not know; by default ignore it.

        Args:
            name: the aggregate and the name of the event, as in `receipt.item-added`.
            event: the event, whose data is JSON.
        """
        del name, event
