"""What a contract may cost: no contract of a few kilobytes keeps the generator busy."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

CLOSED = {"type": "object", "additionalProperties": False}
HANG = "a" * 60 + "!"


def contract_of(payload: dict[str, Any], **members: object) -> dict[str, Any]:
    """Return a contract with a command."""
    return {
        "service": "things",
        "version": "1.0.0",
        "description": "Keeps things.",
        "commands": {"run": {"description": "Run.", "payload": {**CLOSED, "properties": payload}}},
        **members,
    }


def problems(folder: Path, contract: object) -> list[str]:
    """Return the problems of a contract."""
    folder.joinpath("service.json").write_text(json.dumps(contract))
    try:
        read(folder)
    except ContractError as error:
        return [str(diagnostic) for diagnostic in error.diagnostics]
    return []


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a){25}$"])
@pytest.mark.parametrize("key", ["default", "const", "examples"])
def test_pattern_cannot_hang_the_generator(tmp_path: Path, pattern: str, key: str) -> None:
    """A pattern that takes Python exponential time is not matched by Python."""
    schema = {"type": "string", "pattern": pattern, key: [HANG] if key == "examples" else HANG}
    assert problems(tmp_path, contract_of({"x": schema})) == []


def chain(count: int, link: object, end: object) -> dict[str, Any]:
    """Return definitions of which each refers to the next one."""
    text = json.dumps(link)
    links = {f"d{n}": json.loads(text.replace("NEXT", f"#/$defs/d{n + 1}")) for n in range(count)}
    return {**links, f"d{count}": end}


@pytest.mark.parametrize(
    ("count", "link"),
    [
        (1000, {"$ref": "NEXT"}),
        (400, {**CLOSED, "properties": {"next": {"$ref": "NEXT"}}}),
        (
            300,
            {"type": "object", "properties": {"all": {"type": "array", "items": {"$ref": "NEXT"}}}},
        ),
    ],
)
def test_long_chain_of_references(tmp_path: Path, count: int, link: dict[str, Any]) -> None:
    """Schemas may refer to one another in a row, with more levels than Python's stack has."""
    definitions = chain(count, link, {**CLOSED, "properties": {"x": {"type": "string"}}})
    contract = contract_of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions})
    assert problems(tmp_path, contract) == []


def test_long_circle_of_references(tmp_path: Path) -> None:
    """A circle of a thousand `$ref`s is reported for each, without recursion."""
    definitions = chain(1000, {"$ref": "NEXT"}, {"$ref": "#/$defs/d0"})
    contract = contract_of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions})
    found = problems(tmp_path, contract)
    assert len(found) == 1001
    assert all("leads to a circle of $refs" in line for line in found)


@pytest.mark.timing
@pytest.mark.parametrize(
    ("count", "schema"),
    [
        (4000, lambda n: {"enum": [f"{i:x}" for i in range(n)]}),
        (4000, lambda n: {"enum": [i + 0.5 for i in range(n)]}),
        (
            250,
            lambda n: {
                "allOf": [
                    {"properties": {f"m{i}": {"type": "string"}}, "required": [f"m{i}"]}
                    for i in range(n)
                ]
            },
        ),
        (1000, lambda n: {"oneOf": [{"const": f"{i:x}"} for i in range(n)]}),
        (500, lambda n: {"oneOf": [{"type": "string"} for _ in range(n)]}),
    ],
)
def test_cost_grows_with_size(tmp_path: Path, count: int, schema: Any) -> None:
    """Four times as many values cost about four times as much."""

    def cost(number: int) -> float:
        start = time.process_time()
        problems(tmp_path, contract_of({"x": schema(number)}))
        return time.process_time() - start

    small = min(cost(count) for _ in range(3))
    # If the cost were quadratic, it would be sixteen times as much.
    assert min(cost(4 * count) for _ in range(3)) < 11 * max(small, 0.01)


def test_schemas_that_double_on_each_level_are_refused(tmp_path: Path) -> None:
    """Checking one value against them would take a service hours."""
    levels: dict[str, Any] = {"d0": {"type": "object"}}
    for at in range(1, 40):
        ref = {"$ref": f"#/$defs/d{at - 1}"}
        levels[f"d{at}"] = {"anyOf": [ref, {"allOf": [ref, {"required": [f"m{at}"]}]}]}
    found = problems(tmp_path, contract_of({"x": {"$ref": "#/$defs/d39"}}, **{"$defs": levels}))
    assert len(found) == 1
    assert "applies more than 100,000 schemas to one value" in found[0]
