"""Contracts of durable events in which one value is replaced by something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from testkit.paths import GOLDEN
from testkit.properties import examples
from weenats_codegen.loading import read
from weenats_codegen.parser.diagnostics import ContractError

CONTRACTS: dict[str, Any] = {
    name: yaml.safe_load((GOLDEN / name / "contract" / "service.yaml").read_text())
    for name in ("durable", "event-sourced", "old-events")
}
ODD = [None, 7, -1, "x", "", [], {}, True, 1.5, ["a"], {"x": 1}, "1ms"]
DEPOSITED = ("aggregates", "account", "events", "deposited")


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all values within a value."""
    members = dict(enumerate(value)) if isinstance(value, list) else value
    for name, member in members.items() if isinstance(members, dict) else ():
        yield (*place, name)
        yield from places(member, (*place, name))


def problems(name: str, place: tuple[Any, ...], value: Any) -> str:
    """Return why a contract is refused after a value was replaced."""
    changed = parent = deepcopy(CONTRACTS[name])
    for step in place[:-1]:
        parent = parent.setdefault(step, {}) if isinstance(parent, dict) else parent[step]
    parent[place[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(GOLDEN / name / "contract", folder, dirs_exist_ok=True)
        (Path(folder) / "service.yaml").write_text(yaml.safe_dump(changed))
        try:
            read(Path(folder))
        except ContractError as error:
            return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "place", "value", "problem"),
    [
        ("durable", ("stream", "maxAge"), "1ms", '"1ms" is not a duration'),
        ("durable", ("stream", "maxAge"), "", '"" is not a duration'),
        ("durable", ("stream", "maxAge"), "100000d", '"100000d" is not a duration'),
        ("event-sourced", ("stream", "name"), "wallets-commits", "is that of the commits"),
        ("old-events", (*DEPOSITED, "previous", 1, "renamed"), 7, "renamed: is the number"),
        ("old-events", (*DEPOSITED, "data", "required"), 7, "data/required: "),
        ("old-events", ("events", "closing", "data", "type"), {"x": 1}, "data/type: "),
    ],
)
def test_wrong_values_are_named(
    name: str, place: tuple[Any, ...], value: Any, problem: str
) -> None:
    """The place and what is wrong there."""
    assert problem in problems(name, place, value)


@pytest.mark.slow
@examples(1)
@given(st.data())
def test_any_wrong_value_is_a_problem_or_none(data: st.DataObject) -> None:
    """Whatever stands somewhere, the contract is read or refused."""
    name = data.draw(st.sampled_from(sorted(CONTRACTS)))
    place = data.draw(st.sampled_from(list(places(CONTRACTS[name]))))
    problems(name, place, data.draw(st.sampled_from(ODD)))
