"""What users add by name to a feature: a list of small dictionaries, checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Sequence


def checked_entries(
    entries: object, what: str, members: Collection[str], name: re.Pattern[str]
) -> list[Mapping[str, Any]]:
    """Return entries that have exactly these members, and each a `name` of its own.

    Raises:
        TypeError: they are no list of dictionaries.
        ValueError: members are missing or unknown, or a name is malformed or repeated.
    """
    if not isinstance(entries, list | tuple):
        raise TypeError(f"{what} are a list of dictionaries, not {type(entries).__name__}")
    taken: dict[str, Mapping[str, Any]] = {}
    for given in cast("Sequence[object]", entries):
        if not isinstance(given, Mapping):
            raise TypeError(f"each of {what} is a dictionary, not {type(given).__name__}")
        entry = cast("Mapping[str, Any]", given)
        if set(entry) != set(members):
            raise ValueError(
                f"each of {what} has the members {', '.join(members)}; this one has"
                f" {', '.join(map(str, entry)) or 'none'}"
            )
        given_name = entry["name"]
        if not isinstance(given_name, str) or name.fullmatch(given_name) is None:
            raise ValueError(f"a name in {what} matches ^{name.pattern}$, not {given_name!r}")
        if given_name in taken:
            raise ValueError(f"{what} have the name {given_name} twice")
        taken[given_name] = entry
    return list(taken.values())
