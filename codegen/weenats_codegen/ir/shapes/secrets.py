"""Members whose values are kept out of `repr()`, and so out of logs."""

from collections.abc import Mapping
from typing import Final

from weenats_codegen.ir.shapes.grammar import Json, ref_name

_INSIDE: Final = frozenset({
    "items", "prefixItems", "additionalProperties", "allOf", "anyOf", "oneOf",
})  # fmt: skip
"""Keywords whose schemas describe parts of a value, or the value itself."""


def is_secret(schema: Json, definitions: Mapping[str, Json]) -> bool:
    """Return whether the values of a schema, or parts of them, are `writeOnly`.

    Properties of objects are not looked at: each has its own place in the repr of its model.
    """
    pending = [schema]
    names: set[str] = set()
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            if part.get("writeOnly") is True:
                return True
            pending += [part[key] for key in sorted(_INSIDE & part.keys())]
            if (name := ref_name(part)) and name not in names:
                names.add(name)
                pending.append(definitions[name])
    return False
