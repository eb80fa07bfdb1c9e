"""Commands of `weenats` in forks, which start in milliseconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from testkit.forks import CONTEXT, forked
from weenats_codegen.cli.main import main


class ForkedCommand:
    """A running command, with what tests need of `subprocess.Popen`.

    Attributes:
        stdout: what it prints.
    """

    def __init__(self, process: BaseProcess, stdout: TextIO, log: Path) -> None:
        self._process = process
        self.stdout = stdout
        self._log = log

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, -N after signal N, None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end; return what it printed since, and all of its standard error."""
        printed = self.stdout.read()
        self._process.join(timeout)
        assert self.returncode is not None, f"runs {timeout} s after it closed its output"
        return printed, self._log.read_text()


@contextmanager
def forked_command(
    *arguments: str, cwd: Path, environment: Mapping[str, str] = os.environ, merge: bool = False
) -> Iterator[ForkedCommand]:
    """Run `weenats` in a fork.

    Args:
        arguments: of the command line.
        cwd: the working directory.
        environment: all environment variables; by default those of this process.
        merge: whether standard error goes to standard output.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with TemporaryDirectory(prefix="weenats-log-") as folder, ours, theirs:
        log = Path(folder) / "stderr.txt"
        log.touch()
        target = forked(
            run_weenats,
            *arguments,
            cwd=cwd,
            environment=environment,
            stdout=theirs,
            stderr=None if merge else log,
        )
        with target as process, open(ours.fileno(), encoding="utf-8", closefd=False) as stdout:
            theirs.close()
            yield ForkedCommand(process, stdout, log)


def run_weenats(*arguments: str) -> int:
    """Run `weenats` in this process, for `forked`."""
    sys.argv = ["weenats", *arguments]
    return main()
