"""Why one schema does not allow all that another allows: one document for each reason."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from weenats_codegen.compatibility.budget import Allowance
from weenats_codegen.compatibility.containment import (
    DRAWN_PARTS,
    MAX_STEPS,
    Containment,
    Containments,
    Side,
)
from weenats_codegen.compatibility.declared import is_declared, without_undeclared
from weenats_codegen.compatibility.formula.oracle import validator
from weenats_codegen.ir.bundle import PREFIX, judged, reachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jsonschema_rs
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema

_MAX_REASONS: Final = 10
"""How many reasons of one definition are looked for."""
_MANY_REASONS: Final = 100
"""After how many reasons in two bundles only one of each further definition is looked for."""
_MAX_HARMLESS: Final = 100
"""How many harmless reasons are passed over in all; after them, ten for each definition."""
_LEAST_STEPS: Final = 1_000
"""What a search may cost when the steps of all searches are spent."""
_LEAST_PARTS: Final = 2_000
"""How many parts the documents drawn for a search may have when those of all are spent."""

Steps = tuple[str | int, ...]
"""The way from a definition to a part of it, or through a document."""


class Reason(NamedTuple):
    """A document that a schema refuses, and why.

    Attributes:
        document: The document.
        definition: The definition with the keyword that refuses it.
        path: The way to that keyword.
        instance: The way to what is wrong in the document.
        keyword: The keyword.
        names: The members that are missing or not allowed.
    """

    document: JsonValue
    definition: str
    path: Steps
    instance: Steps
    keyword: str
    names: tuple[str, ...]


IsHarmless = Callable[[str, Side, str, Reason], bool]
"""Takes a definition, its bundle, the definition in the other bundle and a reason why the first one
refuses what the second one allows; returns whether that reason breaks nobody."""


class _Search(NamedTuple):
    """The arguments of a search."""

    name: str
    side: Side
    other: str
    most: int
    is_harmless: IsHarmless | None
    is_stored: bool


class Difference(NamedTuple):
    """What a schema refuses of all that another allows.

    Attributes:
        reasons: The reasons, of which each has a document of its own.
        rest: Whether it allows everything but what they refuse: yes, or not known.
    """

    reasons: tuple[Reason, ...]
    rest: Containment


class Differences:
    """Finds the differences between the schemas of two bundles."""

    def __init__(
        self,
        old: Mapping[str, JsonValue],
        new: Mapping[str, JsonValue],
        allowance: Allowance | None = None,
    ) -> None:
        """Initialize the comparison.

        Args:
            old: The definitions of the old bundle.
            new: The definitions of the new bundle.
            allowance: What it may cost, with other comparisons; by default it has its own.
        """
        self._bundles: Final = (old, new)
        self._whole: Final = Containments(old, new)
        self._known: Final[dict[_Search, Difference]] = {}
        self._count = self._passed = 0
        self._allowance: Final = allowance or Allowance()

    def refused(  # noqa: PLR0913 - a search, and what ends it
        self,
        name: str,
        side: Side,
        other: str,
        most: int = _MAX_REASONS,
        is_harmless: IsHarmless | None = None,
        *,
        is_stored: bool = False,
    ) -> Difference:
        """Return what a definition refuses of all that one of the other bundle allows.

        Args:
            name: The definition.
            side: Its bundle.
            other: The definition in the other bundle.
            most: The most reasons to look for; fewer if very much has been found already.
            is_harmless: Returns whether a reason breaks nobody. Such reasons do not count towards
                the most reasons, so that they hide no others.
            is_stored: Whether documents have no members that the other definition does not declare.
        """
        search = _Search(name, side, other, most, is_harmless, is_stored)
        if search not in self._known:
            limit = most if self._count < _MANY_REASONS else 1
            self._known[search] = self._refused(search._replace(most=limit))
            self._count += len(self._known[search].reasons)
        return self._known[search]

    def _refused(self, search: _Search) -> Difference:
        name, side, other, most, is_harmless, is_stored = search
        reasons: list[Reason] = []
        breaking = passed = 0
        is_reduced = not is_stored
        most_passed = _MAX_HARMLESS if self._passed < _MAX_HARMLESS else _MAX_REASONS
        found = self._found(self._whole, name, side, other)
        if found.holds is not False:
            return Difference((), found)
        wide, narrow = _part(self._bundles[side], name), _part(self._bundles[1 - side], other)
        while found.holds is False:
            document = found.counterexample
            error = _first_error(validator(wide, name), document)
            reason = _reason(error, document)
            rest = None if is_reduced else without_undeclared(wide, name, narrow, other)
            if rest is not None and validator(rest, name).is_valid(document):
                wide, is_reduced, breaks = rest, True, False
            else:
                wide = _relaxed(wide, reason, cast("JsonValue", error.instance))
                breaks = not is_stored or is_declared(narrow, other, reason.instance)
                if breaks:
                    reasons.append(reason)
                    breaks = is_harmless is None or not is_harmless(name, side, other, reason)
            breaking += breaks
            passed += not breaks
            self._passed += not breaks
            if breaking >= most:
                break
            if passed >= most_passed:
                tried = (f"{passed} reasons that break nobody were passed over",)
                return Difference(tuple(reasons), Containment(holds=None, tried=tried))
            found = self._found(
                Containments(narrow, wide) if side else Containments(wide, narrow),
                *(name, side, other),
            )
        return Difference(tuple(reasons), found)

    def _found(self, containments: Containments, name: str, side: Side, other: str) -> Containment:
        """Return whether a definition allows all that another allows, within the steps left."""
        left = self._allowance
        containments.steps = max(_LEAST_STEPS, min(MAX_STEPS, left.steps))
        containments.parts = max(_LEAST_PARTS, min(DRAWN_PARTS, left.parts))
        found = containments.allows_all(name, side, other)
        left.steps -= containments.spent
        left.parts -= containments.drawn
        return found


def _part(definitions: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    """Return a definition and all that it refers to, for judging."""
    return {each: judged(definitions[each]) for each in reachable(definitions, [name])}


def _first_error(
    judge: jsonschema_rs.Validator, document: JsonValue
) -> jsonschema_rs.ValidationError:
    return min(judge.iter_errors(document), key=lambda error: [*map(str, error.instance_path)])


def _reason(error: jsonschema_rs.ValidationError, document: JsonValue) -> Reason:
    _, *path = error.schema_path  # the first step is "$defs"
    names = cast("Sequence[str]", getattr(error.kind, "unexpected", ()))
    if missing := cast("str", getattr(error.kind, "property", "")):
        names = [missing]
    keyword = next((str(step) for step in reversed(path[1:]) if isinstance(step, str)), "false")
    return Reason(
        document,
        str(path[0]),
        tuple(path[1:]),
        tuple(error.instance_path),
        keyword,
        tuple(names),
    )


def _relaxed(
    definitions: Mapping[str, JsonValue], reason: Reason, refused: JsonValue
) -> dict[str, JsonValue]:
    """Return definitions without what refuses a document for a reason, and as little else."""
    result = copy.deepcopy(dict(definitions))
    if not reason.path:
        result[reason.definition] = True
        return result
    holder = part_at(result[reason.definition], reason.path[:-1])
    last = reason.path[-1]
    if isinstance(holder, list):
        holder[cast("int", last)] = True
    else:
        _relax(cast("Schema", holder), str(last), reason, refused)
    return result


def _step(holder: JsonValue, step: str | int) -> JsonValue:
    return cast("dict[str | int, JsonValue]", holder)[step]


def _relax(schema: Schema, keyword: str, reason: Reason, refused: JsonValue) -> None:
    value = schema[keyword]
    if keyword == "required" and reason.names and isinstance(value, list):
        schema[keyword] = [name for name in value if name not in reason.names]
    elif keyword in {"additionalProperties", "unevaluatedProperties"} and reason.names:
        members = cast("Schema", schema.get("properties", {}))
        schema["properties"] = {**dict.fromkeys(reason.names, True), **members}
    elif keyword == "enum" and isinstance(value, list):
        schema[keyword] = [*value, refused]
    elif isinstance(value, bool) and keyword != "uniqueItems":
        schema[keyword] = True
    else:
        del schema[keyword]


def part_at(schema: JsonValue, path: Steps) -> JsonValue:
    """Return a part of a schema.

    Args:
        schema: The schema.
        path: The way to the part, which exists.
    """
    for step in path:
        schema = _step(schema, step)
    return schema


def place_of(definitions: Mapping[str, JsonValue], name: str, instance: Steps) -> tuple[str, Steps]:
    """Return the definition, and the way in it, of the schema of a part of documents.

    Args:
        definitions: The definitions of a bundle.
        name: The definition of the documents.
        instance: The way to the part; it is followed as far as members and items are declared.
    """
    path: Steps = ()
    schema = definitions[name]
    for step in instance:
        name, path, schema = _target(definitions, name, path, schema)
        if not isinstance(schema, dict):
            break
        inner = _inner(schema, step)
        if inner is None:
            break
        path += inner
        for key in inner:
            schema = _step(schema, key)
    name, path, _ = _target(definitions, name, path, schema)
    return name, path


def _target(
    definitions: Mapping[str, JsonValue], name: str, path: Steps, schema: JsonValue
) -> tuple[str, Steps, JsonValue]:
    passed: set[str] = set()
    while isinstance(schema, dict) and isinstance(ref := schema.get("$ref"), str):
        if ref in passed or "properties" in schema:
            break
        passed.add(ref)
        name, path = ref.removeprefix(PREFIX), ()
        schema = definitions[name]
    return name, path, schema


def _inner(schema: Schema, step: str | int) -> Steps | None:
    """Return the way to the schema of a member or an item."""
    if isinstance(step, str):
        properties = schema.get("properties")
        if isinstance(properties, dict) and step in properties:
            return ("properties", step)
        return ("additionalProperties",) if "additionalProperties" in schema else None
    first = schema.get("prefixItems")
    if isinstance(first, list) and step < len(first):
        return ("prefixItems", step)
    return ("items",) if "items" in schema else None
