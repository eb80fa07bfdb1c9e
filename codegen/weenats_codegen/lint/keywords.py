"""Which keywords of JSON Schema the models enforce, and what to write in place of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ANNOTATIONS: Final = frozenset({
    "title", "description", "examples", "deprecated", "readOnly", "writeOnly", "$comment",
})  # fmt: skip
LIBRARY: Final = ANNOTATIONS | {"$defs", "$schema"}
"""What stands at the top of a file that holds definitions for others and is no schema itself."""
OBJECT: Final = frozenset({
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames",
    "minProperties", "maxProperties",
})  # fmt: skip
_NUMBER: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
BY_TYPE: Final = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": _NUMBER | {"multipleOf"},
    "number": _NUMBER,
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": OBJECT,
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
TYPED: Final = frozenset[str]().union(*BY_TYPE.values())
BESIDE: Final = {
    "$ref": frozenset[str](),
    "oneOf": frozenset({"discriminator"}),
    "anyOf": frozenset({"discriminator"}),
    "allOf": frozenset({"type"}) | OBJECT,
}
FORMS: Final = tuple(BESIDE)
"""What makes a schema out of others, and which keywords are enforced beside it."""
KNOWN: Final = (
    ANNOTATIONS
    | TYPED
    | frozenset(FORMS)
    | {"type", "enum", "const", "default", "discriminator", "$defs", "$schema"}
)

_ONE_OF: Final = "describe each case as a branch of a oneOf"
_MEMBERS: Final = "write an object with named members instead"
_REMOVE: Final = "remove it"
REMEDIES: Final = {
    "contains": _REMOVE,
    "minContains": _REMOVE,
    "maxContains": _REMOVE,
    "dependentRequired": _ONE_OF,
    "dependentSchemas": _ONE_OF,
    "dependencies": _ONE_OF,
    "if": _ONE_OF,
    "then": _ONE_OF,
    "else": _ONE_OF,
    "not": _ONE_OF,
    "unevaluatedProperties": "use additionalProperties: false",
    "unevaluatedItems": "use items",
    "prefixItems": _MEMBERS,
    "additionalItems": _MEMBERS,
    "uniqueItems": "remove it, and let the handler refuse duplicates",
    "definitions": "name it $defs",
    "$id": "remove it: files are named by their paths",
    "id": "remove it: files are named by their paths",
    "$anchor": "refer to '#/$defs/NAME'",
    "$dynamicRef": "use $ref",
    "$dynamicAnchor": "refer to '#/$defs/NAME'",
    "$recursiveRef": "use $ref",
    "$recursiveAnchor": "refer to '#/$defs/NAME'",
    "$vocabulary": _REMOVE,
    "nullable": "add null to the type",
    "example": "use examples",
    "multipleOf": "use an integer of the smallest unit",
}
"""What to do about keywords that models do not enforce, or that lead elsewhere."""

TEXT_FORMATS: Final = frozenset({"email", "idn-email", "hostname", "uri-reference"})
"""Formats whose values stay text, so that lengths and patterns go with them."""
VALUE_FORMATS: Final = frozenset({
    "date-time", "date", "time", "duration", "uuid", "ipv4", "ipv6",
})  # fmt: skip
"""Formats whose values become Python's own types."""

OF_NAMED: Final = frozenset({"minItems", "maxItems", "minProperties", "maxProperties"})
"""What is enforced of a property and of a schema in $defs, and of no other."""

OF_SCALARS: Final = _NUMBER | {"multipleOf", "minLength", "maxLength", "pattern"}
"""What is enforced anywhere, save of a part that may also be null."""

SIZES: Final = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)
BOUNDS: Final = (
    *SIZES,
    ("minimum", "maximum"),
    ("exclusiveMinimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
)
MAX_SIZE: Final = 2**31 - 1


def is_library(schema: Mapping[str, object]) -> bool:
    """Return whether a file holds definitions for others and is no schema itself."""
    return "$defs" in schema and schema.keys() <= LIBRARY
