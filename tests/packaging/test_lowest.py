"""Constraints of `make lowest`: every requirement at its lowest allowed version."""

import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCRIPT = Path(__file__).with_name("lowest.py")


def run_script(pyproject: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with this pyproject.toml."""
    command = [sys.executable, SCRIPT, pyproject]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def requirements(repository: Path) -> list[Requirement]:
    """Return the requirements of the project as `packaging` parses them."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return [each for each in map(Requirement, texts) if each.name != project["name"]]


def test_requirements_are_pinned_to_their_lower_bounds(repository: Path) -> None:
    """Every requirement has a constraint, which is its lower bound."""
    done = run_script(repository / "pyproject.toml")
    assert done.returncode == 0, done.stderr
    held = [Requirement(line) for line in done.stdout.splitlines()]
    lowest = {canonicalize_name(each.name): each for each in held}
    assert len(lowest) == len(held)
    required = requirements(repository)
    assert {canonicalize_name(each.name) for each in required} == set(lowest)
    for each in required:
        (pinned,) = lowest[canonicalize_name(each.name)].specifier
        lower_bounds = [s.version for s in each.specifier if s.operator in {">=", "==", "~="}]
        assert pinned.operator == "=="
        assert lower_bounds == [pinned.version], f"{each} is not held at its lower bound"
        assert each.specifier.contains(pinned.version)


@pytest.mark.parametrize("unbounded", ["nats-py", "nats-py<3", "nats-py>2", "nats-py @ https://x"])
def test_requirement_without_lower_bound_is_rejected(unbounded: str, tmp_path: Path) -> None:
    """Without an inclusive lower bound there is no lowest version."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(
        f'[project]\nname = "p"\ndependencies = ["{unbounded}"]\n[project.optional-dependencies]\n'
    )
    done = run_script(pyproject)
    assert done.returncode == 1
    assert done.stderr.endswith(f"ValueError: {unbounded} has no lower bound\n")
    assert not done.stdout
