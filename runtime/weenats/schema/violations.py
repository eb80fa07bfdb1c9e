"""Where a JSON value is not valid by a schema.

jsonschema-rs lists all errors at once, with those of every alternative: a hostile document of a few
hundred bytes would keep it busy for hours. So its errors are not used. The schema is followed into
the value, and validators of single keywords are asked, for a limited number of places.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from jsonschema_rs import ValidationErrorKind as Kind
from jsonschema_rs import Validator

from weenats.schema.compiler import POINTER, compiled
from weenats.schema.violation import MAX_VIOLATIONS, Violation

__all__ = ["Explainer"]
_MAX_PLACES: Final = 10_000
_MAX_TEXT: Final = 200
_SIMPLE: Final = (
    *("type", "enum", "const", "multipleOf"),
    *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    *("maxLength", "minLength", "pattern", "format"),
    *("maxItems", "minItems", "uniqueItems"),
    *("maxProperties", "minProperties", "required", "dependentRequired"),
)
"""The keywords without schemas in them."""
_WHOLE: Final = (
    *(("anyOf",), ("oneOf",), ("not",), ("propertyNames",)),
    ("contains", "minContains", "maxContains"),
)
"""The keywords whose parts are not followed, each with those that change its meaning."""
_TYPES: Final = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_TEXTS: Final = {
    "additionalProperties": "Extra inputs are not permitted",
    "anyOf": "Input should match at least one of {count} schemas",
    "const": "Input should be {value}",
    "contains": "Input should have items that `contains` requires, and not more than it allows",
    "dependentRequired": "Input should have the members that others of its members require",
    "enum": "Input should be one of {values}",
    "exclusiveMaximum": "Input should be less than {value}",
    "exclusiveMinimum": "Input should be greater than {value}",
    "format": "Input should have the format {value}",
    "maxItems": "Input should have at most {value} items",
    "maxLength": "Input should have at most {value} characters",
    "maxProperties": "Input should have at most {value} members",
    "maximum": "Input should be less than or equal to {value}",
    "minItems": "Input should have at least {value} items",
    "minLength": "Input should have at least {value} characters",
    "minProperties": "Input should have at least {value} members",
    "minimum": "Input should be greater than or equal to {value}",
    "multipleOf": "Input should be a multiple of {value}",
    "not": "Input should not match the schema of `not`",
    "oneOf": "Input should match exactly one of {count} schemas",
    "pattern": "Input should match the pattern {value}",
    "propertyNames": "Input should have names of members that `propertyNames` allows",
    "required": "Field required",
    "type": "Input should be {types}",
    "unevaluatedItems": "Input should not have items beyond those of its schema",
    "unevaluatedProperties": "Input should not have members beyond those of its schema",
    "uniqueItems": "Input should not have equal items",
}
_NOT_ALLOWED: Final = "Input is not permitted here"
_TOO_LARGE: Final = "Input does not match its schema, and is too large to find the place"
_NO_MATCH_IN_TIME: Final = "Input takes too long to match with the pattern {value}"


class _Place(NamedTuple):
    """A schema for a part of the value.

    Attributes:
        schema: the schema.
        value: the part.
        path: the path of the part: that of its parent and its own name or index, () for the root.
        keyword: the keyword that applies the schema.
    """

    schema: Any
    value: object
    path: tuple[Any, ...]
    keyword: str


class Explainer:
    """Finds violations of the schemas of a package; it keeps the validators that it compiles.

    Args:
        definitions: the schemas by name.
    """

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._validators: dict[tuple[int, str], Validator] = {}

    def violations(self, name: str, value: object) -> list[Violation]:
        """Return the violations of a value that is not valid.

        Args:
            name: the name of its schema.
            value: the JSON value.
        """
        found: list[Violation] = []
        unvisited = [iter([_Place(self._definitions[name], value, (), "")])]
        for _ in range(_MAX_PLACES):
            place = next(unvisited[-1], None)
            if place is None:
                unvisited.pop()
                if not unvisited:
                    break
                continue
            found += [each for each in self._own(place) if each not in found]
            if len(found) >= MAX_VIOLATIONS:
                break
            if isinstance(place.schema, dict):
                unvisited.append(self._parts(place))
        return found[:MAX_VIOLATIONS] or [_violation((), "", _TOO_LARGE)]

    def _accepts(self, schema: dict[str, Any], keywords: tuple[str, ...], value: object) -> bool:
        """Return whether some keywords of a schema accept a value."""
        part = {keyword: schema[keyword] for keyword in keywords if keyword in schema}
        return not part or self._validator(schema, "&".join(keywords), part).is_valid(value)

    def _validator(self, owner: object, use: str, schema: dict[str, Any]) -> Validator:
        key = id(owner), use  # parts of the schemas live as long as this object
        validator = self._validators.get(key)
        if validator is None:
            validator = self._validators[key] = compiled(schema, self._definitions)
        return validator

    def _own(self, place: _Place) -> Iterator[Violation]:
        """Yield the violations at a place itself."""
        schema, value, path, keyword = place
        if schema is False:
            yield _violation(path, keyword, _TEXTS.get(keyword, _NOT_ALLOWED))
        if not isinstance(schema, dict):
            return
        own = cast("dict[str, Any]", schema)
        if not self._accepts(own, _SIMPLE, value):
            for each in _SIMPLE:
                if each in own and not self._accepts(own, (each,), value):
                    yield from self._simple(own, each, value, path)
        for group in _WHOLE:
            if group[0] in own and not self._accepts(own, group, value):
                yield _violation(path, group[0], _expected(own, group[0]))
        for each in ("unevaluatedItems", "unevaluatedProperties"):
            if each in own and self._only(own, each, value):
                yield _violation(path, each, _expected(own, each))

    def _only(self, schema: dict[str, Any], keyword: str, value: object) -> bool:
        """Return whether a keyword is the only one that refuses a value."""
        others = tuple(each for each in schema if each != keyword)
        return self._accepts(schema, others, value) and not self._accepts(schema, (*schema,), value)

    def _simple(
        self, schema: dict[str, Any], keyword: str, value: object, path: tuple[Any, ...]
    ) -> Iterator[Violation]:
        if keyword == "required":
            for name in schema["required"]:
                if name not in cast("dict[str, Any]", value):
                    yield _violation((path, name), keyword, _TEXTS[keyword])
        elif keyword == "pattern" and any(
            isinstance(error.kind, Kind.BacktrackLimitExceeded)
            for error in self._validator(schema, "pattern", {}).iter_errors(value)
        ):
            yield _violation(path, keyword, _expected(schema, keyword, _NO_MATCH_IN_TIME))
        else:
            yield _violation(path, keyword, _expected(schema, keyword))

    def _parts(self, place: _Place) -> Iterator[_Place]:
        """Yield the places that the keywords of a schema lead to."""
        schema: dict[str, Any] = place.schema
        value: Any = place.value
        path = place.path
        if "$ref" in schema:
            target = self._definitions[schema["$ref"].removeprefix(POINTER)]
            yield _Place(target, value, path, place.keyword)
        for each in schema.get("allOf", ()):
            yield _Place(each, value, path, "allOf")
        if "if" in schema:
            condition = self._validator(schema, "if", {"allOf": [schema["if"]]})
            branch = "then" if condition.is_valid(value) else "else"
            yield _Place(schema.get(branch, True), value, path, branch)
        if isinstance(value, dict):
            yield from self._members(schema, cast("dict[str, Any]", value), path)
        elif isinstance(value, list):
            yield from _items(schema, cast("list[object]", value), path)

    def _members(
        self, schema: dict[str, Any], value: dict[str, Any], path: tuple[Any, ...]
    ) -> Iterator[_Place]:
        properties: dict[str, Any] = schema.get("properties", {})
        patterns: dict[str, Any] = schema.get("patternProperties", {})
        others: Any = schema.get("additionalProperties", True)
        for name, each in schema.get("dependentSchemas", {}).items():
            if name in value:
                yield _Place(each, value, path, "dependentSchemas")
        for name, part in value.items():
            matching = [
                pattern
                for pattern in patterns
                if self._validator(patterns, pattern, {"pattern": pattern}).is_valid(name)
            ]
            if name in properties:
                yield _Place(properties[name], part, (path, name), "properties")
            for key in matching:
                yield _Place(patterns[key], part, (path, name), "patternProperties")
            if name not in properties and not matching:
                yield _Place(others, part, (path, name), "additionalProperties")


def _items(schema: dict[str, Any], value: list[object], path: tuple[Any, ...]) -> Iterator[_Place]:
    first: list[Any] = schema.get("prefixItems", [])
    others: Any = schema.get("items", True)
    for index, part in enumerate(value):
        if index < len(first):
            yield _Place(first[index], part, (path, index), "prefixItems")
        elif others is True:
            return
        else:
            yield _Place(others, part, (path, index), "items")


def _violation(path: tuple[Any, ...], keyword: str, message: str) -> Violation:
    parts: list[str | int] = []
    while path:
        path, part = path
        parts.append(part)
    return Violation((*reversed(parts),), keyword, message)


def _expected(schema: dict[str, Any], keyword: str, text: str = "") -> str:
    value: Any = schema[keyword]
    types = [value] if isinstance(value, str) else value
    message = (text or _TEXTS[keyword]).format(
        value=value if keyword == "format" else json.dumps(value, ensure_ascii=False),
        values=", ".join(map(json.dumps, value)) if keyword == "enum" else "",
        count=len(value) if keyword in {"anyOf", "oneOf"} else "",
        types=" or ".join(_TYPES[each] for each in types) if keyword == "type" else "",
    )
    return message if len(message) <= _MAX_TEXT else message[: _MAX_TEXT - 3] + "..."
