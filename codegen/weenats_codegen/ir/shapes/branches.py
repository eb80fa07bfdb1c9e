"""Whether no value can match two branches of a `oneOf`."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.ir.shapes.enumeration import type_of
from weenats_codegen.ir.shapes.grammar import Json, key, types_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats_codegen.ir.shapes.conjunction import Conjoiner, Conjunction

_MAX_COMPARED: Final = 30
_NOTHING: Final = frozenset[str]()
_OBJECT: Final = frozenset({"object"})


class _Branch(NamedTuple):
    """What distinguishes a branch from others.

    Attributes:
        types: The types of its values; integers are numbers.
        values: The values that it allows; None for any.
        tags: The members that it requires, with the values that it allows for each.
    """

    types: frozenset[str]
    values: frozenset[str] | None
    tags: dict[str, frozenset[str]]


def are_exclusive(branches: Sequence[Json], conjoiner: Conjoiner) -> bool:
    """Return whether it is certain that no value matches two of some schemas.

    Args:
        branches: The schemas.
        conjoiner: Follows their references.
    """
    found = [_branch(branch, conjoiner) for branch in branches]
    common = set[str]().union(*(branch.tags for branch in found)) if found else set[str]()
    if any(_are_distinct(branch.tags.get(tag) for branch in found) for tag in sorted(common)):
        return all(branch.types == _OBJECT for branch in found)
    if _are_distinct(branch.values for branch in found):
        return True
    return len(found) <= _MAX_COMPARED and all(
        _exclude(one, other) for one, other in combinations(found, 2)
    )


def tag_values(conjunction: Conjunction, name: str, conjoiner: Conjoiner) -> list[Json] | None:
    """Return the values of a member that a schema requires; None for any.

    Args:
        conjunction: The schema.
        name: The name of the member.
        conjoiner: Follows the references of the member.
    """
    keywords = conjunction.keywords
    if name not in keywords.get("required", ()) or name not in keywords.get("properties", {}):
        return None
    member = conjoiner.conjoin(keywords["properties"][name], lambda _: None)
    values: list[Json] | None = member.keywords.get("enum")
    return values


def _branch(schema: Json, conjoiner: Conjoiner) -> _Branch:
    whole = conjoiner.conjoin(schema, lambda _: None)
    if whole.is_false:
        return _Branch(_NOTHING, _NOTHING, {})
    values: list[Json] | None = whole.keywords.get("enum")
    kinds = types_of(whole.keywords)
    if values is not None:
        kinds = tuple(map(type_of, values))
    tags = {
        name: frozenset(map(key, found))
        for name in whole.keywords.get("properties", {})
        if (found := tag_values(whole, name, conjoiner)) is not None
    }
    types = frozenset("number" if kind == "integer" else kind for kind in kinds)
    return _Branch(types, None if values is None else frozenset(map(key, values)), tags)


def _are_distinct(sets: Iterator[frozenset[str] | None]) -> bool:
    """Return whether all sets are known and share nothing."""
    seen: set[str] = set()
    for values in sets:
        if values is None or not seen.isdisjoint(values):
            return False
        seen |= values
    return True


def _exclude(one: _Branch, other: _Branch) -> bool:
    if one.values is not None and other.values is not None:
        return one.values.isdisjoint(other.values)
    shared = one.types & other.types
    if shared == _OBJECT:
        return any(
            one.tags[tag].isdisjoint(other.tags[tag]) for tag in one.tags.keys() & other.tags
        )
    return not shared
