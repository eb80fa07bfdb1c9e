"""Random JSON documents for a schema: valid ones, and ones that are a change away from them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

Json = Any
VALUES: Final[tuple[Json, ...]] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        1.0,
        1.5,
        2**53 + 1,
        10**20,
        1e20,
        1e23,
        1e300,
        "",
        "a",
        "ab",
        "zz",
    ),
    *(
        [],
        {},
        [1],
        [1, 1],
        [1, 1.0, True],
        ["a"],
        {"a": 1},
        {"a": 1, "b": 2},
        [None],
        [[]],
        {"": 0},
    ),
)
NAMES: Final = (
    "a",
    "b",
    "c",
    "kind",
    "class",
    "lineTotal",
    "line_total",
    "a-b",
    "a_b",
    "zz",
    "9",
    "",
)
TEXTS: Final = (
    *("a", "ab", "b", "abc", "12", "123", "", "zz", "cat", "a-b", "aa", "\u0663\u0663", "\u00e9"),
    *("a&", "a\n", "\U0001f600", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
)
FORMATTED: Final[dict[str, tuple[str, ...]]] = {
    "date": ("2024-02-29", "2023-02-29", "0000-01-01", "2024-1-1", "20240101"),
    "time": ("10:00:00Z", "10:00:00", "23:59:60Z", "10:00:00.1234567+01:00", "24:00:00Z", "10:00Z"),
    "date-time": (
        *("2024-01-01T00:00:00Z", "2024-01-01t00:00:00.5z", "2024-01-01 00:00:00Z", "1700000000"),
        *("2016-12-31T23:59:60Z", "2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00-23:59"),
        *("0000-01-01T00:00:00Z", "2024-01-01T00:00:00", "9999-12-31T23:59:59-01:00"),
    ),
    "duration": (
        "P1D",
        "PT1H30M",
        "P1Y2M",
        "P1W",
        "P1M1Y",
        "PT1.5S",
        "1 day",
        "P",
        "PT1H1S",
        "P400D",
    ),
    "uuid": (
        *("6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11", "6F1F5B0E-8A4E-4C7E-9C57-2F2F0C0A4F11"),
        *("6f1f5b0e8a4e4c7e9c572f2f0c0a4f11", "{6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11}"),
    ),
    "email": ("a@b.c", "a@localhost", "a", "a b@c.d", '"a b"@c.d'),
    "hostname": ("example.com", "a_b", "-a", "localhost", "a..b"),
    "ipv4": ("1.2.3.4", "01.2.3.4", "1.2.3", "256.0.0.1", "1.2.3.4/8"),
    "ipv6": ("::1", "::ffff:1.2.3.4", "fe80::1%eth0", "1::2::3", "FE80::0:1"),
    "uri": ("http://a.b/c", "urn:a:b", "/c", "http://a b", "a:"),
    "uri-reference": ("/c", "http://a.b", "\\\\a", "#x", ""),
    "regex": ("^a$", "(", "[a", "\\a", "(?=a)"),
    "json-pointer": ("/a/b", "a", "/~0", "/~2", ""),
}
"""Texts that have a format, and texts that nearly do."""
_MAX_DEPTH: Final = 6
_WITHOUT_TYPE: Final = {"$defs", "definitions", "$schema", "const", "enum", "default", "title"}


def documents(schema: Json, random: Random, count: int) -> Iterator[Json]:
    """Yield documents, of which about half are meant to be valid.

    Args:
        schema: the schema.
        random: where choices come from.
        count: the number of documents.
    """
    writer = _Writer(schema, random)
    constants = [*_constants(schema), *VALUES]
    for index in range(count):
        if index % 20 == 19:
            yield _free(random, constants, 3)
            continue
        document = copy.deepcopy(writer.value(schema, 0))
        if index % 2:
            document = _changed(document, random, constants)
        yield document


def _constants(schema: Json) -> Iterator[Json]:
    """Yield the constants of a schema, the numbers around its bounds, texts of its formats."""
    if isinstance(schema, list):
        for part in schema:
            yield from _constants(part)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "enum" and isinstance(value, list):
                yield from value
            elif key in {"const", "default"}:
                yield value
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield from (value, value + 1, value - 1, value * 2, value / 2)
            elif key == "format" and isinstance(value, str):
                yield from FORMATTED.get(value, ())
            else:
                yield from _constants(value)


def _free(random: Random, constants: list[Json], depth: int) -> Json:
    if depth == 0 or random.random() < 0.4:
        return copy.deepcopy(random.choice(constants))
    if random.random() < 0.4:
        return [_free(random, constants, depth - 1) for _ in range(random.randrange(4))]
    return {random.choice(NAMES): _free(random, constants, depth - 1) for _ in range(3)}


def _changed(value: Json, random: Random, constants: list[Json]) -> Json:
    """Return a value with one change, somewhere in it."""
    inside = random.random() < 0.75
    if isinstance(value, dict) and value and inside:
        name, choice = random.choice([*value]), random.random()
        if choice < 0.25:
            del value[name]
        elif choice < 0.4:
            value[random.choice(NAMES)] = copy.deepcopy(random.choice(constants))
        else:
            value[name] = _changed(value[name], random, constants)
        return value
    if isinstance(value, list) and value and inside:
        at, choice = random.randrange(len(value)), random.random()
        if choice < 0.2:
            del value[at]
        elif choice < 0.5:
            value.insert(at, copy.deepcopy(random.choice([*constants, *value])))
        else:
            value[at] = _changed(value[at], random, constants)
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and inside:
        changes = [value + 1, value - 1, -value, value * 2, value + 0.5, value / 3]
        return random.choice([*changes, float(value)] if abs(value) < 1e300 else changes[:3])
    if isinstance(value, str) and inside:
        return random.choice(
            (value + "x", value[1:], value[:-1], value * 2, "a" + value, value.upper())
        )
    return copy.deepcopy(random.choice(constants))


class _Writer:
    """Writes values that have a schema, as far as that can be told keyword by keyword."""

    def __init__(self, root: Json, random: Random) -> None:
        self._root = root
        self._random = random

    def value(self, schema: Json, depth: int) -> Json:
        """Return a value for a schema.

        Args:
            schema: the schema.
            depth: how deep in the document it is; the document ends somewhere.
        """
        random = self._random
        if isinstance(schema, bool) or depth > _MAX_DEPTH:
            return random.choice(VALUES)
        found: list[Json] = []
        rest = dict(schema)
        if isinstance(ref := rest.pop("$ref", None), str):
            found.append(self.value(self._target(ref), depth + 1))
        for key in ("anyOf", "oneOf"):
            if branches := rest.pop(key, None):
                found.append(self.value(random.choice(branches), depth + 1))
        parts = [*rest.pop("allOf", ())]
        for key in ("then", "else", "if"):
            if (part := rest.pop(key, None)) is not None and random.random() < 0.5:
                parts.append(part)
        found += [self.value(part, depth + 1) for part in parts]
        if "const" in rest:
            found.append(rest["const"])
        if rest.get("enum"):
            found.append(random.choice(rest["enum"]))
        if rest.keys() - _WITHOUT_TYPE or not found:
            found.append(self._by_type(rest, depth))
        return self._joined(found)

    def _joined(self, found: list[Json]) -> Json:
        """Return objects as one, or one of the values."""
        members = [value for value in found if isinstance(value, dict)]
        if len(members) == len(found) or (members and self._random.random() < 0.7):
            return {name: value for each in members for name, value in each.items()}
        return self._random.choice(found)

    def _target(self, ref: str) -> Json:
        name = ref.rpartition("/")[2].lstrip("#")
        if not name:
            return self._root
        holder = self._root.get("$defs", self._root.get("definitions", {}))
        return holder.get(name, holder.get(name.upper(), True))

    def _by_type(self, schema: Json, depth: int) -> Json:
        random = self._random
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = random.choice(kind)
        if kind is None:
            kind = _likely_type(schema) or random.choice(("string", "integer", "array", "object"))
        if schema.get("nullable") and random.random() < 0.3:
            kind = "null"
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return random.choice((*TEXTS, *FORMATTED.get(schema.get("format", ""), ()) * 4))
        if kind in {"integer", "number"}:
            return self._number(schema, kind)
        return random.random() < 0.5 if kind == "boolean" else None

    def _number(self, schema: Json, kind: str) -> Json:
        random = self._random
        keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        bounds = [schema[key] for key in keys if not isinstance(schema.get(key, True), bool)]
        number = random.choice(
            [0, 1, 2, 3, 4, 6, -1, 2.0, 10**20, 1e20, 1.5, 2**53 + 1, *bounds * 3]
        )
        if isinstance(divisor := schema.get("multipleOf"), int | float) and random.random() < 0.8:
            number = divisor * random.choice((0, 1, 2, 3, 7, -1, 1001))
        if bounds and random.random() < 0.5:
            number = random.choice(bounds) + random.choice((0, 1, -1, 0.5))
        if kind == "integer" and abs(number) < 1e300 and random.random() < 0.8:
            number = int(number)
        return number

    def _object(self, schema: Json, depth: int) -> Json:
        random = self._random
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        rest = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        patterns = schema.get("patternProperties", {})
        found: Json = {}
        for name, part in properties.items():
            if name in required or random.random() < 0.6:
                found[name] = self.value(part, depth + 1)
        for name in required:
            if name not in found:
                found[name] = self.value(rest, depth + 1)
        if rest is not False and random.random() < (0.3 if properties else 0.6):
            found[random.choice((*NAMES, "x", "abb"))] = self.value(rest, depth + 1)
        for pattern, part in patterns.items():
            if random.random() < 0.6:
                name = {"^a": "ax", "b$": "xb", "^\\d": "12"}.get(pattern, "ab")
                found[name] = self.value(part, depth + 1)
        dependent = schema.get("dependentSchemas", schema.get("dependencies", {}))
        for name, part in dependent.items():
            if name in found and isinstance(part, dict) and random.random() < 0.7:
                other = self.value(part, depth + 1)
                found |= other if isinstance(other, dict) else {}
        return found

    def _array(self, schema: Json, depth: int) -> Json:
        random = self._random
        rest = schema.get("items", schema.get("unevaluatedItems", True))
        first = schema.get("prefixItems", ())
        if isinstance(rest, list):
            first, rest = rest, schema.get("additionalItems", True)
        found = [self.value(part, depth + 1) for part in first]
        least = int(schema.get("minItems", 0))
        most = max(int(schema.get("maxItems", least + 2)), least)
        if rest is not False:
            wanted = random.randint(least, min(most, least + 3)) - len(found)
            found += [self.value(rest, depth + 1) for _ in range(max(wanted, 0))]
        if "contains" in schema and random.random() < 0.7:
            found.insert(random.randint(0, len(found)), self.value(schema["contains"], depth + 1))
        return found if random.random() < 0.9 else found[:-1]


def _likely_type(schema: Json) -> str:
    """Return the type that the keywords of a schema are for, "" when none tells."""
    for kind, keys in (
        (
            "object",
            ("properties", "required", "patternProperties", "propertyNames", "minProperties"),
        ),
        ("array", ("items", "prefixItems", "contains", "uniqueItems", "minItems", "maxItems")),
        ("string", ("minLength", "maxLength", "pattern", "format", "contentEncoding")),
        ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    ):
        if any(key in schema for key in keys):
            return kind
    return ""
