"""Random JSON Schemas that use every keyword, in every dialect."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from testkit.json_schemas.dialects import URIS, written_in

Json = Any
Schema = dict[str, Any]

TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
NAMES: Final = ("a", "b", "c", "kind", "class", "lineTotal", "a-b", "a_b")
PATTERNS: Final = (
    *("^a", "b$", "^[a-z]+$", "^\\d{2,3}$", "[^x]", "a.c", "^(a|b)*$", "\\S", "(?=a)b"),
    *("\\w-\\w", "^[\\w.-]+$", "^\\p{L}+$", "[a&&b]", "^(?:)$", "\\u0061+", "^(.)\\1$"),
)
NAME_PATTERNS: Final = ("^a", "b$", "^\\d", "^[a-z]{1,4}$", "")
FORMATS: Final = (
    *("date", "time", "date-time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6"),
    *("uri", "uri-reference", "regex", "json-pointer"),
)
"""The formats that values must have."""
_ANNOTATED_FORMATS: Final = ("unknown", "decimal", "iri", "int32")
_DEFINITIONS: Final = ("D0", "D1", "D2")
_CONSTANTS: Final[tuple[Json, ...]] = (
    *("a", "b", "cat", "", None, True, False, 0, 1, 2, -7, 1.0, 1.5, 2**53 + 1, 10**20, 1e20, 1e23),
    *([], [1], ["a", None], {}, {"a": 1}, {"a": [1.0]}, [True], [[]]),
)
_WORDS: Final = ("a", "b", "cat", "")
_NUMBERS: Final = (
    0,
    1,
    2,
    3,
    1.5,
    0.1,
    0.3,
    -1,
    -0.5,
    100,
    2**53,
    2**53 + 1,
    1e23,
    -(2**63),
    10**20,
    1e300,
)
_DIVISORS: Final = (1, 2, 3, 7, 0.5, 0.1, 0.01, 1.5, 2.0, 10**18)


def random_schema(random: Random) -> Json:
    """Return a whole schema: a root with its definitions, in one dialect.

    Args:
        random: where choices come from.
    """
    drawer = SchemaDrawer(random)
    root = drawer.schema(3, level=-1)
    if isinstance(root, bool):
        return root
    definitions = {name: drawer.schema(2, level=level) for level, name in enumerate(_DEFINITIONS)}
    uri = drawer.one_of((None, None, None, *URIS))
    return written_in(uri, {**root, "$defs": definitions}, drawer.chance)


class SchemaDrawer:
    """Draws the parts of one schema.

    A reference to a definition that applies to the same value leads to a later definition only, so
    that validation ends; one that applies to a part of the value leads anywhere.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def leaf(self) -> Json:
        """Return a schema without schemas inside, which refers to nothing."""
        return self._leaf(len(_DEFINITIONS) - 1)

    def keywords_of(self, kind: Json) -> Schema:
        """Return keywords of a type, or of one of some types, which refer to nothing."""
        return self._of_type(self.one_of(kind) if isinstance(kind, list) else kind, 1, 2)

    def one_of(self, choices: Any) -> Any:
        """Return one of some choices."""
        return self._random.choice(choices)

    def some_of(self, choices: Any, least: int, most: int) -> list[Any]:
        """Return some different choices."""
        different = [*{repr(each): each for each in choices}.values()]
        count = min(self._random.randint(least, most), len(different))
        return self._random.sample(different, count)

    def number(self, least: int, most: int) -> int:
        """Return an integer."""
        return self._random.randint(least, most)

    def chance(self, percent: int) -> bool:
        """Return True with a probability."""
        return self._random.randrange(100) < percent

    def schema(self, depth: int, level: int) -> Json:
        """Return a schema.

        Args:
            depth: how deep schemas may be nested in it.
            level: the definitions that may be referred to are those after it.
        """
        if depth <= 0 or self.chance(20):
            return self._leaf(level)
        kind = self.one_of((
            *(self._object, self._object, self._object, self._array, self._array),
            *(self._alternatives, self._alternatives, self._conjunction, self._mixed, self._typed),
        ))  # fmt: skip
        schema: Json = kind(depth, level)
        if isinstance(schema, dict) and self.chance(25):
            schema = self._restricted(schema, depth, level)
        if isinstance(schema, dict) and self.chance(10):
            schema["default"] = self.one_of(_CONSTANTS)
        if isinstance(schema, dict) and self.chance(5):
            schema["title"] = self.one_of(("A title", "list", "Größe"))
            schema["deprecated"] = True
        return schema

    def _inner(self, depth: int) -> Json:
        """Return a schema of a part of the value."""
        return self.schema(depth - 1, -1 if self.chance(80) else -2)

    def _leaf(self, level: int) -> Json:
        kind = self.one_of(("ref", "boolean", "enum", "const", *TYPES, *TYPES, "any"))
        if kind == "ref":
            return self._reference(level)
        if kind == "boolean":
            return self.one_of((True, True, {}, False))
        if kind == "enum":
            schema = {"enum": self.some_of(self.one_of((_CONSTANTS, _WORDS)), 1, 4)}
            return schema if self.chance(80) else {**schema, "type": self._types()}
        if kind == "const":
            return {"const": self.one_of(_CONSTANTS)}
        if kind == "any":
            return {**self._text(), **self._bounds(), **self._sizes("Items", 10)}
        return self._of_type(kind, 0, level)

    def _reference(self, level: int) -> Json:
        if level == -2:
            return {"$ref": "#"}
        names = _DEFINITIONS[level + 1 :]
        return {"$ref": f"#/$defs/{self.one_of(names)}"} if names else True

    def _types(self) -> Json:
        return self.one_of(TYPES) if self.chance(50) else self.some_of(TYPES, 1, 4)

    def _of_type(self, kind: str, depth: int, level: int) -> Schema:
        keywords: Schema = {}
        if kind == "string":
            keywords = self._text()
        elif kind in {"integer", "number"}:
            keywords = self._bounds()
        elif kind == "object":
            keywords = self._object(depth, level)
        elif kind == "array":
            keywords = self._array(depth, level)
        null = self.chance(15) and kind != "null"
        schema = {**keywords, "type": [kind, "null"] if null else kind}
        if self.chance(5) and kind != "null":
            schema = {**keywords, "type": kind, "nullable": True}
        return schema

    def _typed(self, depth: int, level: int) -> Schema:
        return self._of_type(self.one_of(TYPES), depth, level)

    def _mixed(self, depth: int, level: int) -> Schema:
        """Return keywords of several types."""
        schema: Schema = {}
        for kind in self.some_of(("object", "array", "string", "number"), 1, 3):
            schema |= self._of_type(kind, depth, level)
        schema.pop("type", None)
        return {**schema, "type": self._types()} if self.chance(60) else schema

    def _text(self) -> Schema:
        schema: Schema = self._sizes("Length", 30)
        if self.chance(25):
            schema["pattern"] = self.one_of(PATTERNS)
        if self.chance(25):
            schema["format"] = self.one_of((*FORMATS, *_ANNOTATED_FORMATS))
            if self.chance(25):
                schema["x-python-type"] = "str"
        elif self.chance(8):
            schema["contentEncoding"] = self.one_of(("base64", "quoted-printable"))
        return schema

    def _bounds(self) -> Schema:
        schema: Schema = {}
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if self.chance(15):
                schema[key] = self.one_of(_NUMBERS)
        if self.chance(20):
            schema["multipleOf"] = self.one_of(_DIVISORS)
        if self.chance(5):
            schema["format"] = self.one_of(_ANNOTATED_FORMATS)
        return schema

    def _sizes(self, what: str, percent: int) -> Schema:
        schema: Schema = {}
        if self.chance(percent):
            schema[f"min{what}"] = self.one_of((0, 1, 2, 2.0))
        if self.chance(percent):
            schema[f"max{what}"] = self.one_of((0, 1, 2, 3, 3.0))
        return schema

    def _object(self, depth: int, level: int) -> Schema:
        schema: Schema = {"type": "object"} if self.chance(85) else {}
        names = self.some_of(NAMES, 0, 3)
        if names:
            schema["properties"] = {name: self._inner(depth) for name in names}
        if self.chance(45):
            schema["required"] = self.some_of((*names, *names, "zz", "a"), 0, 2)
        if self.chance(45):
            choices = (False, False, True)
            schema["additionalProperties"] = (
                self.one_of(choices) if self.chance(70) else self._inner(depth)
            )
        if self.chance(12):
            patterns = self.some_of(NAME_PATTERNS, 1, 2)
            schema["patternProperties"] = {each: self._inner(depth) for each in patterns}
        if self.chance(8):
            schema["propertyNames"] = (
                self.one_of((
                    *({"pattern": "^a"}, {"maxLength": 3}, {"enum": ["a", "b"]}),
                    *({"format": "uuid"}, {"format": "date"}, False, {"const": "a"}),
                ))
                if self.chance(80)
                else self.schema(0, level)
            )  # fmt: skip
        return schema | self._sizes("Properties", 8) | self._dependencies(depth, level)

    def _dependencies(self, depth: int, level: int) -> Schema:
        schema: Schema = {}
        if self.chance(6):
            name = self.one_of(NAMES)
            schema["dependentRequired"] = {name: self.some_of(NAMES, 0, 2)}
        if self.chance(6):
            name = self.one_of(NAMES)
            schema["dependentSchemas"] = {name: self.schema(depth - 1, level)}
        if self.chance(8):
            schema["unevaluatedProperties"] = False if self.chance(60) else self._inner(depth)
        return schema

    def _array(self, depth: int, level: int) -> Schema:
        del level
        schema: Schema = {"type": "array"} if self.chance(85) else {}
        if self.chance(25):
            schema["prefixItems"] = [self._inner(depth) for _ in range(self.number(1, 3))]
            if self.chance(50):
                schema |= {"items": False, "minItems": len(schema["prefixItems"])}
        if "items" not in schema and self.chance(65):
            schema["items"] = self._inner(depth)
        if self.chance(12):
            schema["uniqueItems"] = self.one_of((True, True, False))
        if self.chance(10):
            schema["contains"] = self._inner(depth)
            schema |= self._sizes("Contains", 35)
        if self.chance(8):
            schema["unevaluatedItems"] = False if self.chance(60) else self._inner(depth)
        return self._sizes("Items", 20) | schema

    def _alternatives(self, depth: int, level: int) -> Schema:
        key = self.one_of(("anyOf", "oneOf"))
        if self.chance(15):
            return {key: [self._tagged(depth, tag) for tag in ("cat", "dog")]}
        schema: Schema = {key: [self.schema(depth - 1, level) for _ in range(self.number(1, 3))]}
        if self.chance(30):
            schema |= self._object(depth - 1, level)
        if self.chance(20):
            schema["type"] = self._types()
        return schema

    def _tagged(self, depth: int, tag: str) -> Schema:
        """Return a branch that one member tells from the others."""
        values = {"const": tag} if self.chance(60) else {"enum": [tag, tag.upper()]}
        schema = self._object(depth, -1)
        schema["properties"] = {**schema.get("properties", {}), "kind": values}
        schema["required"] = [*{*schema.get("required", ()), "kind"}]
        schema["required"].sort()
        return {**schema, "type": "object"}

    def _conjunction(self, depth: int, level: int) -> Schema:
        schema: Schema = {
            "allOf": [self.schema(depth - 1, level) for _ in range(self.number(1, 3))]
        }
        if self.chance(40):
            schema |= self._object(depth - 1, level)
        if self.chance(25):
            schema["unevaluatedProperties"] = False
        return schema

    def _restricted(self, schema: Schema, depth: int, level: int) -> Schema:
        """Return a schema with one more keyword that applies to the same value."""

        def another() -> Json:
            return self.schema(depth - 1, level)

        added: Callable[[], Json] = self.one_of((
            lambda: {"not": another()},
            lambda: {"if": another(), "then": another()},
            lambda: {"if": another(), "else": another()},
            lambda: {"if": another(), "then": another(), "else": another()},
            lambda: {"anyOf": [{"required": [self.one_of(NAMES)]} for _ in range(2)]},
            lambda: {"oneOf": [{"required": [self.one_of(NAMES)]} for _ in range(2)]},
            lambda: {"enum": self.some_of(_CONSTANTS, 1, 4)},
            lambda: {"type": self._types()},
            lambda: {"nullable": True},
            lambda: {"allOf": [another()]},
            lambda: self._reference(max(level, -1)) or {},
        ))  # fmt: skip
        extra = added()
        return {**schema, **extra} if isinstance(extra, dict) else schema
