"""Defaults that differ: documents are allowed as before, and mean something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from weenats_codegen.compatibility.reasons import part_at
from weenats_codegen.ir.bundle import PREFIX, judged, subschemas
from weenats_codegen.ir.shapes.grammar import key as value_key
from weenats_codegen.parser.diagnostics import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.compatibility.reasons import Steps
    from weenats_codegen.ir.bundle import Schema

_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
"""The keywords of schemas whose order does not matter."""
_ANNOTATIONS: Final = frozenset({"$ref", "description", "default"})
"""The keywords of a schema that is what it refers to."""


class Part(NamedTuple):
    """A schema inside a definition.

    Attributes:
        definition: The name of the definition.
        path: The way to the schema.
        schema: The schema.
    """

    definition: str
    path: Steps
    schema: JsonValue


class ChangedDefault(NamedTuple):
    """A member or an item with another default.

    Attributes:
        old: Its old schema.
        new: Its new one.
        message: What differs.
    """

    old: Part
    new: Part
    message: str


class _Pair(NamedTuple):
    """What is known of two schemas, one of each bundle.

    Attributes:
        old: The old schema.
        new: The new one.
        key: The schemas that they refer to.
        message: How their defaults differ; "" if they do not.
        inside: The schemas inside that both have.
    """

    old: Part
    new: Part
    key: tuple[int, int]
    message: str
    inside: list[tuple[Part, Part]]


class Defaults:
    """Compares the defaults of two bundles: each two schemas once, however many refer to them."""

    def __init__(self, old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> None:
        """Initialize the comparison.

        Args:
            old: The definitions of the old bundle.
            new: Those of the new one.
        """
        self._old: Final = old
        self._new: Final = new
        self._known: Final[dict[tuple[int, int], _Pair]] = {}

    def changed(self, names: tuple[str, str]) -> Iterator[ChangedDefault]:
        """Yield the defaults that differ between two definitions, in whatever both declare.

        Args:
            names: The names of the definition in both.
        """
        seen: set[tuple[int, int]] = set()
        old, new = names
        pending = [(Part(old, (), self._old[old]), Part(new, (), self._new[new]))]
        while pending:
            before, after = pending.pop()
            if not (isinstance(before.schema, dict) and isinstance(after.schema, dict)):
                continue
            pair = self._pair(before, after)
            if pair.key in seen:
                continue
            seen.add(pair.key)
            if pair.message:
                yield ChangedDefault(pair.old, pair.new, pair.message)
            pending += pair.inside

    def _pair(self, old: Part, new: Part) -> _Pair:
        key = (id(old.schema), id(new.schema))
        if key not in self._known:
            first, second = _target(self._old, old), _target(self._new, new)
            found = (id(first.schema), id(second.schema))
            message = ""
            inside: list[tuple[Part, Part]] = []
            if isinstance(first.schema, dict) and isinstance(second.schema, dict):
                before, after = (_default_of(cast("Schema", each.schema)) for each in (old, new))
                if [*map(value_key, before)] != [*map(value_key, after)]:
                    was, now = (", ".join(map(quoted, each)) or "none" for each in (before, after))
                    message = f"the default was {was} and is {now}"
                inside = [
                    (_inside(first, inner), _inside(second, other))
                    for inner, other in _common(first.schema, second.schema)
                ]
            self._known[key] = _Pair(old, new, found, message, inside)
        return self._known[key]


def _default_of(schema: Schema) -> list[JsonValue]:
    """Return the default of a schema as a list of one; without a default it is empty."""
    return [schema["default"]] if "default" in schema else []


def _target(definitions: Mapping[str, JsonValue], part: Part) -> Part:
    """Return what a schema refers to, the schema itself if it says more."""
    passed: set[str] = set()
    while isinstance(part.schema, dict) and part.schema.keys() <= _ANNOTATIONS:
        name = str(part.schema.get("$ref", "")).removeprefix(PREFIX)
        if name in passed or name not in definitions:
            break
        passed.add(name)
        part = Part(name, (), definitions[name])
    return part


def _common(first: Schema, second: Schema) -> Iterator[tuple[Steps, Steps]]:
    """Yield the ways to the schemas inside that two schemas both have."""
    ways = {path for path, _ in subschemas(second)}
    for path, _ in subschemas(first):
        if path in ways and path[0] not in _BRANCHES:
            yield path, path
    for keyword in _BRANCHES:
        yield from _branches(keyword, first.get(keyword), second.get(keyword))


def _branches(keyword: str, first: JsonValue, second: JsonValue) -> Iterator[tuple[Steps, Steps]]:
    """Yield the ways to branches that are equal but for defaults, then to the others in order."""
    texts = [
        [value_key(judged(part)) for part in (each if isinstance(each, list) else [])]
        for each in (first, second)
    ]
    left = dict(enumerate(texts[1]))
    alone: list[int] = []
    for at, text in enumerate(texts[0]):
        other = next((number for number in left if left[number] == text), None)
        if other is None:
            alone.append(at)
        else:
            del left[other]
            yield (keyword, at), (keyword, other)
    yield from (((keyword, at), (keyword, other)) for at, other in zip(alone, left, strict=False))


def _inside(part: Part, inner: Steps) -> Part:
    return Part(part.definition, (*part.path, *inner), part_at(part.schema, inner))
