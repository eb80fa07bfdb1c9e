"""Console blocks of the documents: commands run, and print what the block shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from shutil import copy, copytree
from subprocess import Popen
from typing import Any

import pytest

from testkit.documents import DOCUMENTS, Document, running
from testkit.forked_commands import ForkedCommand, forked_command
from testkit.paths import REPOSITORY
from testkit.processes import child_process, without_coverage
from testkit.waiting import LIMIT

NOT_RUN = {"git", "cd", "docker", "kubectl", "nats-server", "uvicorn", "gunicorn"}
"""Commands that need a network, or a program of somebody else."""
STARTS_EMPTY = "README.md"
"""The document whose commands begin in an empty folder, in which they generate the sample.

What it serves runs in an interpreter of its own, since forks have the sample of this repository
already. Everything else runs in forks, which are faster.
"""


def with_commands() -> list[Any]:
    """Return the documents that have console blocks, as parameters of a test."""
    return [
        pytest.param(document, id=str(document), marks=running(document))
        for document in DOCUMENTS
        if document.of_kind("console")
    ]


def commands(document: Document) -> Iterator[tuple[str, str]]:
    """Yield each command with the output that is shown below it."""
    for block in document.of_kind("console"):
        first, *rest = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        assert not first, f"{document}:{block.line} does not begin with a command"
        for text in rest:
            command, _, output = text.replace("\\\n", " ").partition("\n")
            yield command, output


@pytest.mark.timeout(300)  # the first document starts many interpreters
@pytest.mark.parametrize("document", with_commands())
def test_commands_run(document: Document, tmp_path: Path, nats_url: str) -> None:
    """The commands of a document, one after another in one folder, succeed."""
    if str(document) != STARTS_EMPTY:
        copytree(REPOSITORY / "schemas", tmp_path / "schemas")
        copytree(REPOSITORY / "generated", tmp_path / "generated")
        for each in document.of_kind("yaml"):
            if each.is_contract:
                file = tmp_path / each.note
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(each.text)
    with ExitStack() as stack:
        shell = Shell(tmp_path, stack, nats_url, forks=str(document) != STARTS_EMPTY)
        for command, output in commands(document):
            shell.run(command, output)


class Shell:
    """Runs commands in a folder; services that they start run until the end of the document."""

    def __init__(self, folder: Path, stack: ExitStack, nats_url: str, *, forks: bool) -> None:
        self._folder = folder
        self._stack = stack
        self._forks = forks
        self._nats_url = nats_url
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COLUMNS": "120",
            "HOME": str(folder),  # `weenats docs --self` writes into the cache
        }

    def run(self, line: str, output: str) -> None:
        """Run a command, and compare what it prints with what the document shows."""
        words = shlex.split(line, comments=True)
        while re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        match words:
            case [program, *_] if program in NOT_RUN:
                pass
            case ["pip", *_]:
                check_package(line)
            case ["make", *targets]:
                self._call(["make", "--dry-run", *targets], REPOSITORY)
            case ["export", variable] if variable.startswith("NATS_URL="):
                pass  # `served` has set it to the port of this run
            case ["weenats", "run" | "mock" as command, *arguments]:
                served_at = served(self._start(command, *arguments))
                self._environment["NATS_URL"] = self._stack.enter_context(served_at)
            case ["weenats", *arguments]:
                printed = self._weenats(*arguments)
                if output:
                    check_output(output, printed)
                if arguments[0] == "generate":
                    self._fill_in_handlers()
            case _:
                pytest.fail(f"no test runs {line}")

    def _fill_in_handlers(self) -> None:
        """Do what the reader does next: write the handlers."""
        for name in ("handlers.py", "app.py"):
            sample = REPOSITORY / "generated" / "receipts" / name
            copy(sample, self._folder / "generated" / "receipts" / name)

    def _start(self, *arguments: str) -> AbstractContextManager[ForkedCommand | Popen[str]]:
        if self._forks:
            return forked_command(*arguments, cwd=self._folder, environment=self._environment)
        return child_process(
            [*WEENATS, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _weenats(self, *arguments: str) -> str:
        if ">" in arguments:
            *arguments, _, file = arguments
            (self._folder / file).write_text(self._weenats(*arguments))
            return ""
        if arguments[0] in {"streams", "dead-letters"}:  # no service has to run for them
            self._environment.setdefault("NATS_URL", self._nats_url)
        with forked_command(
            *arguments, cwd=self._folder, environment=self._environment, merge=True
        ) as process:
            printed, _ = process.communicate(4 * LIMIT)
        assert process.returncode == 0, (arguments, printed)
        return printed

    def _call(self, words: list[str], folder: Path) -> str:
        done = subprocess.run(
            words,
            cwd=folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout)
        return done.stdout


WEENATS = [sys.executable, "-m", "weenats_codegen"]


@contextmanager
def served(start: AbstractContextManager[ForkedCommand | Popen[str]]) -> Iterator[str]:
    """Run `weenats run`; give the address that it printed."""
    with start as process:
        assert process.stdout is not None
        address = re.search(r"nats://[\d.:]+", process.stdout.readline())
        assert address is not None
        yield address[0]
    assert process.returncode == 0


def check_package(command: str) -> None:
    """Check that the extras and the version of weenats that a command installs exist."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"(?:weenats|\.|whl)\[(.*?)\]", command):
        assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    for version in re.findall(r"weenats-(.+?)-py3", command):
        assert version == project["version"]


def check_output(shown: str, printed: str) -> None:
    """Check output; `...` in a document stands for any text, and spaces do not count."""
    flags = ELLIPSIS | NORMALIZE_WHITESPACE
    assert OutputChecker().check_output(shown, printed, flags), printed


@pytest.mark.wheel  # a dry run: it builds the metadata only
def test_first_command_installs() -> None:
    """`pip install` of a clone finds the package and the extra `all`."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
            *("install", "--dry-run", "--no-deps", "--no-build-isolation", ".[all]"),
        ],
        cwd=REPOSITORY,
        env=without_coverage(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Would install weenats" in done.stdout
    assert "does not provide the extra" not in done.stderr
