"""The guide to compatibility says what the code does."""

from __future__ import annotations

from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest

from testkit.documents import Table, document
from testkit.run_block import run_block
from weenats_codegen.compatibility.rules import RULES

GUIDE = document("codegen/docs/compatibility.md")


def test_rules_in_the_guide() -> None:
    """The guide lists each rule with its level, who breaks, and the part of the version."""
    [table] = [each for each in GUIDE.tables if each.header[0] == "rule"]
    assert isinstance(table, Table)
    assert [*table.rows] == [
        (f"`{each.id}`", each.level.value, each.breaks.value, each.change.value, each.text)
        for each in RULES.values()
    ]


def test_output_in_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output that the guide shows is that of the example above it."""
    monkeypatch.chdir(tmp_path)
    example, *_ = GUIDE.of_kind("python")
    assert not run_block(GUIDE, example, tmp_path)
    shown, *_ = GUIDE.of_kind("")
    assert (tmp_path / "output.txt").read_text() == shown.text


@pytest.mark.slow
def test_output_of_running_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output that the guide shows for what runs is that of its example."""
    monkeypatch.chdir(tmp_path)
    _, example, *_ = GUIDE.of_kind("python")
    assert not run_block(GUIDE, example, tmp_path)
    _, shown, *_ = GUIDE.of_kind("")
    printed = (tmp_path / "output.txt").read_text()
    assert OutputChecker().check_output(shown.text, printed, ELLIPSIS), printed
