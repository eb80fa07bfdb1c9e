"""Values of a contract with their locations, and the places where schemas are.

Nothing is validated here: values of an unexpected shape are treated as empty.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from pydantic import JsonValue

from weenats_codegen.parser.diagnostics import Diagnostic, Location

Schema = dict[str, "JsonValue"]

OPERATION_SCHEMAS: Final = {
    "errors": ("details",),
    "commands": ("payload", "result"),
    "queries": ("parameters", "result"),
    "events": ("data",),
}
"""The sections of service.yaml, and the members of their entries that are schemas."""
AGGREGATE_SCHEMAS: Final = ("key", "state")
"""The members of an aggregate that are schemas."""
STANDARD_QUERY: Final = "get"
"""The query that each aggregate may have: it returns the aggregate itself."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")


class Node(NamedTuple):
    """A value of a contract and its location.

    Attributes:
        location: The place of the value.
        value: The value, of any type.
    """

    location: Location
    value: JsonValue

    @property
    def mapping(self) -> Schema:
        """The value if it is a mapping, otherwise an empty mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Self]:
        """The items if the value is a list, otherwise none."""
        items = self.value if isinstance(self.value, list) else []
        return [self._child(index, item) for index, item in enumerate(items)]

    @property
    def members(self) -> dict[str, Self]:
        """The members if the value is a mapping, otherwise none."""
        return {key: self._child(key, value) for key, value in self.mapping.items()}

    @property
    def ref(self) -> str | None:
        """The `$ref` of a schema, None if there is none or it is not a string."""
        ref = self.mapping.get("$ref")
        return ref if isinstance(ref, str) else None

    def get(self, *keys: str) -> Self:
        """Return the nested value at some keys; a missing one is None."""
        found = self
        for key in keys:
            found = found._child(key, found.mapping.get(key))
        return found

    def step(self, key: str) -> Self | None:
        """Return the nested value at one step of a JSON pointer, None if there is none.

        Args:
            key: The key of a mapping, or the index of a list.
        """
        if isinstance(self.value, list):
            is_index = key.isascii() and key.isdigit() and int(key) < len(self.value)
            return self._child(int(key), self.value[int(key)]) if is_index else None
        return self._child(key, self.mapping[key]) if key in self.mapping else None

    def diagnostic(self, message: str, remedy: str, *steps: str | int) -> Diagnostic:
        """Return a diagnostic for this value, or for the nested one that `steps` lead to."""
        return Diagnostic(self.location.child(*steps), message, remedy)

    def _child(self, step: str | int, value: JsonValue) -> Self:
        return self._replace(location=self.location.child(step), value=value)


class Entry(NamedTuple):
    """An operation, event or error of a contract.

    Attributes:
        name: The name in the contract.
        node: What the contract says of it.
        aggregate: The name of its aggregate; "" if it belongs to the service itself.
        is_standard: Whether it is the standard query `get` of an aggregate.
    """

    name: str
    node: Node
    aggregate: str
    is_standard: bool

    @property
    def python_name(self) -> str:
        """The name that Python names are made of; unique in the contract, unlike `get`."""
        return f"{STANDARD_QUERY}-{self.aggregate}" if self.is_standard else self.name


def is_name(text: str) -> bool:
    """Return whether a text is a valid name of an aggregate, operation, event or error."""
    return _NAME.fullmatch(text) is not None


def owners(contract: Node) -> list[tuple[str, Node]]:
    """Return the nodes of service.yaml that have commands, queries and events.

    Args:
        contract: The content of service.yaml.

    Returns:
        The aggregates with their names, then the contract itself with "" for a name.
    """
    aggregates = contract.get("aggregates").members.items()
    named = [(name, node) for name, node in aggregates if is_name(name)]
    return [*named, ("", contract)]


def entries(contract: Node, section: str) -> list[Entry]:
    """Return the entries of a section of all aggregates, then those of the service itself.

    Args:
        contract: The content of service.yaml.
        section: One of `OPERATION_SCHEMAS`. Entries whose names are invalid are left out.
    """
    return [
        Entry(name, node, owner, bool(owner) and (section, name) == ("queries", STANDARD_QUERY))
        for owner, place in owners(contract)
        for name, node in place.get(section).members.items()
        if is_name(name)
    ]


def contract_schemas(contract: Node) -> Iterator[Node]:
    """Yield the outermost schemas of a service.yaml, those of its own `$defs` first."""
    yield from contract.get("$defs").members.values()
    aggregates = [*contract.get("aggregates").members.values()]
    for aggregate in aggregates:
        yield from (aggregate.get(key) for key in AGGREGATE_SCHEMAS if key in aggregate.mapping)
    for section, keys in OPERATION_SCHEMAS.items():
        for owner in (*aggregates, contract):
            for entry in owner.get(section).members.values():
                yield from (entry.get(key) for key in keys if key in entry.mapping)
                if section == "events":
                    yield from (each.get("data") for each in previous_versions(entry))


def previous_versions(event: Node) -> list[Node]:
    """Return the older versions of an event that have data, oldest first.

    Args:
        event: What the contract says of the event.
    """
    return [each for each in event.get("previous").items if "data" in each.mapping]
