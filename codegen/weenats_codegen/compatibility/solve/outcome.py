"""What a search for a value may end with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Found:
    """There is a value, such as this one."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no value."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No value was found, and it is not known that there is none."""

    reason: str


Outcome = Found | Nothing | Unknown

NOTHING = Nothing()


def worse(first: Outcome, second: Outcome) -> Outcome:
    """Return what is known if there is no value in two cases.

    Args:
        first: The outcome of one case.
        second: The outcome of the other.
    """
    return second if isinstance(second, Unknown) and isinstance(first, Nothing) else first
