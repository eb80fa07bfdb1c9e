"""Fuzz tests of lint: any contract gives problems, never a traceback."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.properties import examples
from weenats_codegen import reserved
from weenats_codegen.lint import shape
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.dialects import MANY, NAMED, ONE, UNDECLARED
from weenats_codegen.resources import service_meta_schema

CONTRACT: dict[str, Any] = {
    "service": "parcels",
    "version": "1.0.0",
    "description": "Carries parcels.",
    "aggregates": {
        "parcel": {
            "key": {"type": "string"},
            "state": {"type": "object", "properties": {}},
            "commands": {
                "send": {
                    "description": "Send it.",
                    "payload": {"type": "object", "properties": {"to": {"type": "string"}}},
                    "errors": ["lost"],
                    "emits": ["sent"],
                    "auth": {"scopes": ["parcels:send"]},
                }
            },
            "queries": {"get": {"description": "Show it.", "auth": {"required": False}}},
        },
    },
    "errors": {"lost": {"code": "NOT_FOUND", "description": "Lost.", "details": {}}},
    "events": {"sent": {"description": "Sent.", "data": {"$ref": "#/$defs/sent-data"}}},
    "$defs": {"sent-data": {"type": "object", "additionalProperties": False}},
    "python": {"package": "parcels"},
}
KEYWORDS = sorted({
    *UNDECLARED.keywords, *ONE, *MANY, *NAMED, "$ref", "$id", "id", "$anchor", "$dynamicRef",
    "$dynamicAnchor", "$recursiveRef", "$schema", "nullable", "example", "discriminator", "mapping",
    "propertyName", "readOnly", "description", "default", "x-python-type", "x-enum-varnames",
})  # fmt: skip
WORDS = st.sampled_from([
    "string", "object", "array", "null", "date", "^a$", "(", "a", "b", "class", "copy",
    "#/$defs/sent-data", "#", "service.json", "#/$defs/nothing", "../x.json", "https://a.example/x",
    "http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/2019-09/schema", "#a",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.dictionaries(st.sampled_from(KEYWORDS), SCALARS, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS) | WORDS, inner, max_size=4)
    ),
    max_leaves=12,
)


def diagnostics_of(contract: object) -> list[str]:
    """Return the diagnostics of a contract in service.json; without any, the IR can be built."""
    with tempfile.TemporaryDirectory() as root:  # what is beside the contract may be read, too
        folder = Path(root, "parcels")
        folder.mkdir()
        (folder / "service.json").write_text(json.dumps(contract))
        try:
            read(folder)
        except ContractError as error:
            return [str(diagnostic) for diagnostic in error.diagnostics]
    return []


def paths_in(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every nested value."""
    found = [path]
    if isinstance(value, dict):
        for key, part in value.items():
            found += paths_in(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            found += paths_in(part, (*path, index))
    return found


@pytest.mark.slow
@examples(3)
@given(st.sampled_from(paths_in(CONTRACT)), SCHEMAS)
def test_any_value_at_any_path(path: tuple[str | int, ...], value: object) -> None:
    """Any value at any path gives printable problems, or a contract that builds."""
    contract: Any = copy.deepcopy(CONTRACT)
    if not path:
        contract = value
    else:
        holder = contract
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
    for line in diagnostics_of(contract):
        assert line.isprintable()


@pytest.mark.slow
@examples(3)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), SCHEMAS, max_size=3))
@example({"a": {"type": None, "format": []}})
@example({"a": {"default": None, "format": []}})
def test_any_schema(properties: dict[str, object]) -> None:
    """Any schema gives printable problems, or a contract that builds."""
    contract = copy.deepcopy(CONTRACT)
    contract["aggregates"]["parcel"]["commands"]["send"]["payload"]["properties"] = properties
    contract["errors"] = {"lost": {"code": "NOT_FOUND", "description": "Lost."}}
    contract["aggregates"]["parcel"]["state"]["additionalProperties"] = False
    for line in diagnostics_of(contract):
        assert line.isprintable()


NAMES = st.sampled_from(
    [name.lower() for name in sorted(reserved.classes()) if name[0].isalpha()]
    + sorted(reserved.methods())
    + ["class", "def", "None", "true", "list", "print", "a", "A", "aB", "a-b", "a_b", "a--b", "x1"]
    + ["not-found", "not-found-error", "permission", "permission-error", "publish-a", "parcels"]
    + ["parcels-client", "parcels-handlers", "parcel", "sent", "lost", "lost-error", "contract"]
) | st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,9}", fullmatch=True)


@pytest.mark.slow
@examples(2)
@given(
    st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3),
    st.lists(NAMES, max_size=3), NAMES,
)  # fmt: skip
def test_any_names_are_distinct_or_rejected(
    commands: list[str], queries: list[str], events: list[str], errors: list[str], kind: str
) -> None:
    """Names that pass lint are distinct in Python, so that the contract builds."""
    closed = {"type": "object", "additionalProperties": False}
    diagnostics_of(
        {
            **CONTRACT,
            "aggregates": {kind: {"state": closed, "queries": {"get": {"description": "G."}}}},
            "errors": {
                name: {"code": "NOT_FOUND", "description": "E.", "details": closed}
                for name in errors
            },
            "commands": {name: {"description": "C.", "payload": closed} for name in commands},
            "queries": {name: {"description": "Q.", "result": closed} for name in queries},
            "events": {name: {"description": "E.", "data": closed} for name in events},
        }
    )


def test_deepest_readable_schema_passes_lint() -> None:
    """The deepest schema that the parser accepts can be checked."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(91):
        schema = {"type": "array", "items": schema}
    contract = copy.deepcopy(CONTRACT)
    contract["errors"] = {"lost": {"code": "NOT_FOUND", "description": "Lost."}}
    contract["aggregates"]["parcel"]["commands"]["send"]["payload"]["properties"] = {"a": schema}
    contract["aggregates"]["parcel"]["state"]["additionalProperties"] = False
    assert diagnostics_of(contract) == []


def test_meta_schema_keywords_have_messages() -> None:
    """Every keyword of the meta-schema that can fail has an error message."""
    spoken = {*shape._MESSAGES, *shape._CHECKS, "propertyNames"}
    applied = {"$ref", "$defs", "$schema", "$comment", "properties", "items", "title"}
    silent = applied | {"description", "examples", "default"}

    def used(schema: object) -> set[str]:
        if not isinstance(schema, dict):
            return set()
        found = set(schema)
        for key in ("properties", "$defs"):
            for part in schema.get(key, {}).values():
                found |= used(part)
        for key in ("items", "additionalProperties"):
            found |= used(schema.get(key))
        return found

    assert used(json.loads(service_meta_schema())) <= spoken | silent
