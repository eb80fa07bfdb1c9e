"""Small edits of random JSON Schemas, such as people make from one version to the next."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, Final

from testkit.json_schemas.dialects import DATA, NAMED
from testkit.json_schemas.schemas import NAMES, TYPES, SchemaDrawer

Json = Any
Schema = dict[str, Any]

_KEPT: Final = frozenset({"$schema", "$defs", "definitions", "$anchor", "id", "$id"})
_SIZES: Final = ("Length", "Items", "Properties", "Contains")
_OTHER_NUMBER: Final = {"integer": "number", "number": "integer"}


def edited(schema: Json, random: Random) -> Json:
    """Return a schema with one or two edits somewhere in it.

    Args:
        schema: the schema.
        random: where choices come from.
    """
    drawer = SchemaDrawer(random)
    if not isinstance(schema, dict):
        return drawer.leaf()
    result = copy.deepcopy(schema)
    for _ in range(random.choice((1, 1, 1, 2))):
        body = {key: part for key, part in result.items() if key not in _KEPT}
        place = random.choice(_schemas_in(result) if random.random() < 0.3 else _schemas_in(body))
        place = result if place is body else place
        random.choice(_EDITS)(place, random, drawer)
    return result


def _schemas_in(value: Json, *, is_named: bool = False) -> list[Schema]:
    found: list[Schema] = []
    if isinstance(value, dict):
        if not is_named:
            found.append(value)
        for key, part in value.items():
            if is_named or key not in DATA:
                found += _schemas_in(part, is_named=key in NAMED and not is_named)
    elif isinstance(value, list):
        for part in value:
            found += _schemas_in(part)
    return found


def _keys(schema: Schema) -> list[str]:
    return [key for key in schema if key not in _KEPT]


def _remove(schema: Schema, random: Random, _: SchemaDrawer) -> None:
    if keys := _keys(schema):
        del schema[random.choice(keys)]


def _add(schema: Schema, random: Random, drawer: SchemaDrawer) -> None:
    added = drawer.keywords_of(schema.get("type", random.choice(TYPES)))
    if random.random() < 0.9:
        added.pop("type", None)
    schema.update(added)


def _shift(schema: Schema, random: Random, drawer: SchemaDrawer) -> None:
    """Move a bound by one."""
    keys = [
        key
        for key in _keys(schema)
        if isinstance(schema[key], int | float) and not isinstance(schema[key], bool)
    ]
    if not keys:
        _add(schema, random, drawer)
        return
    key = random.choice(keys)
    if key.endswith(_SIZES):
        schema[key] = max(0, schema[key] + random.choice((1, -1)))
    else:
        schema[key] = schema[key] + random.choice((1, -1, 0.5)) or 1


def _change_choice(schema: Schema, random: Random, drawer: SchemaDrawer) -> None:
    """Extend, shorten or reorder values or branches."""
    if "enum" in schema:
        values = schema["enum"]
        schema["enum"] = [*values, "new"] if random.random() < 0.5 else values[1:] or values
        return
    for key in ("oneOf", "anyOf", "allOf"):
        if branches := schema.get(key):
            is_reordered = random.random() < 0.5
            schema[key] = (
                random.sample(branches, len(branches))
                if is_reordered
                else [*branches, drawer.leaf()]
            )


def _change_type(schema: Schema, random: Random, _: SchemaDrawer) -> None:
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _OTHER_NUMBER and random.random() < 0.6:
        schema["type"] = _OTHER_NUMBER[kind]
    elif isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif kind is not None:
        schema["type"] = random.choice(TYPES)


def _change_members(schema: Schema, random: Random, drawer: SchemaDrawer) -> None:
    """Add or remove a member of an object."""
    members = schema.get("properties")
    if isinstance(members, dict) and members and random.random() < 0.4:
        del members[random.choice([*members])]
    elif isinstance(members, dict) or schema.get("type") == "object":
        schema["properties"] = {**(members or {}), random.choice(NAMES): drawer.leaf()}


def _open_or_close(schema: Schema, random: Random, _: SchemaDrawer) -> None:
    del random
    rest = schema.get("additionalProperties", True)
    schema["additionalProperties"] = not rest if isinstance(rest, bool) else False


def _change_required(schema: Schema, random: Random, _: SchemaDrawer) -> None:
    required = schema.get("required")
    if not isinstance(required, list):
        return
    if len(required) > 1 and random.random() < 0.5:
        schema["required"] = required[1:]
    else:
        schema["required"] = [*{*required, random.choice(NAMES)}]
        schema["required"].sort()


def _replace(schema: Schema, random: Random, drawer: SchemaDrawer) -> None:
    keys = [
        key
        for key in _keys(schema)
        if isinstance(schema[key], dict) and key not in NAMED and key not in DATA
    ]
    if keys:
        schema[random.choice(keys)] = drawer.leaf()


_EDITS: Final = (
    *(_remove, _add, _shift, _change_choice, _change_type, _change_members, _open_or_close),
    *(_change_required, _replace),
)
