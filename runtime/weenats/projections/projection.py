"""The definition of a projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from weenats._internal.validation import check_integer
from weenats.events.reader import stream_of
from weenats.projections.generation import Generation
from weenats.projections.view import View
from weenats.protocol import subjects
from weenats.telemetry.manager import SILENT, TelemetryManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from weenats.contract import Stream
    from weenats.events.consumer_base import EventConsumer, EventRoute
    from weenats.projections.running import RunningProjection
    from weenats.transport.base import Transport

__all__ = ["Projection"]
ViewT = TypeVar("ViewT", bound=View)


@dataclass(frozen=True, slots=True)
class Projection(Generic[ViewT]):
    """A view of durable events, which is kept up to date and can be rebuilt.

    Example:
        ```python
        class ByStatus(ReceiptsConsumer):
            def __init__(self, view: KeyValueView[str]) -> None:
                self.view = view

            async def receipt_voided(self, event: ReceivedEvent[ReceiptVoided]) -> None:
                await self.view.put(event.key, "void")

        BY_STATUS = Projection("receipts-by-status", KeyValueView.of(str), ByStatus)
        ```

    Attributes:
        name: its name, of lower-case letters, digits and dashes.
        view: returns the view of a generation.
        handlers: returns the handlers of events, which change a view: an object of a class that
            extends a generated consumer.
        version: increase it when the handlers make another view of the same events, so that it is
            rebuilt.
        stream: the stream whose events are handled, if the contract has several.

    Raises:
        ValueError: the name is not valid, or the version is less than 1.
    """

    name: str
    view: Callable[[Generation], ViewT]
    handlers: Callable[[ViewT], EventConsumer]
    version: int = 1
    stream: Stream | None = None

    def __post_init__(self) -> None:
        subjects.check_queue_group(self.name)
        check_integer("version", self.version, 1)

    def run(
        self, transport: Transport, telemetry: TelemetryManager = SILENT
    ) -> AbstractAsyncContextManager[RunningProjection[ViewT]]:
        """Return a block in which this instance keeps the view up to date, and reads it.

        One of all instances that run it changes the view; if that ends or dies, another one goes
        on. Without a view of this version, one is built from the first stored event on.

        Args:
            transport: the connection.
            telemetry: records CONSUMER spans and metrics.

        Example:
            ```python
            @asynccontextmanager
            async def lifespan(self) -> AsyncGenerator[None]:
                async with BY_STATUS.run(self.transport) as self.by_status:
                    yield
            ```
        """
        from weenats.projections.running import running  # noqa: PLC0415 - it needs this class

        return running(self, transport, telemetry)

    def view_of(self, transport: Transport, number: int) -> ViewT:
        """Return the view of a generation, which is not open yet.

        Args:
            transport: the connection.
            number: the number of the generation.
        """
        return self.view(Generation(self.name, number, transport))

    def routes_of(self, view: ViewT) -> tuple[EventRoute, ...]:
        """Return the events of the stream, with their handlers.

        Args:
            view: what the handlers change.

        Raises:
            ValueError: the events are not those of one stream, and `stream` does not name one.
        """
        routes = self.handlers(view).routes()
        if self.stream is not None:
            routes = tuple(each for each in routes if each.event.stream == self.stream)
        stream_of(each.event for each in routes)
        return routes
