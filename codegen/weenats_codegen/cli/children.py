"""Child processes that serve for a command: how they start, report that they serve, and end."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from weenats.testing import NatsServer

SERVE: Final = "import sys; from weenats_codegen.cli.children import serve; serve(sys.argv[1:])"
"""The program of a child."""
_KILL: Final[int] = getattr(signal, "SIGKILL", signal.SIGTERM)
MAX_TERMINATIONS: Final = 2
"""A service ends its drain at the second SIGTERM; after that it is killed."""


@contextmanager
def child_environment(servers: Sequence[str], *, embedded: bool) -> Generator[dict[str, str]]:
    """Return the environment of child processes, with their servers in NATS_URL.

    Args:
        servers: The servers, none for those of the environment or the builder.
        embedded: Whether to start a nats-server instead, for as long as this is entered.
    """
    if embedded:
        with NatsServer() as server:
            yield {**os.environ, "NATS_URL": server.url}
    elif servers:
        yield {**os.environ, "NATS_URL": ",".join(servers)}  # all users can see arguments
    else:
        yield {**os.environ}


def serve(arguments: Sequence[str]) -> None:
    """Run the command `run` in this process, which ends when its parent has ended.

    Args:
        arguments: The arguments of `run`.
    """
    from weenats_codegen.cli.main import main

    threading.Thread(target=_stop_with_parent, daemon=True).start()
    sys.exit(main(["run", *arguments]))


def _stop_with_parent() -> None:
    os.read(0, 1)  # the parent never writes: this is its end
    os.kill(os.getpid(), signal.SIGTERM)


class Child:
    """A process that serves; it stops when this process ends, however that ends.

    Attributes:
        sent: How many signals it was sent.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.sent = 0

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], *descriptors: int
    ) -> "Child":
        """Start a new interpreter that runs `weenats run`.

        Args:
            arguments: The arguments of `run`.
            environment: All environment variables.
            descriptors: Those that it inherits, besides the standard ones.
        """
        pipe = asyncio.subprocess.PIPE
        return cls(await python(SERVE, arguments, pipe, environment, pass_fds=descriptors))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, -N after signal N, None while it runs."""
        return self._process.returncode

    def signal(self) -> None:
        """Let it drain and stop; at the second time abort its requests, at the third kill it."""
        if self.returncode is None:
            self.sent += 1
            self._send(_KILL if self.sent > MAX_TERMINATIONS else signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._send(_KILL)

    def _send(self, number: int) -> None:
        # The methods of `Process` look whether it has ended, and take its exit code from asyncio.
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        return await self._process.wait()


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; return whether it was set in time.

    Args:
        event: The event.
        seconds: The time limit.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def python(
    program: str,
    arguments: Sequence[str],
    stdin: int,
    environment: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - those of asyncio
) -> asyncio.subprocess.Process:
    """Start Python in a process group of its own: Ctrl-C reaches it once, from here.

    Args:
        program: The text of the program.
        arguments: Its arguments.
        stdin: Its standard input.
        environment: All environment variables; by default those of this process.
        options: Others of `asyncio.create_subprocess_exec`.
    """
    if os.name == "posix":
        options["process_group"] = 0
    command = (sys.executable, "-c", program, *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=stdin, env=environment, **options)
