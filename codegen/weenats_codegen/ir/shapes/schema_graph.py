"""Which schemas of a package are parts of which, and which may apply to the same value."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, cast

import jsonschema_rs

from weenats_codegen.ir.shapes.grammar import NAMED, VALUES, Json, Schema, ref_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

IN_PLACE: Final = frozenset({
    "$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
})  # fmt: skip
"""Keywords whose schemas apply to the same value."""
_ITEMS: Final = frozenset({"items", "prefixItems", "contains", "unevaluatedItems"})
_UNNAMED: Final = frozenset({"patternProperties", "additionalProperties", "unevaluatedProperties"})
"""Keywords for the members that have no schema of their own."""


class SchemaGraph:
    """All schemas of a package, by number, and which of them are part of which.

    Args:
        definitions: The schemas of a package, whose references are `#/$defs/NAME`.

    Attributes:
        secret: The schemas that are `writeOnly`.
        members: The schemas of the members that are declared, by their names.
    """

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self.secret: Final[set[int]] = set()
        self.members: Final[dict[str, list[int]]] = defaultdict(list)
        self._numbers: Final[dict[int, int]] = {}
        self._schemas: Final[list[Schema]] = []
        self._uses: Final[dict[int, list[tuple[int, str]]]] = defaultdict(list)
        self._parts: Final[dict[int, list[tuple[int, str, str]]]] = defaultdict(list)
        pending = [schema for schema in definitions.values() if isinstance(schema, dict)]
        for schema in pending:
            user = self._number(schema)
            if schema.get("writeOnly") is True:
                self.secret.add(user)
            for keyword, name, part in _parts_of(schema, definitions):
                if id(part) not in self._numbers:
                    pending.append(part)
                number = self._number(part)
                self._uses[number].append((user, keyword))
                self._parts[user].append((number, keyword, name))
                if keyword == "properties":
                    self.members[name].append(number)

    def users(self, schemas: set[int], follows: Callable[[str], bool]) -> set[int]:
        """Return some schemas and those that they are parts of.

        Args:
            schemas: The schemas.
            follows: Returns whether a schema is included because of its parts of a keyword.
        """
        found = set(schemas)
        pending = [*schemas]
        for number in pending:
            for user, keyword in self._uses[number]:
                if user not in found and follows(keyword):
                    found.add(user)
                    pending.append(user)
        return found

    def written_inside(self, whole: set[int]) -> Iterator[str]:
        """Yield the members that are declared inside what is `writeOnly`.

        Args:
            whole: The schemas of values that are `writeOnly`.
        """
        found = set(whole)
        pending = [*found]
        for number in pending:
            yield from _declared(self._schemas[number])
            for part, keyword, _ in self._parts[number]:
                if keyword == "$ref":  # a schema that is not `writeOnly` everywhere
                    continue
                if part not in found:
                    found.add(part)
                    pending.append(part)

    def matched(self, inside: set[int]) -> Iterator[str]:
        """Yield the declared members that schemas for other members may apply to.

        Args:
            inside: The schemas with `writeOnly` values inside them.
        """
        unnamed = [
            (number, keyword, pattern)
            for number, parts in self._parts.items()
            for part, keyword, pattern in parts
            if keyword in _UNNAMED and part in inside
        ]
        if not unnamed:
            return
        values = self._values()
        declared = self._declared(values)
        for number, keyword, pattern in unnamed:
            names = declared[values.find(number)]
            if keyword == "patternProperties":
                yield from filter(jsonschema_rs.validator_for({"pattern": pattern}).is_valid, names)
            else:
                own: Schema = self._schemas[number].get("properties", {})
                yield from names - own.keys()

    def _values(self) -> _Groups:
        """Return groups of the schemas that may apply to the same value."""
        groups = _Groups(len(self._schemas))
        for places in self.members.values():
            for place in places:
                groups.join(place, places[0])
        for number, part, keyword in self._all_parts():
            if keyword in IN_PLACE:
                groups.join(number, part)
        count = 0
        while count != groups.count:  # parts of the same value are the same value, perhaps
            count = groups.count
            items: dict[int, int] = {}
            declared = self._declared(groups)
            for number, part, keyword in self._all_parts():
                group = groups.find(number)
                if keyword in _ITEMS:
                    groups.join(part, items.setdefault(group, part))
                elif keyword in _UNNAMED:
                    for name in declared[group]:
                        groups.join(part, next(iter(self.members[name]), part))
        return groups

    def _all_parts(self) -> Iterator[tuple[int, int, str]]:
        for number, parts in self._parts.items():
            yield from ((number, part, keyword) for part, keyword, _ in parts)

    def _declared(self, groups: _Groups) -> dict[int, set[str]]:
        """Return the names for which each group of schemas makes members of a class."""
        declared: dict[int, set[str]] = defaultdict(set)
        for number, schema in enumerate(self._schemas):
            declared[groups.find(number)] |= _declared(schema)
        return declared

    def _number(self, schema: Schema) -> int:
        number = self._numbers.setdefault(id(schema), len(self._schemas))
        if number == len(self._schemas):
            self._schemas.append(schema)
        return number


class _Groups:
    """Disjoint sets of numbers.

    Attributes:
        count: How many sets there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._parents: Final = [*range(count)]

    def find(self, number: int) -> int:
        """Return the number that stands for the set of a number."""
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Put the sets of two numbers together."""
        first, second = self.find(one), self.find(other)
        if first != second:
            self._parents[second] = first
            self.count -= 1


def _declared(schema: Schema) -> set[str]:
    """Return the names for which a schema makes members of a class."""
    return {*schema.get("properties", ()), *schema.get("required", ())}


def _parts_of(schema: Schema, definitions: Mapping[str, Json]) -> Iterator[tuple[str, str, Schema]]:
    """Yield the schemas in a schema: the keyword, the name for which they are there, the schema."""
    for keyword, value in schema.items():
        parts: list[tuple[str, Json]] = []
        if keyword == "$ref":
            parts = [("", definitions.get(ref_name(schema)))]
        elif keyword in NAMED and isinstance(value, dict):
            parts = [*cast("Schema", value).items()]
        elif keyword not in VALUES:
            listed = cast("list[Json]", value) if isinstance(value, list) else [value]
            parts = [("", part) for part in listed]
        yield from ((keyword, name, part) for name, part in parts if isinstance(part, dict))
