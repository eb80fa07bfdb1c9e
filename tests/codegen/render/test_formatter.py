"""Formatting by ruff, independent of any configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from weenats_codegen.render.formatter import format_sources

UGLY = "import os,sys\nfrom a import b\nx = {'a':sys.argv  ,}\n"


def test_sources_are_formatted_and_others_left_alone() -> None:
    """Imports are pruned and sorted, the source is formatted, other files are kept."""
    files = {"p/a.py": UGLY, "p/py.typed": "", "p/b.txt": UGLY}
    assert format_sources(files) == {
        "p/a.py": 'import sys\n\nx = {\n    "a": sys.argv,\n}\n',
        "p/py.typed": "",
        "p/b.txt": UGLY,
    }


def test_without_sources_there_is_nothing_to_do() -> None:
    """Without Python files nothing is changed."""
    assert format_sources({"py.typed": ""}) == {"py.typed": ""}


def test_settings_of_the_place_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration in the working directory or the environment has no effect."""
    expected = format_sources({"a.py": UGLY})
    (tmp_path / "ruff.toml").write_text('line-length = 20\n[format]\nquote-style = "single"\n')
    monkeypatch.chdir(tmp_path)
    assert format_sources({"a.py": UGLY}) == expected


def test_what_is_no_python_is_a_defect_of_ours() -> None:
    """A syntax error in a generated file raises an error with ruff's message."""
    with pytest.raises(RuntimeError, match="ruff check failed"):
        format_sources({"a.py": "def (:\n"})
