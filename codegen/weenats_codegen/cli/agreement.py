"""Whether the running instances of a service speak one contract."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress

from weenats.discovery import list_instances
from weenats.errors import ServiceError
from weenats.protocol.messages import PingResponse
from weenats.transport.nats import NatsTransport
from weenats_codegen.cli.output import warn

_SHOWN = 15
"""Characters of a digest that tell it from others: `sha256:` and eight."""


async def compared_instances(
    transport: NatsTransport, service: str, timeout: float
) -> list[PingResponse]:
    """Return the instances of a service, and warn when their contracts differ.

    That they cannot be asked is told by whatever else is asked of them: then there are none.
    """
    instances: list[PingResponse] = []
    with suppress(ServiceError):
        instances = await list_instances(transport, service, timeout=timeout)
    warn_of_differences(instances)
    return instances


def warn_of_differences(instances: Iterable[PingResponse]) -> None:
    """Warn of each service whose instances have different contracts; other makes have none."""
    contracts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for each in instances:
        digest = each.metadata.get("contract") if isinstance(each.metadata, dict) else None
        if digest is not None:
            contracts[each.name][each.version, digest] += 1
    for service, found in contracts.items():
        if len({digest for _, digest in found}) > 1:
            told = ", ".join(
                f"{version} {digest[:_SHOWN]} ({count})"
                for (version, digest), count in sorted(found.items())
            )
            warn(f"the instances of {service} have different contracts: {told}")
