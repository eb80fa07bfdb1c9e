"""The contract tests that `weenats generate` writes: those of the samples run here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import loyalty.test_handlers
import receipts.test_handlers
from testkit.paths import GOLDEN
from weenats_codegen.generate import generate, generate_client

test_receipts = receipts.test_handlers.test_example
test_loyalty = loyalty.test_handlers.test_example


@pytest.mark.slow
def test_tests_of_golden_packages_are_skipped(tmp_path: Path) -> None:
    """Each example of each package is valid, and skipped, since nothing is implemented."""
    folders = [path for path in GOLDEN.glob("*/expected/*") if (path / "app.py").exists()]
    paths = {str(path.parent) for path in GOLDEN.glob("*/expected/*")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)),
            *("-p", "no:cacheprovider", "--noconftest", "--import-mode=importlib"),
            *(str(path / "test_handlers.py") for path in folders),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "failed" not in done.stdout, done.stdout
    assert "passed" not in done.stdout
    assert " skipped" in done.stdout


def test_changed_test_is_kept(tmp_path: Path) -> None:
    """A contract test is written anew until the user changes it, and then never."""
    generate([GOLDEN / "minimal/contract"], tmp_path)
    [path] = tmp_path.glob("*/test_handlers.py")
    untouched = path.read_text()
    path.unlink()
    generate([GOLDEN / "minimal/contract"], tmp_path)
    assert path.read_text() == untouched
    path.write_text(untouched + "# mine")
    generate([GOLDEN / "minimal/contract"], tmp_path)
    assert path.read_text() == untouched + "# mine"


def test_client_projects_have_none(tmp_path: Path) -> None:
    """A package with the client alone has no contract test."""
    generate_client(GOLDEN / "minimal/contract", tmp_path)
    assert [*tmp_path.rglob("test_*.py")] == []
