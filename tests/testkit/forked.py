"""Forks of a process that has imported what they need, among them commands of `weenats`.

A fork starts in milliseconds, a new interpreter in most of a second. Each fork has its own session,
working directory, environment and streams, and the signal handlers of a new interpreter; nothing
that it changes outlives it. What depends on the interpreter itself (locale, closed streams, missing
modules, import time) is tested with real processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

from weenats_codegen.cli.main import main

_GRACE: Final = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_COMMANDS: Final = ("call", "check", "demo", "explain", "health", "permissions", "run", "services")
_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("pytest", "receipts.app", "rich.live", "rich.syntax", "rich.table"),
        *("weenats_codegen.cli.app", "weenats_codegen.cli.top"),
        *(f"weenats_codegen.cli.{command}" for command in _COMMANDS),
    ]
)


@contextmanager
def forked(
    target: Callable[..., object],
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str] = os.environ,
    stdout: Path | Connection,
    stderr: Path | None = None,
) -> Iterator[BaseProcess]:
    """Call a function in a fork; on leaving it is terminated, or killed after a while.

    Args:
        target: the function, of a module that can be imported.
        arguments: of the function; they are pickled.
        cwd: the working directory.
        environment: all environment variables; by default those of this process.
        stdout: the file or the pipe for what it prints.
        stderr: the file for standard error; by default it goes where standard output goes.
    """
    streams = (stdout, stderr)
    process = _CONTEXT.Process(
        target=_call, args=(target, arguments, cwd, dict(environment), streams)
    )
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(_GRACE)
        process.kill()
        process.join()


def _call(
    target: Callable[..., object],
    arguments: tuple[object, ...],
    cwd: Path,
    environment: Mapping[str, str],
    streams: tuple[Path | Connection, Path | None],
) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    stdout, stderr = streams
    _redirect(1, stdout)
    _redirect(2, stderr or stdout)
    if isinstance(stdout, Connection):
        stdout.close()
    # The streams of the server remember that their file could, or could not, seek.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.exit(target(*arguments))


def _redirect(stream: int, to: Path | Connection) -> None:
    if isinstance(to, Connection):
        os.dup2(to.fileno(), stream)
    else:
        with to.open("ab") as file:
            os.dup2(file.fileno(), stream)


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
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    with TemporaryDirectory(prefix="weenats-log-") as folder, ours, theirs:
        log = Path(folder) / "stderr.txt"
        log.touch()
        target = forked(
            _weenats,
            *arguments,
            cwd=cwd,
            environment=environment,
            stdout=theirs,
            stderr=None if merge else log,
        )
        with target as process, open(ours.fileno(), encoding="utf-8", closefd=False) as stdout:
            theirs.close()
            yield ForkedCommand(process, stdout, log)


def _weenats(*arguments: str) -> int:
    sys.argv = ["weenats", *arguments]
    return main()
