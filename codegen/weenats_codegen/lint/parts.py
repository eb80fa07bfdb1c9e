"""The schemas that messages consist of, with what they are there for."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.ir.bundle import DOCUMENTATION, PREFIX, subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.ir.bundle import Bundle, Schema
    from weenats_codegen.parser.diagnostics import Location

_CHOICES: Final = frozenset({"anyOf", "oneOf"})
_VALUES: Final = frozenset({
    "additionalProperties", "items", "patternProperties", "prefixItems", "properties",
})  # fmt: skip
_ROLES: Final = {
    "payload": "request", "parameters": "request", "result": "reply", "state": "reply",
    "data": "event", "details": "details", "key": "key",
}  # fmt: skip
"""What a schema is there for, by the member of service.yaml that has it."""
_OF_OLD_VERSION: Final = re.compile(r"/previous/[0-9]+/data$")
"""The place of the data of an older version of an event."""


class Position(Enum):
    """What a schema describes, in relation to those around it."""

    VALUE = auto()
    """A whole value: a message, a member, an item."""
    BRANCH = auto()
    """One of several alternatives for a value, or a member that another schema describes too."""
    PART = auto()
    """One of several schemas for the same value: of `allOf`, or beside a `$ref`."""
    CONDITION = auto()
    """A condition, as in `not` and `if`, with all that is inside it."""


class Part(NamedTuple):
    """A schema that messages consist of.

    Attributes:
        schema: The schema, with references to definitions of the bundle.
        location: Its place in the files.
        role: `request`, `reply`, `event`, `details` or `key`.
        position: What it describes.
        member: The name of the member whose value it describes; "" for others.
    """

    schema: Schema
    location: Location
    role: str
    position: Position
    member: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether it only refers to another schema, which says everything."""
        return "$ref" in self.schema and self.schema.keys() - DOCUMENTATION == {"$ref"}

    @property
    def is_value(self) -> bool:
        """Whether it describes a whole value, and not by reference."""
        return self.position is Position.VALUE and not self.is_reference

    @property
    def is_alternative(self) -> bool:
        """Whether it describes a whole value or a branch, and not by reference."""
        return self.position in {Position.VALUE, Position.BRANCH} and not self.is_reference


def parts_of(bundle: Bundle) -> Iterator[Part]:
    """Yield every schema that messages consist of, once for each role and position.

    Args:
        bundle: The schemas of a contract.
    """
    seen = dict.fromkeys(
        (name, _ROLES[location.pointer.rpartition("/")[2]], Position.VALUE)
        for location, name in bundle.names.items()
        if not _OF_OLD_VERSION.search(location.pointer)  # which nobody can change any more
    )
    pending = [*seen]
    while pending:
        name, role, position = pending.pop()
        for part in _inside(bundle, name, role, position):
            yield part
            target = part.schema.get("$ref")
            if isinstance(target, str):
                following = (target.removeprefix(PREFIX), role, _position_of_target(part))
                if following not in seen:
                    seen[following] = None
                    pending.append(following)


def _position_of_target(part: Part) -> Position:
    if part.position is Position.CONDITION:
        return Position.CONDITION
    is_whole = part.is_reference and part.position is not Position.PART
    return Position.VALUE if is_whole else Position.PART


def _inside(bundle: Bundle, name: str, role: str, outermost: Position) -> Iterator[Part]:
    """Yield a definition and the schemas inside it."""
    members = Position.CONDITION if outermost is Position.CONDITION else Position.VALUE
    pending = [(bundle.definitions[name], bundle.locations[name], outermost, members, "")]
    while pending:
        schema, location, position, members, member = pending.pop()
        if not isinstance(schema, dict):
            continue
        yield Part(schema, location, role, position, member)
        for path, inner in subschemas(schema):
            named = str(path[1]) if path[0] == "properties" else ""
            there = members if path[0] in _VALUES else _beside(str(path[0]), position)
            below = Position.BRANCH if there in {Position.BRANCH, Position.PART} else there
            pending.append((inner, location.child(*path), there, below, named))


def _beside(keyword: str, outer: Position) -> Position:
    """Return what a schema describes that applies to the same value as the one around it."""
    if outer is Position.CONDITION or keyword not in {"allOf", *_CHOICES}:
        return Position.CONDITION
    return Position.BRANCH if keyword in _CHOICES else Position.PART
