"""What `top` shows of durable consumers: how far each is, by the server, running or not."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from weenats.errors import PermissionDeniedError, ServiceError
from weenats.streams.consumers import ConsumerState, all_consumer_states
from weenats.transport.jetstream import JetStreamMissingError
from weenats_codegen.cli.output import plain
from weenats_codegen.cli.streams import lag_of

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.transport.nats import NatsTransport

Consumers = Mapping[str, Sequence[ConsumerState]]
"""The consumers by the names of the services whose events they process."""


class ConsumerWatch:
    """Asks how far the consumers are, until the server refuses it.

    Args:
        transport: The connection.
        service: Whose events; None for those of all services.
    """

    def __init__(self, transport: "NatsTransport", service: str | None) -> None:
        self._transport = transport
        self._service = service
        self._is_refused = False

    async def look(self) -> Consumers:
        """Return how far they are; nothing when that is unknown."""
        if self._is_refused:
            return {}
        try:
            return await all_consumer_states(self._transport, self._service)
        except (PermissionDeniedError, JetStreamMissingError):
            self._is_refused = True
        except ServiceError:  # the next look may succeed
            pass
        return {}


def as_data(consumers: Consumers) -> list[dict[str, object]]:
    """Return the consumers as JSON has them."""
    return [
        {"service": service, **asdict(state)}
        for service, states in consumers.items()
        for state in states
    ]


def as_table(consumers: Consumers) -> "Table":
    """Return the consumers as a table."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("consumer", overflow="fold", min_width=12)
    for title in ("stream", "pending", "in work", "repeated", "late"):
        table.add_column(title, justify="right", no_wrap=title != "stream")
    for service, states in consumers.items():
        for each in states:
            repeated = f"[yellow]{each.redelivered}[/]" if each.redelivered else "0"
            table.add_row(
                f"[bold]{plain(service)}[/] {plain(each.name)}",
                plain(each.stream),
                str(each.pending),
                str(each.unacknowledged),
                repeated,
                lag_of(each),
            )
    return table
