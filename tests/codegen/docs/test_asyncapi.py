"""AsyncAPI documents: valid for AsyncAPI's own schema, and true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from testkit.npm import npm_file
from testkit.paths import GOLDEN, GOLDEN_CONTRACTS, SCHEMAS, golden_name
from weenats_codegen.docs.asyncapi import as_draft_7, asyncapi
from weenats_codegen.loading import read

SAMPLE = SCHEMAS / "receipts"


def name_of(folder: Path) -> str:
    """Return what tests call the folder of a contract."""
    return "sample" if folder == SAMPLE else golden_name(folder)


@pytest.fixture(scope="module")
def official() -> Any:
    """The validator of AsyncAPI's official JSON Schema."""
    text = npm_file("@asyncapi/specs/schemas/3.0.0.json").read_text(encoding="utf-8")
    return jsonschema.Draft7Validator(json.loads(text))


@pytest.mark.parametrize("folder", [SAMPLE, *GOLDEN_CONTRACTS], ids=name_of)
def test_official_schema_accepts_it(folder: Path, official: Any) -> None:
    """The official schema accepts the document of each contract."""
    document = json.loads(json.dumps(asyncapi(read(folder)), default=str))
    assert [error.message for error in official.iter_errors(document)] == []


def test_official_schema_can_refuse(official: Any) -> None:
    """The official schema refuses a document with a mistake."""
    document = asyncapi(read(SAMPLE))
    document["operations"]["add-item"]["action"] = "reply"
    assert not official.is_valid(document)


def resolved(document: Any, ref: str) -> Any:
    """Return what a reference leads to."""
    found = document
    for step in ref.removeprefix("#/").split("/"):
        found = found[step]
    return resolved(document, found["$ref"]) if set(found) == {"$ref"} else found


def references(value: Any) -> list[str]:
    """Return all references in a document."""
    if isinstance(value, list):
        return [each for part in value for each in references(part)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for part in value.values() for each in references(part)]
    return []


@pytest.mark.parametrize("folder", [SAMPLE, *GOLDEN_CONTRACTS], ids=name_of)
def test_references_and_examples(folder: Path) -> None:
    """Each reference leads somewhere, and each example matches its message."""
    document = json.loads(json.dumps(asyncapi(read(folder)), default=str))
    for ref in references(document):
        resolved(document, ref)
    for name, message in document["components"]["messages"].items():
        schema = {**message["payload"], "components": document["components"]}
        for example in message.get("examples", []):
            errors = list(jsonschema.Draft7Validator(schema).iter_errors(example["payload"]))
            assert not errors, (name, errors[0].message)


def odd_contract() -> dict[str, Any]:
    """Return a contract with what is easily written wrong."""
    duration = {"type": "string", "description": "A name that the document itself might use."}
    odd = {
        "type": "object",
        "properties": {
            "level": {"enum": [1, 1.0, True]},
            "duration": {"$ref": "duration.schema.json"},
            "marks": {"type": "array", "items": {"type": "string"}, "maxItems": 0,
                      "contains": {"const": "x"}, "minContains": 0, "maxContains": 1},
        },
        "dependentRequired": {"level": ["duration"]},
        "dependentSchemas": {"level": {"required": ["marks"]}},
    }  # fmt: skip
    never = {"type": "integer", "minimum": 2, "maximum": 1}
    shown = {"description": "Show it."}
    return {
        "service.json": {
            "service": "odd", "version": "1.0.0", "description": "Odd.",
            "aggregates": {
                "thing": {
                    "description": "A thing.", "key": {"type": "string", "format": "unheard-of",
                                                       "not": {"type": "string"}},
                    "state": odd,
                    "queries": {"get": shown, "marks": {**shown, "parameters": odd, "result": odd}},
                    "events": {"seen": {**shown, "data": odd}},
                },
            },
            "queries": {
                "never": {**shown, "parameters": never, "result": never},
                "find": {**shown, "parameters": odd, "result": odd},
            },
        },
        "duration.schema.json": duration,
    }  # fmt: skip


def test_odd_contract(tmp_path: Path, official: Any) -> None:
    """Schemas and examples are valid, where values are equal or impossible, or names clash."""
    for name, content in odd_contract().items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    document = asyncapi(read(tmp_path))
    assert [error.message for error in official.iter_errors(document)] == []
    messages = document["components"]["messages"]
    for message in messages.values():
        schema = {**message["payload"], "components": document["components"]}
        for example in message.get("examples", []):
            jsonschema.validate(example["payload"], schema, jsonschema.Draft7Validator)
    with_examples = {name for name in messages if "examples" in messages[name]}
    assert with_examples == {"find.request", "find.success", "marks.success"}
    assert messages["find.request"]["payload"]["required"] == ["query"]
    odd: Any = as_draft_7(odd_contract()["service.json"]["queries"]["find"]["parameters"])
    assert odd["dependencies"]["level"]["allOf"] == [
        {"required": ["duration"]}, {"required": ["marks"]},
    ]  # fmt: skip


def test_sample_document() -> None:
    """Operations have their subjects, replies, errors and events."""
    document = asyncapi(read(SAMPLE))
    operation = document["operations"]["remove-item"]
    assert document["channels"]["remove-item"]["address"] == "receipts.command.receipt.remove-item"
    assert document["channels"]["summary"]["address"] == "receipts.query.summary"
    assert operation["action"] == "receive"
    assert {each["code"] for each in operation["x-errors"]} == {"NOT_FOUND", "FAILED_PRECONDITION"}
    assert operation["x-emits"] == ["item-removed"]
    failure = resolved(document, operation["reply"]["messages"][1]["$ref"])
    codes = [each["payload"]["error"]["code"] for each in failure["examples"]]
    assert codes == [each["code"] for each in operation["x-errors"]]
    event = document["operations"]["events.item-removed"]
    assert event["action"] == "send"
    assert "securitySchemes" not in document["components"]


def test_security_and_limits() -> None:
    """Tokens, scopes, rate limits and timeouts are in the document."""
    document = asyncapi(read(GOLDEN / "limits/contract"))
    assert any("x-rate-limit" in each for each in document["operations"].values())
    document = asyncapi(read(GOLDEN / "once/contract"))
    found = {name: each.get("x-once") for name, each in document["operations"].items()}
    assert found["import-batch"] == 30 * 86400
    document = asyncapi(read(GOLDEN / "large/contract"))
    assert document["operations"]["fetch"]["x-large"] == 10_000_000
    document = asyncapi(read(GOLDEN / "auth/contract"))
    secured = [each for each in document["operations"].values() if "security" in each]
    assert secured
    assert any("x-scopes" in each for each in secured)
    assert "jwt" in document["components"]["securitySchemes"]


def test_schemas_of_draft_7() -> None:
    """Keywords that draft-07 does not know have its form."""
    assert as_draft_7({"$ref": "#/$defs/A", "minLength": 1}) == {
        "minLength": 1,
        "allOf": [{"$ref": "#/components/schemas/A"}],
    }
    assert as_draft_7({
        "prefixItems": [True], "items": False, "dependentRequired": {"a": ["b"]},
        "dependentSchemas": {"c": {}}, "discriminator": {"propertyName": "kind"},
    }) == {
        "items": [True], "additionalItems": False, "dependencies": {"a": ["b"], "c": {}},
        "discriminator": "kind",
    }  # fmt: skip
