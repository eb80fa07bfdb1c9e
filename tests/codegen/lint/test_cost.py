"""What a contract may cost: no contract of a few kilobytes keeps the generator busy."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.lint import unions
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
        "aggregate": {"type": "thing", "state": CLOSED},
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
@pytest.mark.parametrize(
    "more",
    [
        {"default": HANG},
        {"default": HANG, "not": {"pattern": "^(a+)+$"}},
        {"default": HANG, "if": {"pattern": "^(a+)+$"}},
        {"const": HANG},
        {"enum": [HANG, "a"]},
        {"examples": [HANG]},
    ],
)
def test_pattern_cannot_hang_the_generator(
    tmp_path: Path, pattern: str, more: dict[str, Any]
) -> None:
    """A pattern that takes Python exponential time is matched in linear time."""
    schema = {"type": "string", "pattern": pattern, **more}
    found = problems(tmp_path, contract_of({"x": schema}))
    assert any("does not match its own schema" in line for line in found) == ("default" in more)


@pytest.mark.parametrize(
    ("schema", "is_valid"),
    [
        ({"type": "string", "pattern": "^a+$", "default": "aa"}, True),
        ({"type": "string", "pattern": "^a+$", "default": "b"}, False),
        # Python warns of this pattern, which would be printed
        ({"type": "string", "pattern": "^[[:alpha:]]+$", "default": "b"}, True),
        ({"type": ["string", "null"], "pattern": "^a+$", "default": None}, True),
        ({"type": "string", "minLength": 3, "default": "aa"}, False),
        ({"type": "string", "maxLength": 1, "pattern": "a", "default": "aa"}, False),
        ({"type": "integer", "maximum": 3, "default": 4}, False),
        ({"enum": ["a", "b"], "default": "b"}, True),
        ({"enum": ["a", "b"], "default": "c"}, False),
    ],
)
def test_defaults_match_their_schema(
    tmp_path: Path, schema: dict[str, Any], *, is_valid: bool
) -> None:
    """A default must satisfy every keyword of its schema."""
    assert (problems(tmp_path, contract_of({"x": schema})) == []) == is_valid


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
    assert len(found) == 1002
    assert all("leads to a circle of $refs" in line for line in found)


@pytest.mark.parametrize(
    "link",
    [
        {**CLOSED, "properties": {"next": {"$ref": "NEXT"}}},
        {**CLOSED, "properties": {"all": {"type": "array", "items": {"$ref": "NEXT"}}}},
    ],
)
@pytest.mark.parametrize(("count", "is_valid"), [(20, True), (40, False), (150, False)])
def test_circle_of_objects_is_bounded(
    tmp_path: Path, link: dict[str, Any], count: int, *, is_valid: bool
) -> None:
    """A circle of objects that pydantic could not build is one problem."""
    text = json.dumps(link)
    definitions = {
        f"d{n}": json.loads(text.replace("NEXT", f"#/$defs/d{(n + 1) % count}"))
        for n in range(count)
    }
    contract = contract_of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions})
    found = problems(tmp_path, contract)
    assert ["refers to more than 30 schemas" in line for line in found] == [True] * (not is_valid)


@pytest.mark.parametrize(
    "link",
    [
        {"type": "array", "items": {"$ref": "NEXT"}},
        {"type": "object", "additionalProperties": {"$ref": "NEXT"}},
        {"anyOf": [{"type": "integer"}, {"$ref": "NEXT"}]},
    ],
)
@pytest.mark.parametrize(("count", "is_valid"), [(28, True), (29, False), (150, False)])
def test_chain_of_lists_is_bounded(
    tmp_path: Path, link: dict[str, Any], count: int, *, is_valid: bool
) -> None:
    """A chain of lists, maps or unions that pydantic could not build is one problem."""
    definitions = chain(count, link, {"type": "array", "items": {"type": "string"}})
    contract = contract_of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions})
    found = problems(tmp_path, contract)
    assert ["refers to more than 30 schemas" in line for line in found] == [True] * (not is_valid)


def test_deepest_valid_models_can_be_imported(generated: Any) -> None:
    """The deepest circle that is not refused is built at half of Python's usual stack."""
    inner = {"anyOf": [{"$ref": "NEXT"}, {"type": "null"}, {"type": "string"}]}
    link = {"type": "array", "items": {"type": "object", "additionalProperties": inner}}
    text = json.dumps({**CLOSED, "properties": {"next": link}})
    definitions = {
        f"d{n}": json.loads(text.replace("NEXT", f"#/$defs/d{(n + 1) % 28}")) for n in range(28)
    }
    contract = contract_of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions})
    assert generated(contract).Run(x={"next": []}).x.next == []


def test_branches_that_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing the branches of a oneOf ends with a problem if it takes too many steps."""
    monkeypatch.setattr(unions, "_MAX_COMPARISONS", 10)

    def branch(number: int) -> dict[str, Any]:
        tags = {"a": {"const": "same"}, "b": {"const": str(number)}}
        return {**CLOSED, "title": f"B{number}", "required": ["a", "b"], "properties": tags}

    assert problems(tmp_path, contract_of({"x": {"oneOf": [branch(n) for n in range(4)]}})) == []
    found = problems(tmp_path, contract_of({"x": {"oneOf": [branch(n) for n in range(9)]}}))
    assert ["too many branches" in line for line in found] == [True]


@pytest.mark.timing
@pytest.mark.parametrize(
    ("count", "schema"),
    [
        (4000, lambda n: {"enum": [f"{i:x}" for i in range(n)]}),
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
