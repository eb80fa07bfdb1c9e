"""The schemas of messages, compared in the direction in which the messages go."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from weenats_codegen.compatibility.defaults import Defaults
from weenats_codegen.compatibility.findings import Document, Finding
from weenats_codegen.compatibility.reasons import Differences, Reason, Steps, part_at, place_of
from weenats_codegen.compatibility.rules import RULES
from weenats_codegen.ir.bundle import ASSERTED_FORMATS, PREFIX, map_schemas
from weenats_codegen.parser.diagnostics import Location, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.compatibility.containment import Side
    from weenats_codegen.ir.bundle import Bundle, Schema

OLD: Final = 0
NEW: Final = 1
_SIDES: Final = ("old", "new")
_MISSING: Final = frozenset({"required", "dependentRequired"})
"""The keywords that refuse a document because it has not some members."""
_CLOSING: Final = frozenset({"additionalProperties", "unevaluatedProperties"})
"""The keywords that refuse members which are not declared."""
_KEY: Final = re.compile("/aggregates/[^/]+/key")
"""The place of the schema of a key."""
_IN_MESSAGES: Final = "-in-messages"
_ENCODING: Final = "contentEncoding"
_BASE64: Final = (
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
)
"""The texts of bytes, which jsonschema-rs does not know."""
_OTHER_TEXT: Final = frozenset({
    "pattern", "minLength", "maxLength", "x-python-type", "enum", "const",
})  # fmt: skip
"""The keywords with which a text stays a text whatever its encoding is."""
ANY_KEY: Final[Schema] = {
    "type": "string", "minLength": 1, "maxLength": 256,
    "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]+$",
}  # fmt: skip
"""What keys are in all messages, whatever contracts say."""
_ANY_KEY: Final = "any-key"
"""The definition of keys that the contract does not describe."""


class Direction(NamedTuple):
    """The way of a kind of messages.

    Attributes:
        receiver: The side that has to accept what the other one sends.
        breaking: The rule for what it refuses.
        reverse: The rule for what the other one would refuse of what it would send.
        what: What the messages are called.
        is_stored: Whether the old version has stored them: nothing that it does not declare.
    """

    receiver: Side
    breaking: str
    reverse: str
    what: str
    is_stored: bool = False


REQUEST: Final = Direction(NEW, "request-narrowed", "request-widened", "a request")
REPLY: Final = Direction(OLD, "reply-widened", "reply-narrowed", "a reply")
EVENT: Final = Direction(OLD, "event-widened", "event-narrowed", "an event")
DETAILS: Final = Direction(OLD, "details-widened", "details-narrowed", "details of an error")
KEY: Final = Direction(NEW, "key-narrowed", "key-widened", "a key")
STORED: Final = Direction(NEW, "stored-event-narrowed", "", "a stored event", is_stored=True)
KEPT: Final = Direction(NEW, "kept-reply-narrowed", "", "a kept reply", is_stored=True)


class MessageSchemas:
    """Compares the schemas of two bundles."""

    def __init__(self, old: Bundle, new: Bundle) -> None:
        """Initialize the comparison.

        Args:
            old: The schemas of the old version.
            new: Those of the new version.
        """
        self._bundles: Final = tuple(_with_keys(_with_base64(each)) for each in (old, new))
        before, after = (each.definitions for each in self._bundles)
        self._differences: Final = Differences(before, after)
        self._defaults: Final = Defaults(before, after)

    def compare(self, direction: Direction, old: str, new: str, user: str) -> Iterator[Finding]:
        """Yield what differs between two definitions.

        Args:
            direction: The way of the messages that they describe.
            old: The name of the old definition.
            new: The name of the new one.
            user: The operation, event or error that uses it.
        """
        receiver = direction.receiver
        yield from self._refused(direction, receiver, (old, new), user)
        yield from self._refused(direction, OLD if receiver else NEW, (old, new), user)
        for found in self._defaults.changed((old, new)):
            location = self._location(NEW, found.new.definition, found.new.path)
            old_location = self._location(OLD, found.old.definition, found.old.path)
            rule = RULES["default-changed"]
            yield Finding(rule, found.message, location, old_location, (user,))

    def compare_stored(
        self, direction: Direction, old: str, new: str, user: str
    ) -> Iterator[Finding]:
        """Yield what the new version refuses of what the old one has stored.

        Args:
            direction: What it is: data of events, or replies.
            old: The name of the old definition.
            new: The name of the new one.
            user: The event or the operation.
        """
        yield from self._refused(direction, NEW, (old, new), user)

    def compare_keys(self, old: str, new: str, aggregate: str) -> Iterator[Finding]:
        """Yield what differs between the keys of an aggregate.

        Args:
            old: The name of the old definition; "" if all keys were allowed.
            new: The name of the new one; "" if all keys are allowed.
            aggregate: The name of the aggregate.
        """
        keys = (_key_of(old) if old else _ANY_KEY, _key_of(new) if new else _ANY_KEY)
        yield from self.compare(KEY, *keys, aggregate)

    def _refused(
        self, direction: Direction, side: Side, names: tuple[str, str], user: str
    ) -> Iterator[Finding]:
        """Yield what one side refuses of what the other one accepts."""
        is_breaking = side == direction.receiver
        wide, narrow = names[side], names[1 - side]
        if is_breaking:
            found = self._differences.refused(
                wide, side, narrow, is_harmless=self._is_warning, is_stored=direction.is_stored
            )
        else:
            found = self._differences.refused(wide, side, narrow, 1)
        open_places: set[tuple[str, Steps, Steps]] = set()
        for reason in found.reasons:
            if self._is_any_member(reason, 1 - side, names[1 - side]):
                place = (reason.definition, reason.path, reason.instance)
                if place in open_places:
                    continue  # another name of the same kind
                open_places.add(place)
            yield self._finding(direction, side, names, reason, user)
        if found.rest.holds is None:
            bundle = self._bundles[NEW]
            message = (
                f"it is not known whether the {_SIDES[side]} version accepts every "
                f"{direction.what.partition(' ')[2]} of the {_SIDES[1 - side]} one"
            )
            yield Finding(
                RULES["not-known"],
                message,
                bundle.locations[names[NEW]],
                self._bundles[OLD].locations[names[OLD]],
                (user,),
                tried=found.rest.tried,
            )

    def _is_warning(self, name: str, side: Side, other: str, reason: Reason) -> bool:
        names = (other, name) if side == NEW else (name, other)
        return self._was_deprecated(names, side, reason)

    def _is_any_member(self, reason: Reason, side: int, name: str) -> bool:
        """Return whether a member is refused that the other side allows but does not declare."""
        if reason.keyword not in _CLOSING or not reason.names:
            return False
        definitions = self._bundles[side].definitions
        found, path = place_of(definitions, name.removesuffix(_IN_MESSAGES), reason.instance)
        schema = part_at(definitions[found], path)
        members = schema.get("properties") if isinstance(schema, dict) else None
        return isinstance(members, dict) and members.keys().isdisjoint(reason.names)

    def _finding(
        self, direction: Direction, side: Side, names: tuple[str, str], reason: Reason, user: str
    ) -> Finding:
        is_breaking = side == direction.receiver
        reason = self._as_written(side, reason)
        rule = RULES[direction.breaking if is_breaking else direction.reverse]
        refusing = self._location(side, reason.definition, reason.path)
        other = self._counterpart(1 - side, names[1 - side], reason)
        if is_breaking and self._was_deprecated(names, side, reason):
            rule = RULES["member-removed-deprecated"]
        location, old_location = (refusing, other) if side is NEW else (other, refusing)
        document = Document(
            reason.document,
            _SIDES[1 - side],
            _SIDES[side],
            Location("").child(*reason.instance).pointer,
            reason.keyword,
        )
        message = f"the {_SIDES[side]} version refuses {direction.what}{self._why(side, reason)}"
        return Finding(rule, message, location, old_location, (user,), document)

    def _as_written(self, side: Side, reason: Reason) -> Reason:
        """Return a reason with the keyword of the contract for a pattern that it does not have."""
        schema = part_at(self._bundles[side].definitions[reason.definition], reason.path[:-1])
        if reason.keyword != "pattern" or not _is_bytes(schema):
            return reason
        return reason._replace(keyword=_ENCODING, path=(*reason.path[:-1], _ENCODING))

    def _counterpart(self, side: int, name: str, reason: Reason) -> Location:
        """Return where the schema that accepts a document says what it does of the same part."""
        if name == _ANY_KEY:
            return self._location(side, name, ())
        definitions = self._bundles[side].definitions
        name, path = place_of(definitions, name.removesuffix(_IN_MESSAGES), reason.instance)
        schema = part_at(definitions[name], path)
        if not isinstance(schema, dict):
            return self._location(side, name, path)
        members = schema.get("properties")
        if isinstance(members, dict) and reason.names and reason.names[0] in members:
            path = (*path, "properties", reason.names[0])
        elif reason.keyword in schema:
            path = (*path, reason.keyword)
        return self._location(side, name, path)

    def _why(self, side: Side, reason: Reason) -> str:
        """Return what a keyword demands, for the end of a sentence."""
        at = Location("").child(*reason.instance).pointer
        where = f" at {at}" if at else ""
        names = ", ".join(map(quoted, reason.names))
        if reason.keyword in _MISSING and names:
            return f" without the member {names}{where}"
        if reason.names:
            return f" with the member {names}{where}"
        schema = part_at(self._bundles[side].definitions[reason.definition], reason.path)
        if isinstance(schema, dict | list) and len(json.dumps(schema)) > 60:  # noqa: PLR2004 - too long for a line
            return f"{where}: {reason.keyword} does not allow it"
        return f"{where}: {reason.keyword} is {quoted(schema)}"

    def _location(self, side: int, name: str, path: Steps) -> Location:
        return self._bundles[side].locations[name].child(*path)

    def _was_deprecated(self, names: tuple[str, str], side: Side, reason: Reason) -> bool:
        """Return whether what is refused is a member that was deprecated, and is gone."""
        if side is OLD and reason.names:  # the old version requires what the new one may not send
            holder = part_at(self._bundles[OLD].definitions[reason.definition], reason.path[:-1])
            return _are_deprecated(holder, reason.names)
        if reason.keyword in _MISSING:  # the new version requires what was deprecated
            return False
        member: Steps = reason.names
        instance = reason.instance
        if not member:
            member, instance = instance[-1:], instance[:-1]
        old, new = (self._holder(at, names[at], instance) for at in (OLD, NEW))
        return _are_deprecated(old, member) and not _declares(new, member)

    def _holder(self, side: int, name: str, instance: Steps) -> JsonValue:
        """Return the schema of a part of documents."""
        definitions = self._bundles[side].definitions
        found, path = place_of(definitions, name, instance)
        return part_at(definitions[found], path)


def _key_of(name: str) -> str:
    """Return the name of the definition of what a key is in messages."""
    return f"{name}{_IN_MESSAGES}"


def _with_keys(bundle: Bundle) -> Bundle:
    """Return a bundle with definitions of keys in messages, which are not any text.

    There is one for keys that the contract does not describe, and one for each that it does.
    """
    file = next((location.file for location in bundle.names), "")
    definitions, locations = {**bundle.definitions}, {**bundle.locations}
    definitions[_ANY_KEY] = ANY_KEY
    locations[_ANY_KEY] = Location(file, "/aggregates")
    for location, name in bundle.names.items():
        if _KEY.fullmatch(location.pointer):
            parts: list[JsonValue] = [{"$ref": PREFIX + each} for each in (_ANY_KEY, name)]
            definitions[_key_of(name)] = {"allOf": parts}
            locations[_key_of(name)] = bundle.locations[name]
    return replace(bundle, definitions=definitions, locations=locations)


def _with_base64(bundle: Bundle) -> Bundle:
    """Return a bundle in which text that encodes bytes has the pattern of such text."""
    definitions = {
        name: map_schemas(
            schema, lambda part: {**part, "pattern": _BASE64} if _is_base64(part) else part
        )
        for name, schema in bundle.definitions.items()
    }
    return replace(bundle, definitions=definitions)


def _is_base64(schema: Schema) -> bool:
    """Return whether a schema is that of bytes: text of another format is not decoded."""
    return (
        schema.get(_ENCODING) == "base64"
        and schema.get("format") not in ASSERTED_FORMATS
        and _OTHER_TEXT.isdisjoint(schema)
    )


def _is_bytes(schema: JsonValue) -> bool:
    return isinstance(schema, dict) and schema.get("pattern") == _BASE64


def _declares(holder: JsonValue, names: Steps) -> bool:
    members = holder.get("properties") if isinstance(holder, dict) else None
    return isinstance(members, dict) and all(
        members.get(str(name), False) is not False for name in names
    )


def _are_deprecated(holder: JsonValue, names: Steps) -> bool:
    """Return whether a schema declares some members, and that they are deprecated."""
    if not names or not _declares(holder, names):
        return False
    members = cast("Schema", cast("Schema", holder)["properties"])
    return all(
        isinstance(member := members[str(name)], dict) and member.get("deprecated") is True
        for name in names
    )
