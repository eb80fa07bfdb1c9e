"""Aggregates: their keys are strings; the `aggregate` of earlier versions is refused."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen.ir.bundle import PREFIX, Bundle
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import Node, is_name, owners

_MAX_REFERENCES: Final = 30
_MEMBERS: Final = ("description", "state", "commands", "queries", "events")


def former_aggregate(contract: Node) -> Diagnostic | None:
    """Return how to write the single `aggregate` of earlier versions; None if there is none.

    Args:
        contract: The content of service.yaml.
    """
    aggregate = contract.get("aggregate")
    if "aggregate" not in contract.mapping or "aggregates" in contract.mapping:
        return None
    kind = aggregate.mapping.get("type")
    name = kind if isinstance(kind, str) and is_name(kind) else "NAME"
    there = contract.mapping.keys() | aggregate.mapping.keys()
    members = ", ".join(f"{member}: ..." for member in _MEMBERS if member in there)
    return contract.diagnostic(
        "is now aggregates: any number, by name, each with operations and events of its own",
        f"write `aggregates: {{{name}: {{{members}}}}}`",
        "aggregate",
    )


def check_keys(contract: Node, bundle: Bundle) -> Iterator[Diagnostic]:
    """Yield keys that may be something else than a string.

    Args:
        contract: The content of service.yaml.
        bundle: Its schemas.
    """
    for name, aggregate in owners(contract):
        key = aggregate.get("key")
        definition = bundle.names.get(key.location) if name else None
        if definition is not None and not _is_string(bundle, definition):
            yield key.diagnostic("is not the schema of a string", "add type: string")


def _is_string(bundle: Bundle, definition: str) -> bool:
    for _ in range(_MAX_REFERENCES):
        schema = bundle.definitions.get(definition)
        if not isinstance(schema, dict):
            return False
        if schema.get("type") == "string":
            return True
        ref = schema.get("$ref")
        if not isinstance(ref, str):
            return False
        definition = ref.removeprefix(PREFIX)
    return False
