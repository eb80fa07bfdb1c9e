"""Names of definitions: equal definitions become one, different ones get different names.

Names depend on what there is, not on the order in which it is found.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from weenats_codegen.parser.dialects import MANY, NAMED, ONE
from weenats_codegen.parser.syntax import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import External
    from weenats_codegen.parser.diagnostics import Location

K = TypeVar("K")

_INPUT: Final = "input"


@dataclass(slots=True)
class Definition(Generic[K]):
    """A definition that has no name yet.

    Attributes:
        key: What tells it from others.
        location: The place of its schema.
        member: The name that the contract gives it, None if only `$ref`s lead to it.
        is_request: Whether it is the variant for requests.
        scope: The resources that its dynamic references depend on.
        content: The schema; its references are empty strings.
        targets: The references in it: the mapping that has one, its key there, and its target.
        external: The library that it comes from, and its name there; None for an own schema.
    """

    key: K
    location: Location
    member: str | None = None
    is_request: bool = False
    scope: tuple[Location, ...] = ()
    content: JsonValue = None
    targets: list[tuple[dict[str, JsonValue], str, K]] = field(
        default_factory=list[tuple[dict[str, "JsonValue"], str, K]]
    )
    external: External | None = None


class _Named(NamedTuple):
    """A definition with the names that it may have, the shortest one first."""

    rank: int
    location: Location
    scope: tuple[Location, ...]
    block: int
    options: Sequence[str]


def name_definitions(
    definitions: Mapping[K, Definition[K]],
    class_name: Callable[[str], str],
    taken: frozenset[str],
    relative: Callable[[Location], str],
) -> dict[K, str]:
    """Return the names of definitions.

    Args:
        definitions: The definitions, complete.
        class_name: Makes a class name of a name in a schema.
        taken: Names that no definition may have.
        relative: Returns the path of the file of a schema, as far as it is a part of names.
    """
    blocks = _blocks(definitions, class_name)
    members: dict[int, list[Definition[K]]] = defaultdict(list)
    for key, block in blocks.items():
        members[block].append(definitions[key])
    variants: dict[Location, list[int]] = defaultdict(list)
    first = {
        block: min(found, key=lambda each: (each.member is None, each.location, each.scope))
        for block, found in members.items()
    }
    for block, definition in first.items():
        variants[definition.location].append(block)
    named: list[_Named] = []
    for block, definition in first.items():
        others = [other for other in variants[definition.location] if other != block]
        parts: list[str] = []
        if any(first[other].scope != definition.scope for other in others):
            parts += [name_of(location) for location in definition.scope]
        is_input = all(each.is_request for each in members[block]) and any(
            not all(each.is_request for each in members[other])
            and first[other].scope == definition.scope
            for other in others
        )
        options = [
            class_name("-".join([*parts, name, *([_INPUT] if is_input else [])]))
            for name in _options(definition, relative)
        ]
        if definition.external is not None:
            options[0] = definition.external.name
        named.append(
            _Named(_rank(definition), definition.location, definition.scope, block, options)
        )
    found = _distinct(named, taken)
    return {key: found[block] for key, block in blocks.items()}


def name_of(location: Location) -> str:
    """Return the name of a schema: that of its entry in `$defs`, otherwise that of its file."""
    return "-".join(_steps(location)[-1])


def _steps(location: Location) -> list[list[str]]:
    """Return the names that lead to a schema: its folders and file, then those in the file.

    What has no name of its own, such as `items`, belongs to the name before.
    """
    path = PurePosixPath(location.file)
    name = path.name
    for suffix in (*SUFFIXES, ".schema"):
        name = name.removesuffix(suffix)
    steps = [[part] for part in path.parent.parts] + [[name]]
    keys = [step.replace("~1", "/").replace("~0", "~") for step in location.pointer.split("/")[1:]]
    is_name = False
    for key in keys:
        if is_name:
            steps.append([key])
            is_name = False
        elif key in NAMED:
            is_name = True
        elif key in ONE or key in MANY or key.isdigit():
            steps[-1].append(key)
        else:
            steps.append([key])
    return steps


def _options(definition: Definition[K], relative: Callable[[Location], str]) -> list[str]:
    """Return the names that a definition may have."""
    if definition.external is not None:
        return [definition.external.name, "-".join(definition.external)]
    file = relative(definition.location)
    steps = _steps(definition.location._replace(file=file))
    if definition.member is not None:
        return [definition.member, f"{definition.member}-{steps[-1][-1]}"]
    names = ["-".join(step) for step in steps]
    if not definition.location.pointer:
        return [names[-1], f"{names[-1]}-schema", "-".join(names)]
    return ["-".join(names[-count:]) for count in range(1, len(names) + 1)]


def _rank(definition: Definition[K]) -> int:
    """Return a number that is lower the more right a definition has to its plain name."""
    if definition.external is not None:
        return 3
    if definition.member is not None:
        return 0
    is_outermost = not definition.location.pointer
    return 1 if is_outermost else 2


def _distinct(named: Sequence[_Named], taken: frozenset[str]) -> dict[int, str]:
    """Return a name for each block, none of them twice."""
    found: dict[int, str] = {}
    used = set(taken)
    rest: list[_Named] = []
    for group in _grouped(named):
        best, *others = group
        name = best.options[0]
        if name in used or any(each.rank == best.rank for each in others):
            rest += group
        else:
            used.add(name)
            found[best.block] = name
            rest += others
    numbers: dict[str, int] = {}
    for group in _grouped(rest):
        count = next(
            (
                count
                for count in range(1, max(len(each.options) for each in group))
                if _are_free([_option(each, count) for each in group], used)
            ),
            None,
        )
        for each in group:
            name = _option(each, count or 0)
            found[each.block] = _numbered(f"{name}Model" if name in taken else name, used, numbers)
    return found


def _numbered(name: str, used: set[str], numbers: dict[str, int]) -> str:
    """Return a name that is not used, with a number if need be; mark it as used."""
    found = name
    while found in used:
        numbers[name] = numbers.get(name, 1) + 1
        found = f"{name}{numbers[name]}"
    used.add(found)
    return found


def _grouped(named: Iterable[_Named]) -> list[list[_Named]]:
    """Return those whose shortest names are the same, the one with the lowest rank first."""
    groups: dict[str, list[_Named]] = defaultdict(list)
    for each in named:
        groups[each.options[0]].append(each)
    return [sorted(groups[name], key=lambda each: each[:3]) for name in sorted(groups)]


def _option(named: _Named, count: int) -> str:
    return named.options[min(count, len(named.options) - 1)]


def _are_free(names: Sequence[str], used: set[str]) -> bool:
    return len(set(names)) == len(names) and used.isdisjoint(names)


def _blocks(
    definitions: Mapping[K, Definition[K]], class_name: Callable[[str], str]
) -> dict[K, int]:
    """Return a number for each definition; equal definitions with one name have the same.

    Definitions are equal until something shows the opposite: first what they contain, then what
    their references lead to (partition refinement).
    """
    numbers: dict[tuple[str, str], int] = {}
    blocks: dict[K, int] = {}
    members: dict[int, list[K]] = defaultdict(list)
    callers: dict[K, set[K]] = defaultdict(set)
    for key, definition in definitions.items():
        name = class_name(definition.member or name_of(definition.location))
        if definition.external is not None:  # libraries are never mixed
            name = ".".join(definition.external)
        content = json.dumps(definition.content)
        block = numbers.setdefault((name, content), len(numbers))
        blocks[key] = block
        members[block].append(key)
        for _, _, target in definition.targets:
            callers[target].add(key)
    pending = {block for block, keys in members.items() if len(keys) > 1}
    while pending:
        block = pending.pop()
        parts: dict[tuple[int, ...], list[K]] = defaultdict(list)
        for key in members[block]:
            targets = definitions[key].targets
            parts[tuple(blocks[target] for _, _, target in targets)].append(key)
        members[block], *others = parts.values()
        for keys in others:
            number = len(members)
            members[number] = keys
            blocks.update(dict.fromkeys(keys, number))
            pending |= {number} if len(keys) > 1 else set()
            for key in keys:
                pending |= {
                    blocks[caller] for caller in callers[key] if len(members[blocks[caller]]) > 1
                }
    return blocks
