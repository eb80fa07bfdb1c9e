"""Older versions of the data of an event: whether the next version can be made of each."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.reasons import Differences
from weenats_codegen.ir.bundle import reachable
from weenats_codegen.ir.previous import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats_codegen.compatibility.budget import Allowance
    from weenats_codegen.compatibility.reasons import Difference
    from weenats_codegen.ir.bundle import Bundle, Schema
    from weenats_codegen.ir.previous import EventVersion

_UPCAST: Final = "-upcast"


def unread(bundle: Bundle, version: EventVersion, allowance: Allowance) -> Difference:
    """Return which data of an older version, once it was changed, the next version refuses.

    Args:
        bundle: The schemas of the contract.
        version: The older version, which has no upcaster of its own.
        allowance: What the comparisons of all versions of a contract may cost together.
    """
    old = {**bundle.definitions, _UPCAST: _changed(resolved(bundle, version.data), version)}
    # A contract may have many versions: each comparison looks at two of them.
    both = _needed(old, _UPCAST), _needed(bundle.definitions, version.next)
    return Differences(*both, allowance).refused(version.next, 1, _UPCAST, 1)


def _needed(definitions: Mapping[str, JsonValue], name: str) -> Schema:
    return {each: definitions[each] for each in reachable(definitions, [name])}


def _changed(schema: Schema, version: EventVersion) -> JsonValue:
    """Return the schema of what is made of data, without the upcaster of a user."""
    if not (version.renamed or version.removed or version.added):
        return schema
    changed = deepcopy(schema)
    members = {
        version.renamed.get(name, name): member
        for name, member in cast("Schema", changed.get("properties", {})).items()
        if name not in version.removed
    }
    for name in version.removed:
        members.setdefault(name, False)
    required: list[JsonValue] = [
        version.renamed.get(name, name)
        for name in cast("list[str]", changed.get("required", []))
        if name not in version.removed
    ]
    for name, default in version.added.items():
        fixed: Schema = {"const": default}
        members[name] = {"anyOf": [members[name], fixed]} if members.get(name) else fixed
        required.append(name)
    return {**changed, "properties": cast("JsonValue", members), "required": required}
