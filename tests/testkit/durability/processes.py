"""Processes of a run: forks that report, and that are killed and started again."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, Final

from testkit.forks import Fork, fork
from weenats import ConnectionOptions

CONNECTION: Final = ConnectionOptions(connect_timeout=2, reconnect_wait=0.1, ping_interval=1.0)
"""Connection options that notice a dead peer soon."""
_POLL: Final = 0.02
Target = Callable[..., None]


class RunError(Exception):
    """A process ended by itself, or does not do what it has to."""


class Slot:
    """The place of one process, which is killed and started again.

    Args:
        name: of the process.
        target: what it runs: a function of its pipe, its name with the number of the start, and
            the arguments.
        arguments: the other arguments.
    """

    def __init__(self, name: str, target: Target, *arguments: Any) -> None:
        self.name = name
        self.kills = 0
        self.killed: dict[str, float] = {}
        self._target = target
        self._arguments = arguments
        self._stack = ExitStack()
        self._fork: Fork | None = None
        self._starts = 0

    @property
    def life(self) -> str:
        """The name of the process that runs now."""
        return f"{self.name}.{self._starts}"

    def start(self) -> None:
        """Start the process."""
        self._starts += 1
        self._fork = self._stack.enter_context(fork(self._target, self.life, *self._arguments))

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        assert self._fork is not None
        self._fork.signal(signal.SIGKILL)
        self.killed[self.life] = monotonic()
        self.kills += 1
        self.end()

    def end(self) -> None:
        """End the process if it is running."""
        self._stack.close()
        self._fork = None

    def send(self, what: Any) -> None:
        """Send something to the process."""
        assert self._fork is not None
        self._fork.pipe.send(what)

    async def next(self, patience: float) -> Any:
        """Return what the process sends next.

        Raises:
            RunError: it has ended, or sends nothing in time.
        """
        end = monotonic() + patience
        while monotonic() < end:
            for what in self.news():
                return what
            await asyncio.sleep(_POLL)
        raise RunError(f"{self.life} says nothing for {patience:.0f} s")

    def news(self) -> list[Any]:
        """Return what the process has sent, at most one object.

        Raises:
            RunError: it has ended.
        """
        assert self._fork is not None
        try:
            return [self._fork.pipe.recv()] if self._fork.pipe.poll() else []
        except (EOFError, OSError):
            raise RunError(f"{self.life} ended by itself") from None


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def stop_order(pipe: Connection, report: Callable[[], Any]) -> None:
    """Report to the run until it sends something, or has ended."""
    while not pipe.poll():
        pipe.send(report())
        await asyncio.sleep(0.1)
    pipe.recv()


async def parent_ended(pipe: Connection) -> None:
    """Wait until the run sends something, or has ended."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pipe.fileno(), readable.set)
    await readable.wait()
    loop.remove_reader(pipe.fileno())


def log_to(folder: Path, life: str) -> None:
    """Write warnings of a process to a file of its own."""
    logging.basicConfig(
        filename=folder / f"{life}.log",
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
