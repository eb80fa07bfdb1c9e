"""Aggregates that are kept in a stream: their own commands emit their events."""

from collections.abc import Iterator

from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.walk import STANDARD_QUERY, Node, owners


def check_stored(contract: Node) -> Iterator[Diagnostic]:
    """Yield what an aggregate that is kept in a stream cannot have, and who else emits its events.

    Args:
        contract: The content of service.yaml.
    """
    stored = {name: node for name, node in owners(contract) if name and is_stored(node)}
    owner_of = {
        event: name for name, node in owners(contract) for event in node.get("events").mapping
    }
    for node in stored.values():
        yield from _check_aggregate(node)
    for name, node in owners(contract):
        for command in node.get("commands").members.values():
            for item in command.get("emits").items:
                event = item.value
                owner = owner_of.get(event) if isinstance(event, str) else None
                if owner is not None and owner != name and stored.keys() & {name, owner}:
                    yield item.diagnostic(
                        f"{quoted(event)} is not an event of the aggregate of this command",
                        "an event of an aggregate with `store: stream` comes from its own commands",
                    )


def is_stored(aggregate: Node) -> bool:
    """Return whether an aggregate is kept in a stream.

    Args:
        aggregate: What the contract says of it.
    """
    return aggregate.mapping.get("store") == "stream"


def _check_aggregate(node: Node) -> Iterator[Diagnostic]:
    for section in ("commands", "events"):
        if not node.get(section).mapping:
            yield node.diagnostic(
                f"has `store: stream` and no {section}",
                f"add {section}: its state is made of the events that its commands emit",
                "store",
            )
    get = node.get("queries", STANDARD_QUERY)
    if "parameters" in get.mapping:
        yield get.diagnostic(
            "has parameters, but the runtime answers it",
            "remove them, or declare another query",
            "parameters",
        )
