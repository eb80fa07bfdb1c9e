"""Arrays -> lists and tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.ir.shapes.grammar import ANY, Json, Schema, union
from weenats_codegen.ir.shapes.scalars import sizes

if TYPE_CHECKING:
    from weenats_codegen.ir.shapes.place import Place
    from weenats_codegen.ir.shapes.shaper import Shaper


def array(shaper: Shaper, keywords: Schema, place: Place) -> Schema:
    """Return the shape of an array."""
    if "uniqueItems" in keywords:
        shaper.drop(place, "uniqueItems")
    if "contains" in keywords and (keywords.get("minContains") != 0 or "maxContains" in keywords):
        shaper.drop(place, "contains")
    first: list[Json] = keywords.get("prefixItems", [])
    rest: Json = keywords.get("items", True)
    bounds = sizes(keywords, ("minItems", "maxItems"), lambda each: shaper.drop(place, each))
    if rest is False:
        bounds["maxItems"] = min(len(first), bounds.get("maxItems", len(first)))
    if not first:
        items = {**ANY} if rest is False else _items(shaper, rest, place)
        return {"type": "array", "items": items, **bounds}
    parts = [
        shaper.part(part, place.inside(f"Item{number}", "prefixItems", number - 1))
        for number, part in enumerate(first, start=1)
    ]
    size = len(first)
    if bounds.get("minItems") == bounds.get("maxItems") == size:
        return {"type": "array", "prefixItems": parts, "items": False,
                "minItems": size, "maxItems": size}  # fmt: skip
    shaper.drop(place, "prefixItems")
    if bounds.get("maxItems", size + 1) > size:
        parts.append(_items(shaper, rest, place))
    return {"type": "array", "items": union(parts), **bounds}


def _items(shaper: Shaper, schema: Json, place: Place) -> Schema:
    return shaper.part(schema, place.inside("Item", "items"))
