"""List queries: what `page: true` adds to the parameters and the result of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.walk import STANDARD_QUERY, owners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Diagnostic
    from weenats_codegen.parser.walk import Node, Schema

_MAX_LIMIT: Final = 1000
PAGE_PARAMETERS: Final[Schema] = {
    "cursor": {
        "type": "string",
        "minLength": 1,
        "maxLength": 1000,
        "description": "The nextCursor of the page before; absent for the first page.",
    },
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": _MAX_LIMIT,
        "description": "The most items of a page; by default the service decides.",
    },
}
"""The members that `page: true` adds to parameters."""
_ALLOWED: Final = frozenset({
    "type", "properties", "required", "additionalProperties", "title", "description", "examples",
})  # fmt: skip
"""The keywords of parameters to which members can be added."""
_NEXT_CURSOR: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1000,
    "description": "The cursor of the next page; absent on the last one.",
}


def is_paged(query: Node) -> bool:
    """Return whether a query of a contract is a list query."""
    return query.mapping.get("page") is True


def expand_pages(contract: Node) -> tuple[Node, list[Diagnostic]]:
    """Return a service.yaml whose list queries have complete schemas, and what is wrong with them.

    `parameters` gets the members `cursor` and `limit`. `result`, the schema of one item, becomes
    that of a page with `items` and `nextCursor`.

    Args:
        contract: The content of service.yaml.
    """
    diagnostics = [
        problem
        for _, owner in owners(contract)
        for query in _paged(owner).values()
        for problem in _problems(query)
    ]
    if diagnostics:
        return contract, diagnostics
    aggregates = {
        name: _with_pages(each).value for name, each in contract.get("aggregates").members.items()
    }
    expanded = _with_pages(contract)
    if not aggregates:
        return expanded, []
    return expanded._replace(value={**expanded.mapping, "aggregates": aggregates}), []


def _paged(owner: Node) -> dict[str, Node]:
    """Return the list queries of an aggregate or of the service itself, by name."""
    queries = owner.get("queries").members.items()
    return {name: query for name, query in queries if is_paged(query) and name != STANDARD_QUERY}


def _with_pages(owner: Node) -> Node:
    paged = _paged(owner)
    if not paged:
        return owner
    queries = owner.get("queries").mapping | {
        name: _expanded(query) for name, query in paged.items()
    }
    return owner._replace(value={**owner.mapping, "queries": queries})


def _problems(query: Node) -> Iterator[Diagnostic]:
    if query.get("result").ref is None or len(query.get("result").mapping) > 1:
        yield query.diagnostic(
            "has page: true, and its result is not the $ref of an item",
            "put the schema of one item into $defs or a file, and refer to it",
            "result",
        )
    parameters = query.get("parameters")
    if "parameters" not in query.mapping:
        return
    if parameters.mapping.get("type") != "object" or not parameters.mapping.keys() <= _ALLOWED:
        yield query.diagnostic(
            "has page: true, and its parameters are not a plain object",
            f"write the members here, with no keywords but {', '.join(sorted(_ALLOWED))}",
            "parameters",
        )
    for name in PAGE_PARAMETERS:
        if name in parameters.get("properties").mapping:
            message = f"page: true declares {name}"
            yield parameters.diagnostic(message, "remove it", "properties", name)


def _expanded(query: Node) -> JsonValue:
    given = query.mapping.get("parameters", {"type": "object", "additionalProperties": False})
    parameters = given if isinstance(given, dict) else {}
    members = query.get("parameters", "properties").mapping
    return {
        **query.mapping,
        "parameters": {**parameters, "properties": {**members, **PAGE_PARAMETERS}},
        "result": {
            "type": "object",
            "required": ["items"],
            "additionalProperties": False,
            "properties": {
                "items": {
                    "type": "array",
                    "items": query.mapping["result"],
                    "description": "The items of this page.",
                },
                "nextCursor": _NEXT_CURSOR,
            },
        },
    }
