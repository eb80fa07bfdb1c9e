"""oneOf and allOf: branches must exclude one another, and parts must not contradict one another."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from weenats_codegen.lint.objects import check_required
from weenats_codegen.lint.values import types_of
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.keywords import UNIONS
from weenats_codegen.parser.source import Source
from weenats_codegen.parser.walk import Node, Schema, walk

_Slot = tuple[str, ...]
_MAX_COMPARISONS: Final = 100_000
_TAG_REMEDY: Final = "give each branch a required member with its own const, or use anyOf"
_ONE_SCHEMA: Final = "write one schema instead of allOf"


class _Branch(NamedTuple):
    """What distinguishes one branch of a oneOf from another."""

    types: frozenset[str]
    values: frozenset[str]  # of strings; empty: any
    tags: dict[str, frozenset[str]]  # of objects: required members with certain values only


def check_unions(source: Source, outermost: Node) -> Iterator[Diagnostic]:
    """Yield what models cannot distinguish or combine, in a schema and all schemas inside it."""
    for schema in walk(outermost):
        for key in UNIONS:
            for branch in schema.get(key).items:
                yield from _check_branch(branch)
        if "discriminator" in schema.mapping:
            yield from _check_discriminator(source, schema)
        if "oneOf" in schema.mapping:
            yield from _check_exclusive(source, schema)
        if isinstance(schema.get("allOf").value, list):
            yield from _check_all_of(source, schema)


def _check_exclusive(source: Source, schema: Node) -> Iterator[Diagnostic]:
    """Yield each branch of a oneOf that an earlier branch may overlap.

    Branches are compared only if they share a type and, in strings and in the member that most
    objects have as a tag, a value: a oneOf of many branches takes linear time.
    """
    branches = [_branch(source, branch) for branch in schema.get("oneOf").items]
    tags = Counter(tag for branch in branches if branch for tag in branch.tags)
    tag = min(tags, key=lambda name: (-tags[name], name), default="")
    earlier: dict[_Slot, list[tuple[int, _Branch]]] = defaultdict(list)
    comparisons = 0
    for second, branch in enumerate(branches):
        if branch is None:
            continue
        slots, near = _slots(branch, tag)
        for first, other in chain.from_iterable(earlier[slot] for slot in near):
            comparisons += 1
            if comparisons > _MAX_COMPARISONS:
                message = "has too many branches that no member distinguishes"
                yield schema.diagnostic(message, _TAG_REMEDY, "oneOf")
                return
            if not _are_exclusive(other, branch):
                message = f"a value may match both branch {first} and branch {second}"
                yield schema.diagnostic(message, _TAG_REMEDY, "oneOf", second)
                break
        for slot in slots:
            earlier[slot].append((second, branch))


def _slots(branch: _Branch, tag: str) -> tuple[list[_Slot], list[_Slot]]:
    """Return where others find a branch, and where it finds those that it may overlap.

    Args:
        branch: The branch.
        tag: The member whose values keep objects apart.
    """
    if "any" in branch.types:
        return [("any",), ("any", "*")], [("any",)]
    slots: list[_Slot] = [("any",)]
    near: list[_Slot] = [("any", "*")]
    for kind in sorted(_with_integer(branch.types)):
        values: frozenset[str] = frozenset()
        if kind == "string":
            values = branch.values
        elif kind == "object":
            values = branch.tags.get(tag, values)
        own = [(kind, f"={value}") for value in sorted(values)] or [(kind, "*")]
        slots += [(kind,), *own]
        near += [(kind, "*"), *own] if values else [(kind,)]
    return slots, near


def _check_branch(branch: Node) -> Iterator[Diagnostic]:
    if not branch.mapping.keys().isdisjoint(UNIONS):
        message = "is a union inside a union"
        yield branch.diagnostic(message, "list its branches next to the others")
    if isinstance(branch.mapping.get("type"), list):
        message = "has several types in one branch"
        yield branch.diagnostic(message, "use a branch for each type", "type")


def _branch(source: Source, branch: Node) -> _Branch | None:
    """Return what a branch is distinguished by, None if it is not a schema."""
    found = source.follow(branch)
    if found is None or not isinstance(found.value, dict):
        return None
    schema = found.mapping
    if not schema.keys().isdisjoint(UNIONS):
        return _Branch(frozenset({"any"}), frozenset(), {})
    values = _strings(schema)
    types = frozenset({"object"}) if "allOf" in schema else types_of(schema)
    if "type" not in schema and values and None not in _options(schema):
        types = frozenset({"string"})
    required = [name.value for name in found.get("required").items]
    tags: dict[str, frozenset[str]] = {}
    for name, part in found.get("properties").members.items():
        end = source.follow(part)
        if name in required and end is not None and (texts := _strings(end.mapping)):
            tags[name] = texts
    return _Branch(types, values, tags)


def _options(schema: Schema) -> list[object]:
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    return [*options] if isinstance(options, list) else []


def _strings(schema: Schema) -> frozenset[str]:
    """Return the strings that the const or enum of a schema allows."""
    return frozenset(option for option in _options(schema) if isinstance(option, str))


def _are_exclusive(one: _Branch, other: _Branch) -> bool:
    if "any" in one.types | other.types:
        return False
    shared = _with_integer(one.types) & _with_integer(other.types)
    if shared == frozenset({"string"}):
        return bool(one.values and other.values) and not one.values & other.values
    if shared == frozenset({"object"}):
        return any(not one.tags[tag] & other.tags[tag] for tag in one.tags.keys() & other.tags)
    return not shared


def _with_integer(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def _check_discriminator(source: Source, schema: Node) -> Iterator[Diagnostic]:
    discriminator = schema.get("discriminator")
    name = discriminator.mapping.get("propertyName")
    if not isinstance(name, str) or len(discriminator.mapping) > 1:
        message = "is not a valid discriminator"
        yield discriminator.diagnostic(message, "use only {propertyName: NAME}")
        return
    for key in UNIONS:
        for branch in schema.get(key).items:
            found = _branch(source, branch)
            if found and name not in found.tags:
                yield branch.diagnostic(
                    f"does not require {quoted(name)} with a const, which the discriminator needs",
                    f"require {quoted(name)} and give it its own const",
                )


def _check_all_of(source: Source, schema: Node) -> Iterator[Diagnostic]:
    seen = set(schema.get("properties").mapping)
    for part in schema.get("allOf").items:
        end = source.follow(part)
        if end is None or not isinstance(end.value, dict):
            continue  # reported elsewhere
        found = end.mapping
        properties = found.get("properties")
        if not isinstance(properties, dict) or found.get("type") != "object" or "allOf" in found:
            yield part.diagnostic("is not a plain object with properties", _ONE_SCHEMA)
            continue
        for name in sorted(seen & properties.keys()):
            yield part.diagnostic(f"defines the member {quoted(name)} again", "define it once")
        seen |= properties.keys()
        if found.get("additionalProperties", True) is not True:
            message = "does not allow the members of the other parts"
            yield part.diagnostic(message, "remove its additionalProperties")
    if schema.mapping.get("additionalProperties", True) is not True:
        message = "does not include the members of allOf"
        yield schema.diagnostic(message, _ONE_SCHEMA, "additionalProperties")
    yield from check_required(schema, seen)
