"""Objects -> classes and maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.shapes.grammar import ANY, Json, Schema, union
from weenats_codegen.ir.shapes.pattern import translated
from weenats_codegen.ir.shapes.scalars import ASSERTED, sizes

if TYPE_CHECKING:
    from weenats_codegen.ir.shapes.place import Place
    from weenats_codegen.ir.shapes.shaper import Shaper

_SIZES: Final = ("minProperties", "maxProperties")
_KEY: Final = frozenset({"type", "pattern", "minLength", "maxLength", "format", "enum"})


def needs_class(keywords: Schema) -> bool:
    """Return whether the shape of an object is a class, not a map."""
    is_closed = keywords.get("additionalProperties") is False
    return bool(keywords.keys() & {"properties", "required"}) or (
        is_closed and "patternProperties" not in keywords
    )


def object_(shaper: Shaper, keywords: Schema, place: Place) -> Schema:
    """Return the shape of an object."""
    for keyword in ("dependentRequired", "dependentSchemas"):
        if keyword in keywords:
            shaper.drop(place, keyword)
    if needs_class(keywords):
        return _class(shaper, keywords, place)
    return _map(shaper, keywords, place)


def _class(shaper: Shaper, keywords: Schema, place: Place) -> Schema:
    """Return the shape of an object with members that have names."""
    required: list[str] = list(dict.fromkeys(keywords.get("required", ())))
    rest: Json = True
    if "patternProperties" not in keywords:
        rest = keywords.get("additionalProperties", True)
    _drop_unenforced(shaper, keywords, place, is_closed=rest is False)
    members = _members(shaper, keywords, rest, place)
    if not members and rest is not False:
        return {"type": "object", "additionalProperties": {**ANY}}
    shape: Schema = {"type": "object"}
    if members:
        shape["properties"] = members
    if required:
        shape["required"] = required
    if not isinstance(rest, bool):
        rest = shaper.part(rest, place.inside("Value", "additionalProperties"))
    return {**shape, "additionalProperties": rest}


def _drop_unenforced(shaper: Shaper, keywords: Schema, place: Place, *, is_closed: bool) -> None:
    """Note the keywords that a class does not enforce, unless its members do."""
    for keyword in ("patternProperties", "propertyNames"):
        if keyword in keywords:
            shaper.drop(place, keyword)
    if keywords.get("minProperties", 0) > len({*keywords.get("required", ())}):
        shaper.drop(place, "minProperties")
    most = keywords.get("maxProperties")
    if most is not None and not (is_closed and most >= len(keywords.get("properties", ()))):
        shaper.drop(place, "maxProperties")


def _members(shaper: Shaper, keywords: Schema, rest: Json, place: Place) -> Schema:
    """Return the shapes of the members that a class declares or requires.

    Args:
        shaper: Makes their shapes.
        keywords: The keywords of the class.
        rest: The schema of the members that it does not declare.
        place: Where the class stands.
    """
    required: list[str] = keywords.get("required", [])
    schemas: Schema = dict.fromkeys(required, rest) | keywords.get("properties", {})
    declared: list[str] = [*keywords.get("properties", ())]
    members: Schema = {}
    for name in dict.fromkeys([*declared, *required]):
        inner = place.inside(shaper.class_name(name), "properties", name, is_member=True)
        if schemas[name] is not False or name in required:
            members[name] = shaper.member(schemas[name], inner, is_required=name in required)
        elif rest is not False:  # a closed class refuses a member that it does not have
            shaper.drop(inner, "")
    return members


def _map(shaper: Shaper, keywords: Schema, place: Place) -> Schema:
    """Return the shape of an object without members that have names."""
    patterns: Schema = keywords.get("patternProperties", {})
    rest: Json = keywords.get("additionalProperties", True)
    names = _names(shaper, keywords, place)
    if patterns and rest is not False:
        shaper.drop(place, "patternProperties")
        values: Schema = {**ANY}
    elif patterns:
        values = _pattern_values(shaper, patterns, place)
        [first, *more] = patterns
        pattern = None if more or names else translated(first)
        if pattern is None:
            shaper.drop(place, "patternProperties")
        else:
            names = {"pattern": pattern}
    else:
        values = shaper.part(rest, place.inside("Value", "additionalProperties"))
    bounds = sizes(keywords, _SIZES, lambda each: shaper.drop(place, each))
    shape: Schema = {"type": "object", "additionalProperties": values, **bounds}
    return {**shape, "propertyNames": names} if names else shape


def _pattern_values(shaper: Shaper, patterns: Schema, place: Place) -> Schema:
    """Return the shape of the values of a map whose names match patterns."""
    shapes: list[Schema] = []
    for number, (pattern, schema) in enumerate(patterns.items(), start=1):
        suffix = "Value" if len(patterns) == 1 else f"Value{number}"
        shapes.append(shaper.part(schema, place.inside(suffix, "patternProperties", pattern)))
    return union(shapes)


def _names(shaper: Shaper, keywords: Schema, place: Place) -> Schema:
    """Return the keywords of the names of a map that a model can enforce."""
    if "propertyNames" not in keywords:
        return {}
    inner = place.inside("Name", "propertyNames")
    whole = shaper.conjoin(keywords["propertyNames"], inner)
    demands = whole.keywords
    names: Schema = {}
    is_known = demands.keys() <= _KEY and not whole.choices and not whole.is_false
    if not is_known or "string" not in whole.types or demands.get("format") in ASSERTED:
        shaper.drop(place, "propertyNames")
    elif "enum" in demands:
        texts = [value for value in demands["enum"] if isinstance(value, str)]
        names = {"enum": texts} if texts else {}
        if not texts or demands.keys() - {"enum", "type"}:
            shaper.drop(place, "propertyNames")
    else:
        names = sizes(demands, ("minLength", "maxLength"), lambda each: shaper.drop(inner, each))
        pattern = translated(demands["pattern"]) if "pattern" in demands else ""
        if pattern is None:
            shaper.drop(inner, "pattern")
        elif pattern:
            names["pattern"] = pattern
    return names
