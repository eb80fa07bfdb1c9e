"""Golden files: `golden/<case>/contract` must generate `golden/<case>/expected`.

After a change that is meant, `python tests/codegen/test_golden.py` writes what is
expected anew; the diff is then part of the review.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.processes import without_coverage
from weenats_codegen.generate import generate, generate_client, package_files, read_contracts

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "codegen" / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())
MYPY_CACHE = TESTS.parent / ".mypy_cache" / "golden"
"""What mypy knows of the libraries from the last run."""


def read(folder: Path) -> dict[str, str]:
    """Return every file below a folder by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("case", CASES)
def test_package_matches_golden_files(case: str) -> None:
    """The generated files equal the expected files; none is missing or extra."""
    expected = read(GOLDEN / case / "expected")
    assert package_files(read_contracts([GOLDEN / case / "contract"])) == expected


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that contains all expected packages."""
    folder = tmp_path_factory.mktemp("packages")
    for case in CASES:
        shutil.copytree(GOLDEN / case / "expected", folder, dirs_exist_ok=True)
    return folder


def run(folder: Path, *command: str) -> str:
    """Run a tool in a folder; return its output if it fails, else an empty string."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=without_coverage(MYPYPATH=str(TESTS.parent / "runtime")),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the package of each client project, and the program of its README."""
    folder = tmp_path_factory.mktemp("clients")
    for contract in sorted(GOLDEN.glob("*/contract/**/service.*")):
        case = contract.parent.name.replace("contract", contract.parents[1].name)
        project = tmp_path_factory.mktemp(case)
        generate_client(contract.parent, project, f"{case}-client")
        (package,) = (path for path in project.iterdir() if path.is_dir())
        package.rename(folder / package.name)
        program = (project / "README.md").read_text().partition("```py\n")[2].partition("```")[0]
        (folder / f"use_{package.name}.py").write_text(program)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)  # nothing of mypy is cached in a fresh clone, and the machine may be busy
def test_packages_and_clients_pass_mypy(packages: Path, clients: Path, tmp_path: Path) -> None:
    """`mypy --strict` reports no error in expected packages, client projects and their READMEs.

    `make check` runs pyright on the expected packages.
    """
    for folder in (packages, clients):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    options = ("--strict", "--explicit-package-bases", "--cache-dir", str(MYPY_CACHE))
    assert run(tmp_path, "mypy", *options, ".") == ""


def test_packages_pass_ruff(packages: Path) -> None:
    """`ruff` with all rules of the project reports no error in any expected package."""
    config = TESTS.parent / "generated" / ".ruff.toml"
    assert run(packages, "ruff", "check", "--no-cache", "--config", str(config), ".") == ""
    assert run(packages, "ruff", "format", "--no-cache", "--config", str(config), "--check") == ""


def test_nullable_alias_with_quoted_types_passes_ruff(tmp_path: Path) -> None:
    """A schema of any type that refers to itself becomes `Union[..., None]`."""
    tree = {"properties": {"top": {"$ref": "#/$defs/tree"}}}
    command = {"description": "Grow.", "payload": {"$ref": "#/$defs/tree"}}
    head = {"service": "trees", "version": "1.0.0", "description": "Trees."}
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees/service.json").write_text(
        json.dumps({**head, "commands": {"grow": command}, "$defs": {"tree": tree}})
    )
    files = package_files(read_contracts([tmp_path / "trees"]))
    assert '"Tree", Union["TreeObject", ' in files["trees/models.py"]
    (tmp_path / "models.py").write_text(files["trees/models.py"])
    config = TESTS.parent / "generated" / ".ruff.toml"
    checks = ("ruff", "check", "--no-cache", "--config", str(config), "--ignore", "INP001")
    assert run(tmp_path, *checks, "models.py") == ""


@pytest.mark.slow
def test_packages_can_be_imported(packages: Path) -> None:
    """All packages and their app modules import without errors or warnings."""
    folders = [path for path in packages.iterdir() if (path / "__init__.py").exists()]
    names = [f"{path.name}.app" if (path / "app.py").exists() else path.name for path in folders]
    program = "; ".join(f"import {name}" for name in sorted(names))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=packages,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


if __name__ == "__main__":
    for folder in sorted(GOLDEN.iterdir()):
        shutil.rmtree(folder / "expected", ignore_errors=True)
        generate([folder / "contract"], folder / "expected")
