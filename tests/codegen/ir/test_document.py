"""The contract as one document: a contract itself, with the same digest."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from testkit.json_schemas.schemas import random_schema
from testkit.json_schemas.service import write_contract
from testkit.paths import REPOSITORY
from weenats_codegen.documents import read_document
from weenats_codegen.generate import read_contracts
from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

GOLDEN = REPOSITORY / "tests" / "codegen" / "golden"
FOLDERS = [REPOSITORY / "schemas", *(each / "contract" for each in sorted(GOLDEN.iterdir()))]


def reread(contract: Contract) -> Contract:
    """Return what is read from the document of a contract."""
    [found] = read_document(contract.document.encode(), contract.service).contracts
    return found


def written(folder: Path, contract: dict[str, Any], **files: Any) -> Contract:
    """Return a contract of a service in a folder beside others."""
    head = {"service": "shop", "version": "1.0.0", "description": "Sells."}
    for name, content in {"shop/service": {**head, **contract}, **files}.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return read(folder / "shop")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_document_is_the_contract(folder: Path) -> None:
    """Read again, the document of every golden contract has the same digest and document."""
    for contract in read_contracts([folder]):
        found = reread(contract)
        assert found.digest == contract.digest
        assert found.document == contract.document
        assert [each.label for each in found.operations] == [
            each.label for each in contract.operations
        ]


@pytest.mark.parametrize("seed", range(3))
def test_drawn_schemas_keep_their_digest(seed: int, tmp_path: Path) -> None:
    """Documents of schemas in all dialects, drawn at random, have the digest of their contract."""
    random = Random(seed)  # noqa: S311 - it can be drawn again
    write_contract([random_schema(random) for _ in range(15)], tmp_path)
    contract = read(tmp_path)
    assert reread(contract).digest == contract.digest


def test_document_needs_no_other_file(tmp_path: Path) -> None:
    """Schemas of other files and of libraries are in `$defs`, what is not used is not."""
    order = {"description": "Order.", "payload": {"$ref": "parts.json#/$defs/order"}}
    contract = written(
        tmp_path,
        {"commands": {"order": order}, "$defs": {"unused": {"type": "string"}}},
        shop__parts={
            "$defs": {"order": {"properties": {"price": {"$ref": "../money/money.json"}}}}
        },
        money__money={"$id": "https://example.com/money", "properties": {"next": {"$ref": "#"}}},
    )
    document = json.loads(contract.document)
    assert document["commands"]["order"]["payload"] == {"$ref": "#/$defs/Order"}
    assert document["$defs"].keys() == {"Order", "Money"}
    assert document["$defs"]["Money"]["properties"]["next"] == {"$ref": "#/$defs/Money"}
    assert "$id" not in contract.document
    assert reread(contract).digest == contract.digest


def test_findings_of_lint_stay_at_home(tmp_path: Path) -> None:
    """What the contract accepts of `weenats lint` concerns its files, and is left out."""
    ignore = {"rule": "missing-description", "reason": "for us only"}
    ping = {"description": "Ping.", "payload": {"type": "object"}}
    contract = written(tmp_path, {"commands": {"ping": ping}, "lint": {"ignore": [ignore]}})
    assert "for us only" not in contract.document


def test_variants_keep_their_meaning(tmp_path: Path) -> None:
    """Schemas that differ between requests and replies still do, and discriminators remain."""
    person = {
        "type": "object",
        "required": ["id", "password"],
        "properties": {
            "id": {"type": "string", "readOnly": True},
            "password": {"type": "string", "writeOnly": True},
        },
    }
    animal = {"type": "object", "properties": {"kind": {"type": "string"}}}
    names = {"c": "#/components/schemas/Cat"}
    pet = {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": names},
    }
    schemas = {"Cat": {**animal, "maxProperties": 1}, "Dog": animal, "Pet": pet}
    save = {"description": "Save.", "payload": {"$ref": "person.json"}}
    keep = {"description": "Keep.", "payload": {"$ref": "api.json#/components/schemas/Pet"}}
    contract = written(
        tmp_path,
        {"commands": {"save": {**save, "result": {"$ref": "person.json"}}, "keep": keep}},
        shop__person=person,
        shop__api={"openapi": "3.0.3", "components": {"schemas": schemas}},
    )
    found = reread(contract)
    document, again = json.loads(contract.document), json.loads(found.document)
    assert document == again
    assert document["$defs"]["PersonInput"]["required"] == ["password"]
    assert document["$defs"]["Person"]["required"] == ["id"]
    assert found.digest == contract.digest


def hostile(reference: str) -> dict[str, Any]:
    """Return a contract with a reference that leads nowhere."""
    schema = {"$ref": reference}
    commands = {"a": {"description": "A.", "payload": schema}}
    head = {"service": "shop", "version": "1.0.0", "description": "Sells."}
    return {**head, "commands": commands, "$defs": {"a": schema}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"service": "shop", "service": "other"}',
        json.dumps(hostile("../../../../etc/passwd")).encode(),
        json.dumps(hostile("#/$defs/a")).encode(),
    ],
    ids=["empty", "bytes", "list", "deep list", "deep object", "twice", "file", "circle"],
)
def test_hostile_document(content: bytes) -> None:
    """What is no contract, or refers to files, is refused with places that users know."""
    with pytest.raises(ContractError) as caught:
        read_document(content, "shop")
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.location.file == "running:shop/service.json"
