"""What an operation takes and answers is an object: members can be added to it later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.lint.references import resolved
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.parser.walk import contract_schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.source import Source


def check_models(source: Source) -> Iterator[Flaw]:
    """Yield payloads, results and the like that become no class."""
    for pointer, schema in contract_schemas(source.root.data):
        if pointer.startswith("/$defs/"):
            continue
        found = resolved(source, source.root, schema)[1]
        if isinstance(found, dict) and found and not _is_class(found):
            yield Flaw(
                pointer,
                "is no object with named members",
                "write type: object with properties, and the value as one of them",
            )


def _is_class(schema: dict[str, JsonValue]) -> bool:
    if "allOf" in schema:
        return True
    named = "properties" in schema or schema.get("additionalProperties") is False
    return schema.get("type") == "object" and named and "patternProperties" not in schema
