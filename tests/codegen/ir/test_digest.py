"""The contract digest: changes only when the agreement of client and service changes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.loading import read

ADDRESS: dict[str, Any] = {
    "type": "object",
    "required": ["street"],
    "properties": {"street": {"type": "string", "maxLength": 9}},
}
MEMBERS: dict[str, Any] = {
    "errors": {
        "lost": {"code": "NOT_FOUND", "description": "It is lost."},
        "full": {"code": "ABORTED", "description": "It is full."},
    },
    "commands": {
        "move": {"description": "Move it.", "payload": ADDRESS, "errors": ["lost", "full"]},
    },
}
Digest = Callable[..., str]


@pytest.fixture
def digest(
    tmp_path: Path, contract_of: Callable[..., Any], write_contract: Callable[..., Path]
) -> Digest:
    """Function that returns the digest of a contract with the given members."""

    def run(members: dict[str, Any], **files: object) -> str:
        contract = members if "service" in members else contract_of(**members)
        return read(write_contract(tmp_path, contract, **files)).digest

    return run


def test_digest_ignores_schema_location(digest: Digest) -> None:
    """A schema has the same digest inline, in `$defs` and in another file."""
    inline = digest(MEMBERS)
    for ref in ("move.json", "#/$defs/move", "parts.json#/$defs/move"):
        members = deepcopy(MEMBERS)
        members["commands"]["move"]["payload"] = {"$ref": ref}
        files = {"move": ADDRESS, "parts": {**ADDRESS, "$defs": {"move": ADDRESS}}}
        assert digest({**members, "$defs": {"move": ADDRESS}}, **files) == inline


def test_digest_ignores_annotations(digest: Digest) -> None:
    """Descriptions, titles, examples and comments do not change the digest."""
    members = deepcopy(MEMBERS)
    members["description"] = "Other words."
    members["errors"]["lost"]["description"] = "Other words."
    members["commands"]["move"]["description"] = "Other words."
    payload = members["commands"]["move"]["payload"]
    payload |= {"title": "T", "description": "D", "examples": [{"street": "S"}], "$comment": "C"}
    payload["properties"]["street"]["description"] = "D"
    assert digest(members) == digest(MEMBERS)


def test_digest_ignores_order(digest: Digest) -> None:
    """The order of errors, scopes and members does not change the digest."""
    members = deepcopy(MEMBERS)
    orders = []
    for scopes in (["a", "b"], ["b", "a"]):
        members["commands"]["move"]["auth"] = {"scopes": scopes}
        orders.append(digest(members))
    assert orders[0] == orders[1]
    del members["commands"]["move"]["auth"]
    members["errors"] = dict(reversed(members["errors"].items()))
    members["commands"]["move"]["errors"].reverse()
    assert digest(members) == digest(MEMBERS)


def test_digest_ignores_package_name(digest: Digest) -> None:
    """The name of the Python package does not change the digest."""
    assert digest({**MEMBERS, "python": {"package": "other"}}) == digest(MEMBERS)


@pytest.mark.parametrize(
    "path_and_value",
    [
        ("version", "1.0.1"),
        ("errors/lost/code", "INTERNAL"),
        ("aggregates/thing/commands/move/idempotent", True),
        ("aggregates/thing/commands/move/errors", ["lost"]),
        ("aggregates/thing/commands/move/payload/properties/street/maxLength", 10),
        ("aggregates/thing/commands/move/payload/properties/description", {"type": "string"}),
        ("aggregates/thing/commands/move/payload/required", []),
        ("aggregates/thing/commands/move/result", ADDRESS),
        ("aggregates/thing/commands/move/auth", {"required": False}),
        ("aggregates/thing/commands/move/auth", {"scopes": ["book:move"]}),
        ("aggregates/thing/key", {"type": "string", "format": "uuid"}),
        ("queries", {"search": {"description": "Search.", "result": ADDRESS}}),
    ],
)
def test_digest_changes_with_contract(
    digest: Digest, contract_of: Callable[..., Any], path_and_value: tuple[str, Any]
) -> None:
    """Any change that a client or a service can notice changes the digest."""
    path, value = path_and_value
    members = deepcopy(contract_of(**deepcopy(MEMBERS)))
    *steps, last = path.split("/")
    place = members
    for step in steps:
        place = place[step]
    place[last] = value
    assert digest(members) != digest(MEMBERS)
