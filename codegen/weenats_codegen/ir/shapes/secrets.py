"""Members whose values are kept out of `repr()`, and so out of logs.

What is `writeOnly` may stand in a condition, a pattern or a branch, far from the class that has its
value. So members are hidden by their names, in all classes of a package: no schema has to be
followed into the class that it applies to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.shapes.grammar import Json, Schema, is_any, is_class, ref_name
from weenats_codegen.ir.shapes.schema_graph import IN_PLACE, SchemaGraph

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


class Secrets:
    """The names of the members that have `writeOnly` values.

    Args:
        definitions: The schemas of a package, whose references are `#/$defs/NAME`.

    Attributes:
        names: The members that are `writeOnly`, or have parts that are and no member of their own.
        holders: The members with such values anywhere inside them.
    """

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self.names: Final[set[str]] = set()
        self.holders: Final[set[str]] = set()
        graph = SchemaGraph(definitions)
        if not graph.secret:
            return
        whole = graph.users(graph.secret, IN_PLACE.__contains__)
        nearest = graph.users(graph.secret, lambda keyword: keyword != "properties")
        inside = graph.users(graph.secret, lambda _: True)
        for name, places in graph.members.items():
            if not nearest.isdisjoint(places):
                self.names.add(name)
            if not inside.isdisjoint(places):
                self.holders.add(name)
        self.names.update(graph.written_inside(whole), graph.matched(inside))


def hide_secrets(
    shapes: dict[str, Schema], secrets: Secrets, shared: Container[str] = frozenset()
) -> None:
    """Mark the members of classes that `repr()` must not show.

    Args:
        shapes: The definitions; changed in place.
        secrets: The names of members with `writeOnly` values.
        shared: The definitions that libraries have, whose classes hide only what libraries know.
    """
    if not secrets.names:
        return
    for owner, shape in shapes.items():
        if owner in shared:
            continue
        for part in (shape, *shape.get("allOf", ())):
            for name, member in part.get("properties", {}).items():
                is_raw = name in secrets.holders and _is_raw(member, shapes, shared, set())
                if name in secrets.names or is_raw:
                    member["writeOnly"] = True


def _is_raw(
    shape: Schema, shapes: Mapping[str, Schema], shared: Container[str], seen: set[str]
) -> bool:
    """Return whether values have parts that no class of the package hides."""
    name = ref_name(shape)
    if name in shared or is_any(shape) or _mixes_maps(shape, shapes):
        return True
    if name in seen:
        return False
    if name:
        seen.add(name)
        return _is_raw(shapes[name], shapes, shared, seen)
    if is_class(shape):
        return any(_is_raw(base, shapes, shared, seen) for base in shape.get("allOf", ()))
    parts = [*shape.get("anyOf", ()), *shape.get("prefixItems", ())]
    kinds = shape.get("type", ())
    for kind, keyword in (("array", "items"), ("object", "additionalProperties")):
        if keyword in shape:
            parts.append(shape[keyword])
        elif kind in ((kinds,) if isinstance(kinds, str) else kinds):
            return "prefixItems" not in shape
    return any(part is True or (part and _is_raw(part, shapes, shared, seen)) for part in parts)


def _mixes_maps(shape: Schema, shapes: Mapping[str, Schema]) -> bool:
    """Return whether an object may be read as a map, and the secrets be those of a class."""
    options = [shapes.get(ref_name(each), each) for each in shape.get("anyOf", ())]
    objects = [each for each in options if is_class(each) or each.get("type") == "object"]
    return len(objects) > 1 and not all(map(is_class, objects))
