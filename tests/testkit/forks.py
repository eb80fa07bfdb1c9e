"""Forks of a process that has imported what they need.

A fork starts in milliseconds, a new interpreter in most of a second. Nothing that it changes
outlives it. What depends on the interpreter itself (locale, closed streams, missing modules, import
time) is tested with real processes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from testkit.waiting import LIMIT, eventually

_COMMANDS: Final = (
    "call",
    "check",
    "demo",
    "diff",
    "docs",
    "explain",
    "generate",
    "health",
    "lint",
    "mock",
    "permissions",
    "processes",
    "run",
    "services",
)
CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("pytest", "receipts.app", "rich.live", "rich.syntax", "rich.table"),
        *("weenats.testing", "opentelemetry.sdk.trace.export"),
        *("weenats_codegen.cli.app", "weenats_codegen.cli.top"),
        *("weenats_codegen.generate", "datamodel_code_generator.parser.jsonschema"),
        *("weenats_codegen.compatibility.compare", "weenats_codegen.docs.page"),
        *(f"weenats_codegen.cli.{command}" for command in _COMMANDS),
    ]
)
_GRACE: Final = 10.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A running child, and what it sends."""

    process: BaseProcess
    pipe: Connection

    async def receive(self) -> Any:
        """Return the next object that the child sends.

        Raises:
            EOFError: the child has ended.
            TimeoutError: it sent nothing within LIMIT seconds.
        """
        await eventually(self.pipe.poll)
        return self.pipe.recv()

    def signal(self, number: int) -> None:
        """Send a signal to the child."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    async def wait(self) -> int | None:
        """Return the exit status of the child once it has ended."""
        await eventually(lambda: self.process.exitcode is not None)
        return self.process.exitcode


@contextmanager
def fork(target: Callable[..., None], *arguments: Any) -> Iterator[Fork]:
    """Run a function in a child; on leaving it is terminated, or killed after a while.

    Args:
        target: a function of a module. Its first argument is the connection on which it sends.
        arguments: the other arguments.
    """
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_frozen, args=(target, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            yield Fork(process, ours)
    finally:
        _end(process)
        process.close()


@contextmanager
def forked(
    target: Callable[..., int | None],
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str] = os.environ,
    stdout: Path | Connection,
    stderr: Path | None = None,
) -> Iterator[BaseProcess]:
    """Call a function in a fork with a session, folder, environment and streams of its own.

    On leaving it is terminated, or killed after a while.

    Args:
        target: the function, of a module that can be imported.
        arguments: of the function; they are pickled.
        cwd: the working directory.
        environment: all environment variables; by default those of this process.
        stdout: the file or the pipe for what it prints.
        stderr: the file for standard error; by default it goes where standard output goes.
    """
    streams = (stdout, stderr)
    process = CONTEXT.Process(
        target=_frozen, args=(_call, target, arguments, cwd, dict(environment), streams)
    )
    process.start()
    try:
        yield process
    finally:
        _end(process)


def _frozen(target: Callable[..., None], *arguments: object) -> None:
    """Call a function, without looking for garbage among imports: that would copy their memory."""
    gc.freeze()
    target(*arguments)


def _call(
    target: Callable[..., int | None],
    arguments: tuple[object, ...],
    cwd: Path,
    environment: Mapping[str, str],
    streams: tuple[Path | Connection, Path | None],
) -> None:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup ignore it
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


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(_GRACE)
    if process.exitcode is None:
        process.kill()
        process.join(LIMIT)


def run_program(pipe: Connection, program: str, *arguments: Any) -> None:
    """Run a program, which has its `arguments` and may `send` objects.

    Args:
        pipe: the connection on which it sends.
        program: its text.
        arguments: what it works with.
    """
    names = {"__name__": "__main__", "arguments": arguments, "send": pipe.send}
    exec(program, names)  # noqa: S102 - it stands in the test
