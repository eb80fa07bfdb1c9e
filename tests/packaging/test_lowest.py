"""The constraints of `make lowest`: all requirements, each at the lowest version that it allows."""

import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCRIPT = Path(__file__).with_name("lowest.py")


def printed(pyproject: Path) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = [sys.executable, SCRIPT, pyproject]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def requirements(repository: Path) -> list[Requirement]:
    """Return what the project requires of others, as packaging reads it."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    return [each for each in map(Requirement, texts) if each.name != project["name"]]


def test_each_requirement_is_held_at_the_lowest_that_it_allows(repository: Path) -> None:
    """The constraint is a bound of the requirement, is allowed, and none is missing."""
    done = printed(repository / "pyproject.toml")
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
def test_a_requirement_without_a_lower_bound_is_refused(unbounded: str, tmp_path: Path) -> None:
    """Nobody can say what the lowest version of it is."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(
        f'[project]\nname = "p"\ndependencies = ["{unbounded}"]\n[project.optional-dependencies]\n'
    )
    done = printed(pyproject)
    assert done.returncode == 1
    assert done.stderr.endswith(f"ValueError: {unbounded} has no lower bound\n")
    assert not done.stdout
