"""List queries: what is refused, and a service and a client that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from weenats import InvalidArgumentError, NatsServiceBuilder
from weenats.testing import MemoryTransport
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

Contract = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
ENTRY = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}


def listing(**members: object) -> dict[str, Any]:
    """Return the queries of a contract with a list query."""
    item = {"$ref": "#/$defs/entry"}
    query = {"description": "List.", "page": True, "result": item, **members}
    return {"queries": {"list-entries": query}, "$defs": {"entry": ENTRY}}


@pytest.mark.parametrize(
    ("members", "pointer", "message"),
    [
        ({"result": ENTRY}, "result", "its result is not the \\$ref of an item"),
        ({"result": {"$ref": "#/$defs/entry", "type": "object"}}, "result", "is not the"),
        ({"parameters": {"$ref": "#/$defs/entry"}}, "parameters", "are not a plain object"),
        ({"parameters": {"type": "object", "anyOf": [True]}}, "parameters", "are not a plain"),
        ({"parameters": True}, "parameters", "are not a plain object"),
        (
            {"parameters": {"type": "object", "properties": {"limit": True}}},
            "parameters/properties/limit",
            "page: true declares limit",
        ),
        ({"page": "yes"}, "page", "is a string"),
    ],
)
def test_unusable_list_queries_are_refused(
    tmp_path: Path,
    contract_of: Contract,
    write_contract: Write,
    members: dict[str, Any],
    pointer: str,
    message: str,
) -> None:
    """A list query whose schemas cannot be completed is refused where it is wrong."""
    folder = write_contract(tmp_path, contract_of(**listing(**members)))
    with pytest.raises(
        ContractError, match=rf"#/aggregates/thing/queries/list-entries/{pointer}: .*{message}"
    ):
        read(folder)


def test_name_of_iterator_is_free(
    tmp_path: Path, contract_of: Contract, write_contract: Write
) -> None:
    """A query with the name of the method that iterates is refused."""
    members = listing()
    members["queries"]["iterate-list-entries"] = {"description": "Other.", "result": ENTRY}
    folder = write_contract(tmp_path, contract_of(**members))
    with pytest.raises(ContractError, match="becomes iterate_list_entries in Python"):
        read(folder)


async def test_client_iterates_over_service(
    generated: Callable[..., ModuleType], contract_of: Contract
) -> None:
    """The client gets all items of a service that lists them by cursor and limit."""
    own = {"type": "object", "properties": {"above": {"type": "integer"}}}
    package: Any = generated(contract_of(**listing(parameters=own)))
    numbers = list(range(25))

    class Things(package.ThingsHandlers):  # type: ignore[misc]
        async def list_entries(self, _key: str, query: Any, _context: object) -> object:
            start = int(query.cursor or 0)
            found = [number for number in numbers if number > query.above]
            end = start + (query.limit or 10)
            page = [package.Entry(number=number) for number in found[start:end]]
            more = str(end) if end < len(found) else None
            return package.ListEntriesResult(items=page, next_cursor=more)

    transport = MemoryTransport()
    async with NatsServiceBuilder(Things(), transport=transport).build() as service:
        client = package.ThingsClient(transport)
        parameters = package.ListEntriesParameters(above=4, limit=7)
        found = [
            entry.number
            async for entry in client.iterate_list_entries("k", parameters, max_items=1000)
        ]
        assert found == numbers[5:]
        one_page = await client.list_entries("k", package.ListEntriesParameters(above=4))
        assert len(one_page.items) == 10
        assert one_page.next_cursor == "10"
        with pytest.raises(TypeError, match="timout"):
            await anext(client.iterate_list_entries("k", parameters, max_items=1, timout=1))
        sync_client = package.ThingsSyncClient(transport)
        with pytest.raises(InvalidArgumentError, match="max_items"):
            sync_client.iterate_list_entries("k", parameters, max_items=0)
        too_many = parameters.model_copy(update={"limit": 1001})
        with pytest.raises(InvalidArgumentError):
            await client.list_entries("k", too_many)
        assert service.is_serving
