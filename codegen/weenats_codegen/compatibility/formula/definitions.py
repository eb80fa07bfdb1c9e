"""The definitions of two bundles as one set, in which equal ones are the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.bundle import PREFIX, judged, map_schemas

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema

_Key = tuple[int, str]
"""The number of a bundle, and the name of a definition there."""
_ZERO: Final = frozenset({"minLength", "minItems", "minProperties"})
_EMPTY: Final = frozenset({
    "required", "allOf", "prefixItems", "properties", "patternProperties", "dependentRequired",
    "dependentSchemas",
})  # fmt: skip


class Definitions:
    """Definitions by the names of classes of equal definitions.

    Attributes:
        definitions: The schema of each class; references in it are names of classes.
    """

    def __init__(self, *bundles: Mapping[str, JsonValue]) -> None:
        """Initialize the definitions.

        Args:
            bundles: The definitions of each bundle by name.
        """
        schemas = {
            (side, name): map_schemas(judged(schema), _simplified)
            for side, definitions in enumerate(bundles)
            for name, schema in definitions.items()
        }
        classes = _classes(schemas)
        self._classes: Final = classes
        self.definitions: Final[dict[str, JsonValue]] = {
            classes[key]: _renamed(schema, key[0], classes) for key, schema in schemas.items()
        }

    def name(self, side: int, name: str) -> str:
        """Return the class of a definition.

        Args:
            side: The number of its bundle.
            name: Its name there.
        """
        return self._classes[side, name]


def _classes(schemas: Mapping[_Key, JsonValue]) -> dict[_Key, str]:
    """Return the class of each definition; those that can be told apart have different ones.

    Definitions that differ in what they say without their references are different, and so are
    those whose references lead to different ones. A class that falls apart makes only those
    different that refer to it, and its largest part keeps its number: chains of definitions do not
    take a comparison of all of them for each link.
    """
    refs: dict[_Key, list[_Key]] = {}
    users: dict[_Key, list[_Key]] = {key: [] for key in schemas}
    first: dict[Hashable, list[_Key]] = {}
    for key, schema in schemas.items():
        text, names = _without_names(schema)
        refs[key] = [(key[0], name) for name in names]
        for ref in dict.fromkeys(refs[key]):
            users[ref].append(key)
        first.setdefault(text, []).append(key)
    members = list(first.values())
    numbers = {key: number for number, keys in enumerate(members) for key in keys}
    pending = dict.fromkeys(range(len(members)))
    while pending:
        parts: dict[Hashable, list[_Key]] = {}
        number = next(iter(pending))
        del pending[number]
        for key in members[number]:
            parts.setdefault(tuple(numbers[ref] for ref in refs[key]), []).append(key)
        members[number], *others = sorted(parts.values(), key=len, reverse=True)
        for keys in others:
            numbers.update(dict.fromkeys(keys, len(members)))
            members.append(keys)
        moved = (user for keys in others for key in keys for user in users[key])
        pending.update(dict.fromkeys(numbers[user] for user in moved))
    return {key: str(number) for key, number in numbers.items()}


def _without_names(schema: JsonValue) -> tuple[str, list[str]]:
    """Return what a schema says without the names of definitions, and these names in order."""
    names: list[str] = []

    def take(part: Schema) -> Schema:
        ref = part.get("$ref")
        if not isinstance(ref, str):
            return part
        names.append(ref.removeprefix(PREFIX))
        return {**part, "$ref": PREFIX}

    in_order: JsonValue = json.loads(json.dumps(schema, sort_keys=True))
    return json.dumps(map_schemas(in_order, take)), names


def _renamed(schema: JsonValue, side: int, classes: Mapping[_Key, str]) -> JsonValue:
    def rename(part: Schema) -> Schema:
        ref = part.get("$ref")
        if not isinstance(ref, str):
            return part
        return {**part, "$ref": PREFIX + classes[side, ref.removeprefix(PREFIX)]}

    return map_schemas(schema, rename)


def _simplified(schema: Schema) -> Schema:
    """Return a schema without what allows everything, and with sets in one order."""
    result: Schema = {}
    for key, value in schema.items():
        if (key in _ZERO and value == 0) or (key in _EMPTY and not value):
            continue
        if key == "required" and isinstance(value, list):
            result[key] = [*sorted({str(name) for name in value})]
        else:
            result[key] = value
    return result
