"""Options that are passed on by keyword: one that nobody knows is a mistake, and told."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def unknown_option(given: Iterable[str], known: frozenset[str], whose: str) -> TypeError:
    """Return the error of options that are not among the known ones.

    Args:
        given: the names that were given, at least one of them unknown.
        known: those that there are.
        whose: what the options are for, such as "a call".
    """
    name = min(set(given) - known)
    close = get_close_matches(name, known, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(known))}"
    return TypeError(f"{whose} has no option {name}; {remedy}")
