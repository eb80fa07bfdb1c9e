"""Members whose values are kept out of `repr()`, and so out of logs."""

from collections.abc import Mapping
from typing import Final

from weenats_codegen.ir.shapes.grammar import NAMED, Json, ref_name

_PARTS: Final = frozenset({
    "items", "prefixItems", "unevaluatedItems", "additionalProperties", "unevaluatedProperties",
    "allOf", "anyOf", "oneOf",
})  # fmt: skip
"""Keywords whose schemas describe parts of a value, or the value itself."""
_CONDITIONS: Final = frozenset({
    "contains", "dependentSchemas", "else", "if", "not", "patternProperties", "propertyNames",
    "then",
})  # fmt: skip
"""Keywords whose schemas, and the properties in them, may have no place in a model."""


def is_secret(schema: Json, definitions: Mapping[str, Json]) -> bool:
    """Return whether the values of a schema, or parts of them, are `writeOnly`.

    Properties of objects are not looked at: each has its own place in the repr of its model. Those
    in a condition, a pattern or a branch beside other properties may have none.
    """
    pending = [(schema, _PARTS | _CONDITIONS)]
    seen: set[tuple[str, bool]] = set()
    while pending:
        part, keywords = pending.pop()
        if isinstance(part, list):
            pending += [(each, keywords) for each in part]
        elif isinstance(part, dict):
            if part.get("writeOnly") is True:
                return True
            for keyword in sorted(keywords & part.keys()):
                is_elsewhere = keyword in _CONDITIONS or (
                    keyword in {"anyOf", "oneOf"} and "properties" in part
                )
                inside = keywords | {"properties"} if is_elsewhere else keywords
                value: Json = part[keyword]
                if keyword in NAMED and isinstance(value, dict):
                    value = list(value.values())
                pending.append((value, inside))
            reference = ref_name(part), "properties" in keywords
            if reference[0] and reference not in seen:
                seen.add(reference)
                pending.append((definitions[reference[0]], keywords))
    return False
