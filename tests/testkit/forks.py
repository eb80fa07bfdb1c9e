"""Child processes forked from one that has imported the library, so that they start at once.

For a test that needs a process of its own, but not a new interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from testkit.waiting import LIMIT, eventually

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["weenats", "weenats.testing", "opentelemetry.sdk.trace.export"])
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
    process = CONTEXT.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            yield Fork(process, ours)
    finally:
        process.terminate()
        process.join(_GRACE)
        if process.exitcode is None:
            process.kill()
            process.join(LIMIT)
        process.close()


def run_program(pipe: Connection, program: str, *arguments: Any) -> None:
    """Run a program, which has its `arguments` and may `send` objects.

    Args:
        pipe: the connection on which it sends.
        program: its text.
        arguments: what it works with.
    """
    names = {"__name__": "__main__", "arguments": arguments, "send": pipe.send}
    exec(program, names)  # noqa: S102 - it stands in the test
