"""The commands in tests/README.md name paths, verbs and markers that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).with_name("README.md").read_text()


def test_paths_exist(repository: Path) -> None:
    """Every path of a test in the README is there."""
    paths = set(re.findall(r"tests/[\w/.]*\w", README))
    assert len(paths) > 20
    assert not [path for path in paths if not (repository / path).exists()]


def test_verbs_are_those_of_the_makefile(repository: Path) -> None:
    """Every verb in the README is one of the Makefile."""
    verbs = set(re.findall(r"make ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    assert verbs <= targets


def test_markers_are_explained(pytestconfig: pytest.Config) -> None:
    """Every marker of the project is in the README."""
    own = {"container", "site", "timing", "wheel"}
    assert own <= {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert own <= set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
