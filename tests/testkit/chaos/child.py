"""A process of a run: start it, send it commands, stop or kill it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, Self

from testkit.chaos.settings import ProcessSettings
from testkit.processes import without_coverage
from weenats.testing.processes import suspend

_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 60.0


class ChildError(Exception):
    """A process does not answer or does not end."""


class Child:
    """A script of this folder in a process of its own, which logs to a file.

    Args:
        script: its name.
        settings: its only argument.
        log: the file of its standard error.
    """

    def __init__(self, script: str, settings: ProcessSettings, log: Path) -> None:
        self.name = settings.name
        self.log = log
        self._command = (sys.executable, "-W", "default", str(_HERE / script), settings.argument())
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start the process and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=without_coverage(PYTHONPATH=os.pathsep.join(sys.path)),
                start_new_session=True,
            )
        await self._answer()
        return self

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._running.pid

    async def ask(self, order: str, patience: float = _PATIENCE) -> dict[str, Any]:
        """Send a command and return the answer.

        Raises:
            ChildError: none comes.
        """
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(f"{order}\n".encode())
        return await self._answer(patience)

    async def kill(self) -> None:
        """Kill the process."""
        self._signal(signal.SIGKILL)
        await self._running.wait()

    async def stop(self) -> int:
        """Terminate the process, and return its exit code.

        Raises:
            ChildError: it does not end.
        """
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._running.wait()
        except TimeoutError:
            raise ChildError(f"{self.name} does not end within {_PATIENCE:.0f} s") from None

    def pause(self) -> None:
        """Pause the process."""
        if self._running.returncode is None:
            suspend(self._running.pid)

    def resume(self) -> None:
        """Resume the process."""
        self._signal(signal.SIGCONT)

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ChildError(f"{self.name} was not started")
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        if self._running.returncode is None:
            self._running.send_signal(number)

    async def _answer(self, patience: float = _PATIENCE) -> dict[str, Any]:
        stdout = self._running.stdout
        assert stdout is not None
        try:
            async with asyncio.timeout(patience):
                line = await stdout.readline()
        except TimeoutError:
            raise ChildError(f"{self.name} does not answer within {patience:.0f} s") from None
        if not line:
            raise ChildError(f"{self.name} ended by itself; see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer
