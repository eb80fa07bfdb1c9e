"""What commands cost on contracts that are large, or small with large values only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from testkit.processes import without_coverage

pytestmark = pytest.mark.timing

_Json = dict[str, Any]
_LIMIT: Final = 300.0
"""Seconds after which a command counts as hanging, also on a busy machine."""
_MOST: Final = 30.0
"""Seconds of CPU time that a command may take; they take less than five on an idle machine."""
TEXT: Final[_Json] = {"type": "string"}


def member(name: str, kind: str = "string") -> _Json:
    """Return the schema of an object with a member."""
    return {"type": "object", "properties": {name: {"type": kind}}}


def command(payload: _Json, **definitions: Any) -> _Json:
    """Return the parts of a contract with a command."""
    return {
        "commands": {"run": {"description": "Run.", "payload": payload}},
        "$defs": definitions,
    }


def chain(count: int, link: Callable[[int, _Json], _Json]) -> _Json:
    """Return the parts of a contract with definitions of which each refers to the one before."""
    levels = {f"d{at}": link(at, {"$ref": f"#/$defs/d{at - 1}"}) for at in range(1, count)}
    return command({"$ref": f"#/$defs/d{count - 1}"}, d0=member("a"), **levels)


def beside_references(count: int) -> _Json:
    """Return a chain of references with keywords beside them."""
    return chain(count, lambda at, ref: {**ref, **member(f"m{at}"), "required": [f"m{at}"]})


def required_twice(count: int) -> _Json:
    """Return objects of which each requires the next one twice."""
    return chain(
        count,
        lambda _, ref: {
            "type": "object",
            "properties": {"a": ref, "b": ref},
            "required": ["a", "b"],
        },
    )


def pairs(count: int) -> _Json:
    """Return arrays of which each has two of the next one."""
    schema = TEXT
    for _ in range(count):
        schema = {"type": "array", "minItems": 2, "maxItems": 2, "items": schema}
    return command(schema)


def many_branches(count: int) -> _Json:
    """Return a union of many objects with many members."""
    members = {f"p{at}": TEXT for at in range(count // 2)}
    return command(
        {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["t"],
                    "properties": {"t": {"const": f"k{at}"}, **members},
                }
                for at in range(count)
            ]
        }
    )


def many_unions(count: int) -> _Json:
    """Return many unions of two that must all hold."""
    unions = [{"oneOf": [member(f"m{at}"), member(f"m{at}", "integer")]} for at in range(count)]
    return command({"allOf": unions})


def many_versions(count: int) -> _Json:
    """Return an event with many older versions of its data."""
    versions = [
        {"data": member(f"m{at}"), "renamed": {f"m{at}": f"m{at + 1}"}} for at in range(count)
    ]
    event = {"description": "Ran.", "data": member(f"m{count}"), "previous": versions}
    return {"stream": {}, "events": {"ran": event}, **command({})}


def shared_by_operations(count: int) -> _Json:
    """Return many commands that share a chain of schemas."""
    parts = chain(count, lambda _, ref: {"type": "object", "properties": {"x": ref}})
    last = parts["commands"]["run"]["payload"]
    parts["commands"] = {
        f"c{at}": {
            "description": "Run.",
            "payload": {"type": "object", "properties": {f"m{at}": last}},
        }
        for at in range(count)
    }
    return parts


def cpu_of(folder: Path, parts: _Json, *arguments: str) -> float:
    """Return the CPU time of a command on a contract, whose old version is in `old`."""
    text = json.dumps({"service": "s", "version": "1.0.0", "description": "S.", **parts})
    changed = text.replace('"type": "string"', '"type": "integer"', 1)
    for place, content in (("old", text), ("schemas", changed)):
        file = folder / place / "s" / "service.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    started = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "weenats_codegen", *arguments],
        cwd=folder,
        env=without_coverage(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT,
    )
    ended = os.times()
    assert "a bug" not in done.stderr
    return ended.children_user - started.children_user


@pytest.mark.parametrize("verb", [["docs"], ["diff", "old/s", "schemas/s"]], ids=["docs", "diff"])
@pytest.mark.parametrize(
    ("parts", "count"),
    [
        (beside_references, 400),
        (required_twice, 60),
        (pairs, 40),
        (many_branches, 150),
        (many_unions, 60),
        (many_versions, 400),
        (shared_by_operations, 200),
    ],
)
def test_commands_end(
    parts: Callable[[int], _Json], count: int, verb: list[str], tmp_path: Path
) -> None:
    """No contract of some kilobytes takes a command much longer than others of its size."""
    assert cpu_of(tmp_path, parts(count), *verb) < _MOST


def test_cost_grows_with_the_number_of_versions(tmp_path: Path) -> None:
    """Four times as many older versions take about four times as long, not sixteen times."""
    small, large = (
        min(cpu_of(tmp_path, many_versions(count), "lint") for _ in range(3))
        for count in (200, 800)
    )
    assert large < 8 * small
