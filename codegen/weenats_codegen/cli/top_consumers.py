"""What `top` shows of durable consumers and projections: how far each is, running or not."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from weenats.errors import PermissionDeniedError, ServiceError
from weenats.projections.overview import ProjectionState, projection_states
from weenats.streams.consumer_states import ConsumerState, all_consumer_states
from weenats.streams.settings import SERVICE
from weenats.transport.jetstream import JetStream, JetStreamMissingError
from weenats_codegen.cli.output import plain
from weenats_codegen.cli.progress import lag_of, late, title_of

if TYPE_CHECKING:
    from rich.table import Table

    from weenats.transport.nats import NatsTransport


@dataclass(frozen=True, slots=True)
class Consumers:
    """How far those are who read events, by the names of the services whose events these are."""

    durable: Mapping[str, Sequence[ConsumerState]] = field(
        default_factory=dict[str, Sequence[ConsumerState]]
    )
    projections: Mapping[str, Sequence[ProjectionState]] = field(
        default_factory=dict[str, Sequence[ProjectionState]]
    )

    def __bool__(self) -> bool:
        return bool(self.durable or self.projections)


class ConsumerWatch:
    """Asks how far the consumers and the projections are, until the server refuses it.

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
            return Consumers()
        try:
            return await self._look()
        except (PermissionDeniedError, JetStreamMissingError):
            self._is_refused = True
        except ServiceError:  # the next look may succeed
            pass
        return Consumers()

    async def _look(self) -> Consumers:
        streams = await JetStream(self._transport).streams()
        durable = await all_consumer_states(self._transport, streams, self._service)
        projections: dict[str, list[ProjectionState]] = {}
        for each in streams:
            owner = each.config.metadata.get(SERVICE)
            if owner is None or self._service not in {None, owner}:
                continue
            if found := await projection_states(self._transport, streams, each.config.name):
                projections.setdefault(owner, []).extend(found)
        return Consumers(durable, dict(sorted(projections.items())))


def as_data(
    states: Mapping[str, Sequence[ConsumerState | ProjectionState]],
) -> list[dict[str, object]]:
    """Return consumers or projections as JSON has them."""
    return [
        {"service": service, **asdict(state)}
        for service, found in states.items()
        for state in found
    ]


def as_table(consumers: Consumers) -> "Table":
    """Return the consumers and projections as a table."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("consumer", overflow="fold", min_width=12)
    for title in ("stream", "pending", "in work", "repeated", "late"):
        table.add_column(title, justify="right", no_wrap=title != "stream")
    for service, states in consumers.durable.items():
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
    for service, views in consumers.projections.items():
        for view in views:
            name = f"[bold]{plain(service)}[/] {title_of(view)}"
            table.add_row(name, plain(view.stream), "", "", "", late(view.lag))
    return table
