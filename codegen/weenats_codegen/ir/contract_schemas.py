"""The schemas that the messages of a contract consist of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.ir.variants import Direction
from weenats_codegen.parser.walk import (
    OPERATION_SCHEMAS,
    Entry,
    Node,
    entries,
    owners,
    previous_versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

_OWN_NAMES: Final = {
    "details": "{name}-details",
    "parameters": "{name}-parameters",
    "result": "{name}-result",
}
_OWN_DESCRIPTIONS: Final = {
    "parameters": "The parameters of the query {name}.",
    "result": "The result of {name}.",
}


class Member(NamedTuple):
    """A schema that messages consist of.

    Attributes:
        schema: The schema.
        name: Its name, unless it is only a `$ref`: then it has the name of the target.
        direction: The messages that it is a part of.
        description: Its description if it has none.
    """

    schema: Node
    name: str
    direction: Direction = Direction.ANY
    description: JsonValue = None


def contract_members(root: Node) -> Iterator[Member]:
    """Yield the schemas that the messages of a contract consist of.

    Args:
        root: The content of service.yaml.
    """
    for kind, aggregate in owners(root):
        if kind and "state" in aggregate.mapping:
            text = aggregate.mapping.get("description", f"The state of the aggregate {kind}.")
            yield Member(aggregate.get("state"), kind, Direction.REPLY, text)
        if kind and "key" in aggregate.mapping:
            text = f"The key of the aggregate {kind}."
            yield Member(aggregate.get("key"), f"{kind}-key", Direction.ANY, text)
    for section, keys in OPERATION_SCHEMAS.items():
        for entry in entries(root, section):
            name, node = entry.python_name, entry.node
            for key in keys:
                if key not in node.mapping:
                    continue
                own = _OWN_DESCRIPTIONS.get(key)
                yield Member(
                    node.get(key),
                    _OWN_NAMES.get(key, "{name}").format(name=name),
                    Direction.REQUEST if key in {"payload", "parameters"} else Direction.REPLY,
                    own.format(name=entry.name) if own else node.mapping.get("description"),
                )
            if section == "events":
                yield from _previous_data(entry)


def _previous_data(event: Entry) -> Iterator[Member]:
    for number, version in enumerate(previous_versions(event.node), 1):
        text = f"Version {number} of the data of {event.name}."
        yield Member(version.get("data"), f"{event.name}-v{number}", Direction.REPLY, text)
