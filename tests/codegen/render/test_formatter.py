"""Formatting of generated sources with ruff, isolated from local settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from weenats_codegen.render.formatter import format_sources

UGLY = "import os,sys\nfrom a import b\nx = {'a':sys.argv  ,}\n"


def test_only_python_files_are_formatted() -> None:
    """Python files are formatted and unused imports removed; other files are unchanged."""
    files = {"p/a.py": UGLY, "p/py.typed": "", "p/b.txt": UGLY}
    assert format_sources(files) == {
        "p/a.py": 'import sys\n\nx = {\n    "a": sys.argv,\n}\n',
        "p/py.typed": "",
        "p/b.txt": UGLY,
    }


def test_format_without_python_files() -> None:
    """Without Python files the input is returned unchanged."""
    assert format_sources({"py.typed": ""}) == {"py.typed": ""}


def test_local_ruff_settings_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ruff.toml in the working directory does not change the output."""
    expected = format_sources({"a.py": UGLY})
    (tmp_path / "ruff.toml").write_text('line-length = 20\n[format]\nquote-style = "single"\n')
    monkeypatch.chdir(tmp_path)
    assert format_sources({"a.py": UGLY}) == expected


def test_syntax_error_raises_runtime_error() -> None:
    """A syntax error in a generated file raises RuntimeError with the message of ruff."""
    with pytest.raises(RuntimeError, match="ruff check failed"):
        format_sources({"a.py": "def (:\n"})
