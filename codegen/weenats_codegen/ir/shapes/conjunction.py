"""Schemas that must all hold -> one schema without `$ref` and `allOf`, with the same meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from weenats_codegen.ir.shapes.grammar import ANNOTATIONS, Json, Schema, key, ref_name, types_of

Drop = Callable[[str], None]
"""Takes a keyword that a shape does not enforce."""

CHOICES: Final = ("anyOf", "oneOf")
CONDITIONS: Final = ("not", "if", "then", "else", "dependentSchemas")
"""Keywords that apply other schemas to the same value, besides `$ref`, `allOf` and choices."""
_MEMBERS: Final = frozenset({"properties", "patternProperties", "additionalProperties"})
_STRUCTURAL: Final = _MEMBERS | {"type", "prefixItems", "items"}
_UNEVALUATED: Final = {
    "unevaluatedProperties": "additionalProperties", "unevaluatedItems": "items",
}  # fmt: skip
_MAX_CHAIN: Final = 50
_TRIVIAL: Final[Mapping[str, Json]] = {
    "items": True,
    "propertyNames": True,
    "additionalProperties": True,
    "not": False,
    "uniqueItems": False,
    "minItems": 0,
    "minLength": 0,
    "minProperties": 0,
    "prefixItems": [],
    "required": [],
    "properties": {},
    "patternProperties": {},
    "dependentRequired": {},
    "dependentSchemas": {},
}
"""Values of keywords that allow everything."""


@dataclass(slots=True)
class Choice:
    """An `anyOf` or a `oneOf`.

    Attributes:
        keyword: Which of them.
        branches: Its schemas.
        tag: The member that its `discriminator` names, "" if there is none.
    """

    keyword: str
    branches: list[Json]
    tag: str = ""

    @property
    def schema(self) -> Schema:
        """The choice as a schema."""
        tagged = {"discriminator": {"propertyName": self.tag}} if self.tag else {}
        return {self.keyword: self.branches, **tagged}


@dataclass(slots=True)
class Conjunction:
    """A schema in one piece.

    Attributes:
        keywords: Its keywords, without choices, references and annotations.
        choices: Its choices; a value must pass each.
        is_false: Whether it allows no value at all.
        evaluated: `additionalProperties` or `items`, if it evaluates all members or items.
    """

    keywords: Schema = field(default_factory=dict[str, Any])
    choices: list[Choice] = field(default_factory=list[Choice])
    is_false: bool = False
    evaluated: frozenset[str] = frozenset()

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it allows."""
        return types_of(self.keywords)


class Conjoiner:
    """Makes one schema out of several.

    Args:
        definitions: The schemas that a `$ref` may name.
    """

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions: Final = definitions
        self._known: Final[dict[str, tuple[Conjunction, list[str]]]] = {}

    def conjoin(
        self, schema: Json, drop: Drop, passed: frozenset[str] = frozenset()
    ) -> Conjunction:
        """Return a schema in one piece; it must not be changed.

        Args:
            schema: The schema.
            drop: Called with each keyword that has been left out, so that more values are allowed.
            passed: The definitions that the schema is a part of.
        """
        if not isinstance(schema, dict):
            return Conjunction(is_false=not schema)
        whole = _own(schema)
        name = ref_name(schema)
        if name:
            whole = _both(whole, self._target(name, drop, passed), drop)
        for part in schema.get("allOf", ()):
            whole = _both(whole, self.conjoin(part, drop, passed), drop)
        _settle_unevaluated(whole, drop)
        return whole

    def _target(self, name: str, drop: Drop, passed: frozenset[str]) -> Conjunction:
        """Return a definition in one piece; a part of itself adds nothing to it."""
        if name in passed or len(passed) > _MAX_CHAIN:
            drop("$ref")
            return Conjunction()
        if name not in self._known:
            dropped: list[str] = []
            found = self.conjoin(self._definitions[name], dropped.append, passed | {name})
            if "$ref" in dropped:
                for keyword in dropped:
                    drop(keyword)
                return found
            self._known[name] = found, dropped
        found, dropped = self._known[name]
        for keyword in dropped:
            drop(keyword)
        return found


def all_of(*schemas: Json) -> Json:
    """Return the schema that demands several schemas; equal ones count once."""
    parts: dict[str, Json] = {}
    for schema in schemas:
        listed: list[Json] = [schema]
        if isinstance(schema, dict) and schema.keys() == {"allOf"}:
            listed = schema["allOf"]
        for part in listed:
            if part is False:
                return False
            if part is not True and part != {}:
                parts[key(part)] = part
    found = list(parts.values())
    if not found:
        return True
    return found[0] if len(found) == 1 else {"allOf": found}


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern matches a name."""
    return jsonschema_rs.is_valid({"pattern": pattern}, name)


def _own(schema: Schema) -> Conjunction:
    """Return what a schema demands itself, besides its `$ref` and `allOf`."""
    keywords = {
        name: value
        for name, value in schema.items()
        if name not in ANNOTATIONS
        and name not in ("$ref", "allOf", *CHOICES)
        and not (name in _TRIVIAL and value == _TRIVIAL[name])
    }
    if "const" in keywords:
        keywords["enum"] = _intersection(keywords.get("enum"), [keywords.pop("const")])
    discriminator: Schema = schema.get("discriminator", {})
    tag: str = discriminator.get("propertyName", "")
    choices = [Choice(each, schema[each], tag) for each in CHOICES if each in schema]
    evaluated = frozenset(schema.keys() & {"additionalProperties", "items"})
    return Conjunction(keywords, choices, evaluated=evaluated)


def _intersection(one: list[Json] | None, other: list[Json]) -> list[Json]:
    """Return the values that are in both of two lists."""
    if one is None:
        return other
    keys = set(map(key, other))
    return [value for value in one if key(value) in keys]


def _common_multiple(one: float, other: float) -> int | None:
    return math.lcm(one, other) if isinstance(one, int) and isinstance(other, int) else None


def _same(one: Json, other: Json) -> Json:
    return one if key(one) == key(other) else None


def _joined(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))


_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_COMBINATIONS: Final[Mapping[str, Callable[[Any, Any], Json]]] = {
    **dict.fromkeys(_LOWER, max),
    **dict.fromkeys(_UPPER, min),
    "multipleOf": _common_multiple,
    "enum": _intersection,
    "required": _joined,
    "propertyNames": all_of,
}
"""How the values of a keyword are combined, if not only equal ones can be; None if they cannot."""


def _both(one: Conjunction, other: Conjunction, drop: Drop) -> Conjunction:
    """Return the schema that demands two schemas."""
    keywords: Schema = {**other.keywords, **one.keywords}
    for name in one.keywords.keys() & other.keywords.keys() - _STRUCTURAL:
        combine: Callable[[Any, Any], Json] = _COMBINATIONS.get(name, _same)
        value = combine(one.keywords[name], other.keywords[name])
        if value is None:
            drop(name)
        else:
            keywords[name] = value
    keywords |= _combined_types(one, other)
    _combine_members(keywords, one.keywords, other.keywords, drop)
    _combine_items(keywords, one.keywords, other.keywords)
    is_false = one.is_false or other.is_false or keywords.get("type") == []
    choices = [*one.choices, *other.choices]
    return Conjunction(keywords, choices, is_false, one.evaluated | other.evaluated)


def _combined_types(one: Conjunction, other: Conjunction) -> Schema:
    """Return the `type` of two schemas."""
    if not {"type"} & (one.keywords.keys() | other.keywords.keys()):
        return {}
    kinds = [kind for kind in one.types if _covers(other.types, kind)]
    kinds += [kind for kind in other.types if kind not in kinds and _covers(one.types, kind)]
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    return {"type": kinds[0] if len(kinds) == 1 else kinds}


def _covers(types: tuple[str, ...], kind: str) -> bool:
    return kind in types or (kind == "integer" and "number" in types)


def _combine_members(keywords: Schema, one: Schema, other: Schema, drop: Drop) -> None:
    """Combine the keywords for the members of objects.

    `additionalProperties` applies to the members that its own schema does not declare.
    """
    if _MEMBERS.isdisjoint(one) or _MEMBERS.isdisjoint(other):
        return
    names = dict.fromkeys([*one.get("properties", ()), *other.get("properties", ())])
    members = {
        name: _own_member(one, other, name)
        or _own_member(other, one, name)
        or all_of(_member(one, name), _member(other, name))
        for name in names
    }
    if members:
        keywords["properties"] = members
    patterns, others = [each.get("patternProperties", {}) for each in (one, other)]
    rest = all_of(one.get("additionalProperties", True), other.get("additionalProperties", True))
    if rest is True:
        keywords.pop("additionalProperties", None)
    else:
        keywords["additionalProperties"] = rest
    if patterns or others:
        keywords["patternProperties"] = {
            pattern: all_of(patterns.get(pattern, True), others.get(pattern, True))
            for pattern in dict.fromkeys([*patterns, *others])
        }
        # The names that only one of them declares would have to pass the rest of the other.
        if patterns.keys() != others.keys() and rest is not True:
            drop("additionalProperties")


def _own_member(schema: Schema, other: Schema, name: str) -> Json:
    """Return the member of a schema if the other one demands nothing of it, None otherwise.

    Many parts are combined one by one: what they have so far must not be looked at each time.
    """
    is_only = other.keys().isdisjoint({"patternProperties", "additionalProperties"})
    if not is_only or "patternProperties" in schema or name in other.get("properties", ()):
        return None
    properties: dict[str, Json] = schema.get("properties", {})
    return properties.get(name)


def _member(schema: Schema, name: str) -> Json:
    """Return what a schema of objects demands of a member."""
    found = [
        part
        for pattern, part in schema.get("patternProperties", {}).items()
        if matches(pattern, name)
    ]
    if name in schema.get("properties", {}):
        found.append(schema["properties"][name])
    return all_of(*found) if found else schema.get("additionalProperties", True)


def _combine_items(keywords: Schema, one: Schema, other: Schema) -> None:
    """Combine the keywords for the items of arrays."""
    first, second = one.get("prefixItems", []), other.get("prefixItems", [])
    rest, other_rest = one.get("items", True), other.get("items", True)
    if first or second:
        keywords["prefixItems"] = [
            all_of(
                first[at] if at < len(first) else rest,
                second[at] if at < len(second) else other_rest,
            )
            for at in range(max(len(first), len(second)))
        ]
    if "items" in keywords:
        keywords["items"] = all_of(rest, other_rest)


def _settle_unevaluated(whole: Conjunction, drop: Drop) -> None:
    """Replace the `unevaluated` keywords of a schema in one piece by what they come to."""
    keywords = whole.keywords
    unclear = bool(whole.choices) or not keywords.keys().isdisjoint(CONDITIONS)
    for name, plain in _UNEVALUATED.items():
        if name not in keywords:
            continue
        value = keywords.pop(name)
        if plain not in whole.evaluated:
            if unclear or (name == "unevaluatedItems" and "contains" in keywords):
                drop(name)
            else:
                keywords[plain] = value
        whole.evaluated |= {plain}
