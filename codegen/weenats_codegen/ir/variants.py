"""The variants of a schema: what it means depends on what it is used for."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location


class Direction(Enum):
    """The way a message goes, on which `readOnly` and `writeOnly` depend."""

    REQUEST = auto()
    REPLY = auto()
    ANY = auto()


class Variant(NamedTuple):
    """One meaning of a schema.

    Attributes:
        location: The place of the schema.
        direction: The messages that it is a part of.
        scope: For each dynamic anchor, the outermost resource of the dynamic scope that has it.
    """

    location: Location
    direction: Direction
    scope: tuple[tuple[str, Location], ...]
