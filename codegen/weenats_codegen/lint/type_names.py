"""The `type` of a schema that is none of JSON Schema's: what its author may have meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import JsonValue

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_ELSEWHERE: Final = {
    "bool": "boolean",
    "date": "string",
    "datetime": "string",
    "decimal": "number",
    "dict": "object",
    "double": "number",
    "float": "number",
    "int": "integer",
    "list": "array",
    "map": "object",
    "mapping": "object",
    "none": "null",
    "str": "string",
    "text": "string",
    "uuid": "string",
}
"""What types are called in other languages."""


def remedy(value: JsonValue) -> str:
    """Return what to do about a `type`; for a list, about the first that is none."""
    if value is None:
        return 'write "null", in quotes'
    names = value if isinstance(value, list) else [value]
    wrong = next((name for name in names if name not in TYPES), None)
    if isinstance(wrong, str):
        name = wrong.lower()
        close = difflib.get_close_matches(name, TYPES, n=1)
        meant = _ELSEWHERE.get(name) or next(iter(close), None)
        if meant is not None:
            return f"did you mean {meant}?"
    return f"use {', '.join(TYPES)}, or a list of some, each once"
