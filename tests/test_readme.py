"""The README is a test: its Python runs, its commands exist, its tables are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from weenats.errors import CLASS_OF_CODE

README = (Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_python_block_runs(program: str, tmp_path: Path) -> None:
    """A block marked as python is a program that runs as it stands."""
    script = tmp_path / "block.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_table_of_codes_is_the_error_tree() -> None:
    """The README's table of codes says what the code says."""
    rows = re.findall(r"^\| ([A-Z_]+) \| (\d+) \| `(\w+)` \|", README, re.MULTILINE)
    told = {code: (int(number), name) for code, number, name in rows}
    assert told == {code: (error.number, error.__name__) for code, error in CLASS_OF_CODE.items()}


def test_every_verb_of_the_command_line_is_told(repository: Path) -> None:
    """The README's verbs are the command line's."""
    result = subprocess.run(
        [sys.executable, "-m", "weenats_codegen", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=repository,
        check=True,
    )
    verbs = set(
        re.findall(r"^\s+([a-z]+)\s{2,}[A-Z]", result.stdout.split("Commands:")[1], re.MULTILINE)
    )
    assert verbs == set(re.findall(r"^\| `weenats (\w+)", README, re.MULTILINE))


def test_every_room_is_told(repository: Path) -> None:
    """The README's table of rooms has every module of the runtime."""
    table = README.split("The rooms of the runtime")[1].split("**The path of a request.**")[0]
    told = {
        name
        for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    runtime = repository / "runtime" / "weenats"
    there = {
        path.stem
        for path in runtime.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert told == there - {"__init__"}
