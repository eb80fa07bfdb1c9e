"""What running instances of any framework report of themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from weenats.discovery import list_instances
from weenats.errors import InternalError, ServiceError
from weenats.protocol.messages import HealthCheckData, StatsResponse
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import warn
from weenats_codegen.parser.diagnostics import did_you_mean

if TYPE_CHECKING:
    from weenats.transport.nats import NatsTransport


def warn_once() -> Callable[[InternalError], None]:
    """Return a function that warns of invalid replies, of each one once."""
    seen: set[str] = set()

    def on_invalid(error: InternalError) -> None:
        if error.message not in seen:
            seen.add(error.message)
            warn(error.message)

    return on_invalid


async def not_running(transport: "NatsTransport", service: str) -> CliError:
    """Return the error for a service that does not run, with one that has a similar name."""
    try:
        names = [each.name for each in await list_instances(transport)]
    except ServiceError:  # NATS may allow requests to one service only
        names = []
    if service in names:
        return CliError(f"no instance of {service} sent a valid reply, though some are running")
    hint = did_you_mean(service, names, "")
    return CliError(f"no instance of {service} is running{hint and f'; {hint}'}")


def reported_health(stats: StatsResponse) -> HealthCheckData | None:
    """Return what an instance reports of its health, None if it does not."""
    try:
        return HealthCheckData.model_validate(member(stats.data, "health"))
    except ValidationError:
        return None


def is_ready(health: HealthCheckData | None) -> bool:
    """Return whether an instance reports that it is ready."""
    return health is not None and health.ready is True


def is_ejected(health: HealthCheckData | None) -> bool:
    """Return whether an instance reports that it has left its queue group for now."""
    return health is not None and health.ejected is True


def trouble(health: HealthCheckData | None) -> str:
    """Return what keeps an instance from being ready, "" if nothing is known of it."""
    if health is None or health.ready is not False:
        return ""
    state = "ejected" if is_ejected(health) else "not ready"
    return f"{state}: {health.reason}" if isinstance(health.reason, str) else state


def member(value: object, name: str) -> object:
    """Return the member of a JSON object, None if there is none."""
    return cast("dict[object, object]", value).get(name) if isinstance(value, dict) else None
