"""Documents drawn from a schema: most are valid, and others nearly are.

The same schema always gives the same documents.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final, TypeVar, cast

from weenats_codegen.compatibility.solve.formats import BROKEN, SAMPLES
from weenats_codegen.ir.bundle import PREFIX
from weenats_codegen.ir.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from weenats_codegen.compatibility.budget import Budget
    from weenats_codegen.ir.bundle import Schema

T = TypeVar("T")
_SEED: Final = 20120
_MAX_DEPTH: Final = 7
_MAX_PARTS: Final = 2_000
"""The most parts of one document, so that some are left for others."""
_PARTS_EACH: Final = 10
"""What each document costs besides its own parts, since two schemas check it."""
_WORD: Final = 11
"""The characters of a text after which it repeats itself."""
_LARGE: Final = 2**53
_VALUES: Final[tuple[JsonValue, ...]] = (
    None, True, False, 0, 1, -1, 1.5, 2, 10**9, "", "a", "ab", "A1", [], [1], ["a", "a"], {},
    {"a": 1}, {"": None},
)  # fmt: skip
_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
_TYPE_OF_KEYWORD: Final = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "patternProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "contains": "array",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
}


def documents(
    definitions: Mapping[str, JsonValue], name: str, count: int, parts: Budget
) -> Iterator[JsonValue]:
    """Yield documents for a definition, which may share parts with it and with one another.

    Args:
        definitions: The definitions of a flat bundle.
        name: The name of the definition.
        count: How many documents.
        parts: How many parts of documents may be drawn; there are fewer documents if it is used up.
    """
    writer = _Writer(definitions)
    for number in range(count):
        most = writer.left = min(_MAX_PARTS, parts.left)
        if most <= 0:
            return
        document = writer.value({"$ref": PREFIX + name}, 0)
        size = size_of(document)
        parts.left -= max(size, most - writer.left) + _PARTS_EACH
        if size <= _MAX_PARTS:
            yield writer.changed(document) if number % 3 == 0 else document


class _Writer:
    """Draws documents.

    Attributes:
        left: How many parts the next one may still have.
    """

    def __init__(self, definitions: Mapping[str, JsonValue]) -> None:
        self._definitions: Final = definitions
        self._random: Final = Random(_SEED)  # noqa: S311 - the same documents every time
        self._seen: Final[list[JsonValue]] = [*_VALUES]
        self.left = _MAX_PARTS

    def value(self, schema: JsonValue, depth: int) -> JsonValue:
        """Return a value for a schema, as far as its keywords say it one by one."""
        self.left -= 1
        if not isinstance(schema, dict) or depth > _MAX_DEPTH or self.left < 0:
            return self._one(_VALUES)
        parts = list(self._parts(schema, depth))
        if "const" in schema:
            parts.append(schema["const"])
        elif isinstance(values := schema.get("enum"), list) and values:
            parts.append(self._one(values))
        elif not parts or not _TYPE_OF_KEYWORD.keys().isdisjoint(schema) or "type" in schema:
            parts.append(self._typed(schema, depth))
        self._seen.append(parts[-1])
        members = [part for part in parts if isinstance(part, dict)]
        if members:
            return {name: value for part in members for name, value in part.items()}
        return self._one(parts)

    def changed(self, value: JsonValue) -> JsonValue:  # noqa: PLR0911 - one for each type
        """Return a value with a change somewhere in it."""
        random = self._random
        if random.random() < 0.25:  # noqa: PLR2004 - a share
            return self._one(self._seen)
        if isinstance(value, dict) and value:
            name = self._one([*value])
            rest = {key: value[key] for key in value if key != name}
            return rest if random.random() < 0.3 else {**value, name: self.changed(value[name])}  # noqa: PLR2004
        if isinstance(value, list) and value:
            at = random.randrange(len(value))
            if random.random() < 0.4:  # noqa: PLR2004 - a share
                return [*value[:at], *value[at + 1 :]] if at % 2 else [*value, value[at]]
            return [*value[:at], self.changed(value[at]), *value[at + 1 :]]
        if isinstance(value, str):
            return self._one([f"{value}x", value[1:], value[:-1], value * 2, value.upper()])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _added(value, self._one([1, -1, 0.5, 10]))
        return self._one(self._seen)

    def _one(self, values: Sequence[T]) -> T:
        return self._random.choice(values)

    def _parts(self, schema: Schema, depth: int) -> Iterator[JsonValue]:
        """Yield values for the schemas inside a schema that apply to the same value."""
        if isinstance(ref := schema.get("$ref"), str):
            yield self.value(self._definitions[ref.removeprefix(PREFIX)], depth + 1)
        for part in cast("list[JsonValue]", schema.get("allOf", [])):
            yield self.value(part, depth + 1)
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(key), list) and branches:
                yield self.value(self._one(branches), depth + 1)
        if "if" in schema:
            yield self.value(schema["if"], depth + 1)
            yield self.value(schema.get(self._one(["then", "else"]), True), depth + 1)

    def _typed(self, schema: Schema, depth: int) -> JsonValue:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self._one(kind)
        if not isinstance(kind, str):
            kinds = [_TYPE_OF_KEYWORD[key] for key in schema if key in _TYPE_OF_KEYWORD]
            kind = self._one(kinds or _TYPES)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "string":
            return self._text(schema)
        if kind in {"number", "integer"}:
            return self._number(schema, kind)
        return self._one([True, False]) if kind == "boolean" else None

    def _object(self, schema: Schema, depth: int) -> JsonValue:
        required = cast("list[str]", schema.get("required", []))
        properties = cast("Schema", schema.get("properties", {}))
        others = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        result: dict[str, JsonValue] = {}
        for name in dict.fromkeys([*properties, *required]):
            if name in required or self._random.random() < 0.5:  # noqa: PLR2004 - a share
                result[name] = self.value(properties.get(name, others), depth + 1)
        if others is not False and self._random.random() < 0.3:  # noqa: PLR2004 - a share
            result[self._one(["a", "x", "b1", "other"])] = self.value(others, depth + 1)
        for part in cast("Schema", schema.get("patternProperties", {})).values():
            result[self._one(["a", "b", "ab", "x-a", "1"])] = self.value(part, depth + 1)
        return result

    def _array(self, schema: Schema, depth: int) -> JsonValue:
        first = cast("list[JsonValue]", schema.get("prefixItems", []))
        result = [self.value(part, depth + 1) for part in first]
        items = schema.get("items", schema.get("unevaluatedItems", True))
        least = int(cast("float", schema.get("minItems", 0)))
        if items is not False:
            count = max(least - len(result), 0) + self._one([0, 0, 1, 2])
            result += [self.value(items, depth + 1) for _ in range(min(count, 50))]
        if "contains" in schema:
            result.append(self.value(schema["contains"], depth + 1))
        return result

    def _text(self, schema: Schema) -> JsonValue:
        name = str(schema.get("format", ""))
        if name in SAMPLES and self._random.random() < 0.9:  # noqa: PLR2004 - a share
            return self._one([*SAMPLES[name] * 3, *BROKEN.get(name, ())])
        least = int(cast("float", schema.get("minLength", 0)))
        most = int(cast("float", schema.get("maxLength", least + 3)))
        length = self._one([least, least + 1, most, most + 1])
        word = "".join(self._one("ab1-A") for _ in range(min(length, _WORD)))
        return (word * (min(length, 1000) // _WORD + 1))[:length]

    def _number(self, schema: Schema, kind: str) -> JsonValue:
        keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        bounds = [cast("float", schema[key]) for key in keys if key in schema]
        number = _added(self._one([0, 1, -1, 3, 100, *bounds * 3]), self._one([0, 0, 1, -1]))
        if isinstance(divisor := schema.get("multipleOf"), int | float):
            number = divisor * self._one([0, 1, 2, 7, -1])
        return number if kind == "integer" else _added(number, self._one([0, 0, 0.5]))


def _added(number: float, change: float) -> float:
    """Return a sum; numbers that floats do not tell apart change by integers."""
    if abs(number) < _LARGE:
        return number + change
    return number + round(change) if isinstance(number, int) else number
