"""A contract as one document: its service.yaml with every schema that it refers to in `$defs`.

The document is a contract itself, in JSON, with the same digest. It needs no other file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.ir.bundle import PREFIX, reachable, references
from weenats_codegen.parser.pages import PAGE_PARAMETERS, is_paged
from weenats_codegen.parser.walk import (
    AGGREGATE_SCHEMAS,
    OPERATION_SCHEMAS,
    owners,
    previous_versions,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Bundle, Schema
    from weenats_codegen.parser.walk import Node

_LEFT_OUT: Final = ("lint", "$defs")
"""What concerns the files, and what `$defs` of the bundle replace."""


def document(root: Node, bundle: Bundle) -> str:
    """Return a contract as one document: compact JSON, in ASCII.

    Args:
        root: The content of service.yaml.
        bundle: The schemas of the contract.
    """
    writer = _Writer(bundle)
    parts = {name: writer.owner(node) for name, node in owners(root)}
    result = parts.pop("")
    for key in _LEFT_OUT:
        result.pop(key, None)
    if parts:
        result["aggregates"] = cast("JsonValue", parts)
    names = reachable(bundle.definitions, writer.used)
    if names:
        result["$defs"] = {name: bundle.definitions[name] for name in names}
    return json.dumps(result, separators=(",", ":"), ensure_ascii=True)


class _Writer:
    """Writes references to definitions in the places of schemas.

    Attributes:
        used: The names of the definitions that it refers to.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle: Final = bundle
        self.used: Final[set[str]] = set()

    def owner(self, node: Node) -> Schema:
        """Return an aggregate, or the service itself, with references to definitions."""
        result = self._referring(node, AGGREGATE_SCHEMAS)
        for section, keys in OPERATION_SCHEMAS.items():
            members = node.get(section).members
            if members:
                result[section] = {
                    name: self._page(each) if is_paged(each) else self._referring(each, keys)
                    for name, each in members.items()
                }
        return result

    def _referring(self, node: Node, keys: tuple[str, ...]) -> Schema:
        """Return an object whose members with some keys are schemas."""
        schemas = {key: self._reference(node.get(key)) for key in keys if key in node.mapping}
        versions: list[JsonValue] = [
            {**each.mapping, "data": self._reference(each.get("data"))}
            for each in previous_versions(node)
        ]
        return {**node.mapping, **schemas, **({"previous": versions} if versions else {})}

    def _page(self, query: Node) -> Schema:
        """Return a list query as it is written: without what `page: true` adds to its schemas."""
        names = [self._bundle.names[query.get(key).location] for key in ("parameters", "result")]
        parameters, page = (cast("Schema", self._bundle.definitions[name]) for name in names)
        members = cast("Schema", parameters["properties"])
        own = {name: each for name, each in members.items() if name not in PAGE_PARAMETERS}
        items = cast("Schema", cast("Schema", page["properties"])["items"])
        written: Schema = {
            "parameters": {**parameters, "properties": own},
            "result": items["items"],
        }
        for schema in written.values():
            self.used.update(references(schema))
        return {**query.mapping, **written}

    def _reference(self, schema: Node) -> JsonValue:
        name = self._bundle.names[schema.location]
        self.used.add(name)
        return {"$ref": f"{PREFIX}{name}"}
