"""The members of objects that only replies or only requests must have: readOnly and writeOnly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.dialects import Ref, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.resources import Place, Resources

_MARKS: Final = ("readOnly", "writeOnly")
_MAX_PARTS: Final = 30
"""The schemas that are looked at for one value: chains of `$ref`s may be long."""


def marked_members(resources: Resources, schema: Place) -> dict[str, frozenset[str]]:
    """Return the members of an object that are readOnly or writeOnly, and which of the two.

    Args:
        resources: The files that references lead to.
        schema: The schema of the object; what it refers to and its `allOf` are included.
    """
    found: dict[str, frozenset[str]] = {}
    for part in all_of(resources, schema):
        for name, member in part.node.get("properties").members.items():
            if isinstance(member.value, dict):
                marks = _marks(resources, resources.place(member))
                if marks:
                    found[name] = found.get(name, frozenset()) | marks
    return found


def _marks(resources: Resources, schema: Place) -> frozenset[str]:
    return frozenset(
        mark
        for part in all_of(resources, schema)
        for mark in _MARKS
        if part.node.mapping.get(mark) is True
    )


def all_of(resources: Resources, schema: Place) -> Iterator[Place]:
    """Yield a schema, what it refers to, and the parts of its `allOf`.

    Args:
        resources: The files that references lead to.
        schema: The schema.
    """
    pending = [schema]
    seen: set[Location] = set()
    while pending and len(seen) < _MAX_PARTS:
        place = pending.pop()
        if place.node.location in seen or not place.node.mapping:
            continue
        seen.add(place.node.location)
        if not place.context.dialect.hides_siblings(place.node.mapping):
            yield place
            parts = place.node.get("allOf").items
            pending += [resources.place(part) for part in parts if isinstance(part.value, dict)]
        if not place.node.mapping.keys().isdisjoint({"$ref", "$dynamicRef", "$recursiveRef"}):
            ref = translated(place.node, place.context.dialect).get("$ref")
            if isinstance(ref, Ref):
                try:
                    pending.append(resources.resolve(place.context, ref))
                except ContractError:  # the bundler reports it
                    continue
