"""The keywords and formats of JSON Schema: what each one holds and which type it applies to."""

from collections.abc import Mapping
from typing import Final

DESCRIPTIVE: Final = frozenset({"title", "description", "examples", "deprecated", "$comment"})
ANNOTATIONS: Final = DESCRIPTIVE | {"readOnly", "writeOnly"}
"""Keywords that allow and refuse no value."""

# Keywords that hold one schema, a list of schemas, and schemas by name.
ONE: Final = ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else",
              "contains", "unevaluatedItems", "unevaluatedProperties", "contentSchema")  # fmt: skip
MANY: Final = ("oneOf", "anyOf", "allOf", "prefixItems")
NAMED: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
VALUES: Final = frozenset({"enum", "const", "default", "required", "discriminator"})
"""Keywords whose values may look like schemas and are none."""

UNIONS: Final = ("oneOf", "anyOf")
COMBINING: Final = ("$ref", *UNIONS, "allOf")
"""Keywords that make a schema out of other schemas."""

NUMBER: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
MAP: Final = frozenset({"patternProperties", "propertyNames", "minProperties", "maxProperties"})
"""Keywords of objects that have no `properties`."""
OBJECT: Final = MAP | {"properties", "required", "additionalProperties"}
BY_TYPE: Final = {
    "array": frozenset({"items", "minItems", "maxItems"}),
    "boolean": frozenset[str](),
    "integer": NUMBER | {"multipleOf"},
    "null": frozenset[str](),
    "number": NUMBER,
    "object": OBJECT,
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
}
"""The types, and the keywords that apply to the values of one type."""
TYPED: Final = frozenset[str]().union(*BY_TYPE.values())
SCALAR_BOUNDS: Final = NUMBER | {"multipleOf", "minLength", "maxLength", "pattern"}
SIZE_BOUNDS: Final = frozenset({"minItems", "maxItems", "minProperties", "maxProperties"})

HANDED_ON: Final = TYPED | VALUES | {*COMBINING, "type", "description"}
"""Keywords that reach datamodel-code-generator; others could control it, or mean nothing to it."""
SUPPORTED: Final = HANDED_ON | ANNOTATIONS | {"$defs", "$schema"}

TEXT_FORMATS: Final = frozenset({"email", "idn-email", "hostname", "uri-reference"})
"""Formats whose values remain `str`, so that they can be combined with lengths and patterns."""
VALUE_FORMATS: Final = frozenset({
    "date-time", "date", "time", "duration", "uuid", "ipv4", "ipv6",
})  # fmt: skip
"""Formats whose values become other Python types."""


def is_library(schema: Mapping[str, object]) -> bool:
    """Return whether a file has only definitions and is not a schema itself."""
    return "$defs" in schema and schema.keys() <= ANNOTATIONS | {"$defs", "$schema"}
