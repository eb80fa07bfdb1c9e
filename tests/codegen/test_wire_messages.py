"""The schemas of the wire messages agree with the models generated from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import MISSING, TypeAdapter, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from weenats.protocol import messages
from weenats_codegen.wire_messages import SCHEMAS, TARGET, build, class_name, main

FILES: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")
}
REGISTRY: Registry[Any] = Registry[Any]().with_resources(
    (name, DRAFT202012.create_resource(schema)) for name, schema in FILES.items()
)
EXAMPLES = [(name, example) for name, schema in FILES.items() for example in schema["examples"]]


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(FILES[name], registry=REGISTRY)


@cache
def _model(name: str) -> TypeAdapter[Any]:
    return TypeAdapter[Any](getattr(messages, class_name(name.removesuffix(".schema.json"))))


def schema_accepts(name: str, value: object) -> bool:
    """Whether the schema accepts a value."""
    return bool(_validator(name).is_valid(value))


def read(name: str, value: object) -> Any:
    """Validate a value with the model of the schema, as the runtime does."""
    return _model(name).validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)


def model_accepts(name: str, value: object) -> bool:
    """Whether the model accepts a value."""
    try:
        read(name, value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(FILES))
def test_schema_is_valid_and_documented(name: str) -> None:
    """Every schema is valid JSON Schema 2020-12 with title, description and examples."""
    schema = FILES[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert schema["description"].endswith(".")
    assert schema["examples"]
    for member in schema.get("properties", {}).values():
        assert "description" in member or "$ref" in member


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_example_round_trip(name: str, example: object) -> None:
    """Schema and model accept every example, and the model writes it unchanged."""
    assert schema_accepts(name, example)
    text = _model(name).dump_json(read(name, example), by_alias=True)
    assert json.loads(text) == example


def mutants(value: Any) -> Iterator[object]:
    """Yield copies of a value with one change, at any depth."""
    yield from (None, "", "x" * 300, -1, 1.5, True, [], {}, "a\nb", "é", "NOT_FOUND")
    if not isinstance(value, bool):
        yield 0  # for pydantic 0 is Literal[False]; nobody is harmed by `"success": 0`
    if isinstance(value, dict):
        for key, part in value.items():
            yield {name: other for name, other in value.items() if name != key}
            for mutant in mutants(part):
                yield {**value, key: mutant}
        yield {**value, "unknown": 1}
    elif isinstance(value, list):
        for index, part in enumerate(value):
            for mutant in mutants(part):
                yield [*value[:index], mutant, *value[index + 1 :]]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FILES))
def test_schema_and_model_agree(name: str) -> None:
    """Schema and model both accept or both reject every mutated example."""
    for example in FILES[name]["examples"]:
        for mutant in mutants(example):
            assert schema_accepts(name, mutant) == model_accepts(name, mutant), mutant


@pytest.mark.parametrize("name", sorted(FILES))
def test_unknown_fields_are_ignored(name: str) -> None:
    """Receivers ignore unknown fields, so that messages can be extended."""
    for example in FILES[name]["examples"]:
        if isinstance(example, dict):
            assert read(name, {**example, "unknownMember": 1}) == read(name, example)


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_adr_32_messages_are_nullable(name: str) -> None:
    """Only the service discovery messages of ADR-32 have nullable fields."""
    text = json.dumps(FILES[name])
    nullable = re.findall(r'"type": \[[^]]*"null"\]', text)
    adr32 = {"service-identity", "ping-response", "info-response", "stats-response"}
    adr32 |= {"endpoint-info", "endpoint-stats"}
    assert not nullable or name.removesuffix(".schema.json") in adr32


def test_messages_module_is_up_to_date() -> None:
    """runtime/weenats/protocol/messages.py matches schemas/messages."""
    assert TARGET.read_text(encoding="utf-8") == build(SCHEMAS)
    assert main(["--check"]) == 0


def test_stale_module_is_shown_and_regenerated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` prints a diff and fails; without it the module is written."""
    target = tmp_path / "messages.py"
    monkeypatch.setattr("weenats_codegen.wire_messages.TARGET", target)
    assert main(["--check"]) == 1
    assert "+class AggregateId(DeferredModel):" in capsys.readouterr().out
    assert not target.exists()
    assert main([]) == 0
    assert target.read_text(encoding="utf-8") == TARGET.read_text(encoding="utf-8")


def test_equal_names_get_classes_of_their_own(tmp_path: Path) -> None:
    """Two schemas whose names are equal in Python have a class each."""
    for name, schema in {
        "a-b.schema.json": {"type": "object", "properties": {"c": {"$ref": "aB.schema.json"}}},
        "aB.schema.json": {"type": "object", "properties": {"d": {"type": "string"}}},
    }.items():
        (tmp_path / name).write_text(json.dumps(schema))
    assert build(tmp_path).count("(DeferredModel):") == 2


def test_empty_folder_gives_empty_module(tmp_path: Path) -> None:
    """A folder without schemas gives a module without models."""
    assert build(tmp_path).startswith("# Generated by weenats from schemas/messages.")


def test_omitted_fields_are_none_or_missing() -> None:
    """Omitted fields of a message are None, and MISSING where null is allowed."""
    request = read("query-request.schema.json", {"aggregateId": {"type": "a", "key": "b"}})
    assert request.metadata is None
    assert request.query is MISSING
