"""A generation of a projection: one view, from its first event on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weenats.transport.base import Transport

__all__ = ["POSITION", "Generation", "projection_bucket"]
POSITION: Final = re.compile(rb"[0-9]{1,18}")
"""The position of a view in a bucket: the sequence of the last event that it has."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the view of a generation is made from.

    Attributes:
        projection: the name of the projection.
        number: the number of the generation, from 1.
        transport: the connection.
    """

    projection: str
    number: int
    transport: Transport


def projection_bucket(projection: str) -> str:
    """Return the name of the key-value bucket of a projection.

    Args:
        projection: the name of the projection.
    """
    return f"{projection}-projection"
