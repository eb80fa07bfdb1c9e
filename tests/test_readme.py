"""The README is a test: its Python runs, its commands exist, its tables are true."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from testkit.processes import child_process, python_environment
from weenats.errors import CLASS_OF_CODE
from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.source import load

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python" and "def test_" not in text]
TESTS = [text for kind, text in BLOCKS if kind == "python" and "def test_" in text]
EXCERPTS = [text for kind, text in BLOCKS if kind == "py"]
CONTRACTS = [text for kind, text in BLOCKS if kind == "yaml"]
COMMANDS = [
    line.removeprefix("$ ")
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
    if line.startswith("$ ")
]


def test_every_block_is_of_a_kind_that_is_held() -> None:
    """What is code is run or looked up by a test of this file; plain fences are drawings."""
    assert {kind for kind, _ in BLOCKS} <= {"python", "py", "yaml", "console", "ini", "json", ""}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_python_block_runs(program: str, tmp_path: Path) -> None:
    """A block marked as python is a program that runs as it stands."""
    script = tmp_path / "block.py"
    script.write_text(program)
    result = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=python_environment(),
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("test", TESTS)
def test_every_test_passes(test: str, tmp_path: Path, repository: Path) -> None:
    """A block that holds a test passes, with the settings that the README gives."""
    (ini,) = (text for kind, text in BLOCKS if kind == "ini")
    (tmp_path / "pytest.ini").write_text(ini)
    (tmp_path / "test_receipts.py").write_text(test)
    (tmp_path / "generated").symlink_to(repository / "generated")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=60,
        env=python_environment(),
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_every_excerpt_is_one(excerpt: str, repository: Path) -> None:
    """A block marked as py is a part of the sample, as it stands there."""
    files = (repository / "generated" / "receipts").glob("*.py")
    assert any(excerpt in file.read_text() for file in files)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_piece_of_a_contract_is_one(
    contract: str, receipts_contract: Path, tmp_path: Path
) -> None:
    """Put into the sample's contract, it makes a valid one."""
    folder = Path(shutil.copytree(receipts_contract, tmp_path / "receipts"))
    service = folder / "service.yaml"
    whole = merged(yaml.safe_load(service.read_text()), yaml.safe_load(contract))
    service.write_text(yaml.safe_dump(whole))
    assert lint(load(folder)) == []


def merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the members of another put into it."""
    both = {**whole, **part}
    for name in whole.keys() & part.keys():
        if isinstance(whole[name], dict) and isinstance(part[name], dict):
            both[name] = merged(whole[name], part[name])
    return both


def test_every_command_works(tmp_path: Path, repository: Path) -> None:
    """The commands of the README, one after another in an empty folder, do what it says."""
    with ExitStack() as stack:
        where = python_environment()
        for command in COMMANDS:
            words = shlex.split(command, comments=True)
            match words[0]:
                case "pip":
                    check_extras(words, repository)
                case "make":
                    assert not call(["make", "--dry-run", *words[1:]], repository, where)[0]
                case "export":
                    assert words[1].startswith("NATS_URL="), command
                case "weenats" if words[1] == "run":
                    where["NATS_URL"] = stack.enter_context(served(words, tmp_path, where))
                case "weenats":
                    status, output = call(
                        [sys.executable, "-m", "weenats_codegen", *words[1:]], tmp_path, where
                    )
                    assert status == 0, (command, output)
                case _:
                    pytest.fail(f"nobody runs {command}")
            if words[:2] == ["weenats", "generate"]:  # and its reader fills in the stub
                sample = repository / "generated" / "receipts"
                for name in ("handlers.py", "app.py"):
                    shutil.copy(sample / name, tmp_path / "generated" / "receipts" / name)


def call(words: list[str], folder: Path, where: dict[str, str]) -> tuple[int, str]:
    """Run a command; return its exit status and what it wrote."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def check_extras(words: list[str], repository: Path) -> None:
    """Check that the extras that are installed are there."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"weenats\[(.*?)\]", " ".join(words)):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()


@contextmanager
def served(words: list[str], folder: Path, where: dict[str, str]) -> Iterator[str]:
    """Run a service as long as the commands go on; give the address that it printed."""
    command = [sys.executable, "-m", "weenats_codegen", *words[1:]]
    with child_process(command, cwd=folder, env=where, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = re.search(r"nats://[\d.:]+", process.stdout.readline())
        assert address is not None
        yield address[0]
    assert process.returncode == 0


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
        env=python_environment(),
        cwd=repository,
        check=True,
    )
    verbs = set(
        re.findall(r"^\s+([a-z]+)\s{2,}[A-Z]", result.stdout.split("Commands:")[1], re.MULTILINE)
    )
    assert verbs == set(re.findall(r"^\| `weenats (\w+)", README, re.MULTILINE))
