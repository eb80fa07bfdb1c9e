"""The definitions of two bundles as one set, in which equal ones are the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.bundle import PREFIX, judged, map_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema

_ZERO: Final = frozenset({"minLength", "minItems", "minProperties"})
_EMPTY: Final = frozenset({
    "required", "allOf", "prefixItems", "properties", "patternProperties", "dependentRequired",
    "dependentSchemas",
})  # fmt: skip


class Definitions:
    """Definitions by the names of classes of equal definitions.

    Attributes:
        definitions: The schema of each class; references in it are names of classes.
    """

    def __init__(self, *bundles: Mapping[str, JsonValue]) -> None:
        """Initialize the definitions.

        Args:
            bundles: The definitions of each bundle by name.
        """
        schemas = {
            (side, name): map_schemas(judged(schema), _simplified)
            for side, definitions in enumerate(bundles)
            for name, schema in definitions.items()
        }
        classes = dict.fromkeys(schemas, "")
        count = 0
        while True:
            texts = {key: _text(schema, key[0], classes) for key, schema in schemas.items()}
            numbers = {text: str(at) for at, text in enumerate(sorted(set(texts.values())))}
            classes = {key: numbers[text] for key, text in texts.items()}
            if len(numbers) == count:
                break
            count = len(numbers)
        self._classes: Final = classes
        self.definitions: Final[dict[str, JsonValue]] = {
            classes[key]: _renamed(schema, key[0], classes) for key, schema in schemas.items()
        }

    def name(self, side: int, name: str) -> str:
        """Return the class of a definition.

        Args:
            side: The number of its bundle.
            name: Its name there.
        """
        return self._classes[side, name]


def _text(schema: JsonValue, side: int, classes: Mapping[tuple[int, str], str]) -> str:
    return json.dumps(_renamed(schema, side, classes), sort_keys=True)


def _renamed(schema: JsonValue, side: int, classes: Mapping[tuple[int, str], str]) -> JsonValue:
    def rename(part: Schema) -> Schema:
        ref = part.get("$ref")
        if not isinstance(ref, str):
            return part
        return {**part, "$ref": PREFIX + classes[side, ref.removeprefix(PREFIX)]}

    return map_schemas(schema, rename)


def _simplified(schema: Schema) -> Schema:
    """Return a schema without what allows everything, and with sets in one order."""
    result: Schema = {}
    for key, value in schema.items():
        if (key in _ZERO and value == 0) or (key in _EMPTY and not value):
            continue
        if key == "required" and isinstance(value, list):
            result[key] = [*sorted({str(name) for name in value})]
        else:
            result[key] = value
    return result
