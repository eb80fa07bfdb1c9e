"""Older versions of the data of events, and how the next version is made of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.ir.bundle import PREFIX
from weenats_codegen.parser.walk import previous_versions

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Bundle, Schema
    from weenats_codegen.parser.walk import Node

_MOST_REFS: Final = 100
"""References that may lead from one to the next; more are a circle."""


@dataclass(frozen=True, slots=True)
class EventVersion:
    """An older version of the data of an event.

    Attributes:
        number: Its number, from 1.
        data: The definition of the data.
        next: The definition of the data of the next version.
        renamed: The members that have another name in the next version, by their old names.
        removed: The members that the next version does not have, and those that this one does not
            declare and the next one does: whatever they are, the next one means something else.
        added: The members that the next version requires, with their defaults.
        function: The upcaster that the user writes; "" if the next version is made of the above.
    """

    number: int
    data: str
    next: str
    renamed: dict[str, str]
    removed: tuple[str, ...]
    added: dict[str, JsonValue]
    function: str


def event_versions(event: Node, method: str, bundle: Bundle) -> tuple[EventVersion, ...]:
    """Return the older versions of the data of an event, oldest first.

    Args:
        event: What the contract says of the event.
        method: The name of the event in Python.
        bundle: The schemas of the contract.
    """
    versions = previous_versions(event)
    places = [each.get("data") for each in (*versions, event)]
    names = [bundle.names.get(each.location, "") for each in places]
    return tuple(
        _version(number, node, names[number - 1], names[number], method, bundle)
        for number, node in enumerate(versions, 1)
    )


def _version(  # noqa: PLR0913, PLR0917 - the parts of a version
    number: int, node: Node, data: str, following: str, method: str, bundle: Bundle
) -> EventVersion:
    members = node.mapping
    renamed = cast("dict[str, str]", members.get("renamed", {}))
    is_written = bool(members.get("upcaster", False))
    old, new = (resolved(bundle, each) for each in (data, following))
    return EventVersion(
        number=number,
        data=data,
        next=following,
        renamed=renamed,
        removed=()
        if is_written
        else (*cast("list[str]", members.get("removed", [])), *_undeclared(old, new, renamed)),
        added={} if is_written else _added(bundle, old, new, renamed),
        function=f"{method}_from_{number}" if is_written else "",
    )


def resolved(bundle: Bundle, name: str) -> Schema:
    """Return a definition, or the one that it refers to; an empty one if it is not an object.

    Args:
        bundle: The schemas of the contract.
        name: The name of the definition.
    """
    return _resolved(bundle, bundle.definitions.get(name))


def _resolved(bundle: Bundle, schema: JsonValue) -> Schema:
    for _ in range(_MOST_REFS):
        if not isinstance(schema, dict):
            break
        ref = schema.get("$ref")
        if not isinstance(ref, str) or "default" in schema:
            return schema
        schema = bundle.definitions.get(ref.removeprefix(PREFIX))
    return {}


def _undeclared(old: Schema, new: Schema, renamed: dict[str, str]) -> list[str]:
    """Return the members that only the next version declares, if the old one may have any."""
    before, after = (cast("Schema", each.get("properties", {})) for each in (old, new))
    if old.get("additionalProperties", True) is False or not before:
        return []
    return [name for name in after if name not in before and name not in renamed]


def _added(
    bundle: Bundle, old: Schema, new: Schema, renamed: dict[str, str]
) -> dict[str, JsonValue]:
    """Return the defaults of members that the new version requires, and the old one did not."""
    members = cast("Schema", new.get("properties", {}))
    before = {renamed.get(each, each) for each in cast("list[str]", old.get("required", []))}
    added: dict[str, JsonValue] = {}
    for name in cast("list[str]", new.get("required", [])):
        member = _resolved(bundle, members.get(name))
        if name not in before and "default" in member:
            added[name] = member["default"]
    return added
