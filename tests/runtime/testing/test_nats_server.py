"""The NATS server for tests: start, kill, pause, restart and cleanup."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from testkit.processes import child_process
from testkit.transports import connected
from testkit.waiting import LIMIT, eventually, settle, wait_for
from weenats import PermissionDeniedError
from weenats.testing import NatsServer, NatsServerError, nats_server


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which servers create their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def is_running(process_id: int) -> bool:
    """Return whether the process exists."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_server_cleans_up(temporary_folder: Path) -> None:
    """Process and folder are gone after stop()."""
    server = NatsServer()
    with server, NatsServer() as other:
        assert server.start() is server
        assert server.port != other.port
        process_id = server.process_id
        assert is_running(process_id)
        assert len(list(temporary_folder.iterdir())) == 2
        assert "Server is ready" in server.log()
    assert not is_running(process_id)
    assert list(temporary_folder.iterdir()) == []
    server.stop()
    assert server.log() == ""
    with pytest.raises(NatsServerError, match="is not running"):
        _ = server.process_id


def test_port_that_is_taken_meanwhile(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server starts on another port, and is not mistaken for the one that has the first."""
    taken, free_ports = iter([[own_nats_server.port]]), nats_server.free_ports
    monkeypatch.setattr(nats_server, "free_ports", lambda count: next(taken, free_ports(count)))
    with NatsServer() as server:
        assert server.port != own_nats_server.port


async def test_killed_server_restarts_on_its_port(own_nats_server: NatsServer) -> None:
    """After start() the same address answers, with the stored data."""
    url, process_id = own_nats_server.url, own_nats_server.process_id
    async with connected(url) as transport:
        reply = await transport.request_many(
            "$JS.API.STREAM.CREATE.KEPT",
            b'{"name":"KEPT","subjects":["kept"]}',
            timeout=LIMIT,
            quiet=0.1,
        )
        assert b"error" not in reply[0].payload
    own_nats_server.kill()
    own_nats_server.kill()
    assert not is_running(process_id)
    own_nats_server.start()
    assert own_nats_server.url == url
    async with connected(url) as transport:
        (names,) = await transport.request_many(
            "$JS.API.STREAM.NAMES", b"", timeout=LIMIT, quiet=0.1
        )
        assert b"KEPT" in names.payload


async def test_paused_server_does_not_answer(own_nats_server: NatsServer) -> None:
    """A fence waits while the server is paused, and completes when it resumes."""
    async with connected(own_nats_server.url) as transport:
        await transport.fence()
        own_nats_server.pause()
        fence = asyncio.create_task(transport.fence())
        await settle()
        assert not fence.done()
        own_nats_server.resume()
        await fence


def test_stop_works_in_every_state(temporary_folder: Path) -> None:
    """stop() ends a paused server or one in lame duck mode, and ignores a dead one."""
    for trouble in (NatsServer.pause, NatsServer.lame_duck, NatsServer.kill):
        with NatsServer() as server:
            trouble(server)
        assert not server.is_running
        assert list(temporary_folder.iterdir()) == []
        with pytest.raises(NatsServerError, match="is not running"):
            server.pause()


ORPHAN = """
import signal, sys
from weenats.testing import NatsServer
with NatsServer() as server:
    print(server.port, flush=True)
    signal.pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_server_ends_with_a_process_that_is_killed(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Neither the server nor its store outlives whoever cannot stop it any more."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", ORPHAN]
    with child_process(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        process.send_signal(number)
        process.wait(LIMIT)

    def has_ended() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), LIMIT).close()
        except OSError:
            return not any(tmp_path.iterdir())
        return False

    await eventually(has_ended)


def test_crashed_server_is_not_running(own_nats_server: NatsServer) -> None:
    """Signals to a server that crashed raise the documented error."""
    os.kill(own_nats_server.process_id, signal.SIGKILL)
    wait_for(lambda: not own_nats_server.is_running)
    for send in (NatsServer.pause, NatsServer.resume, NatsServer.lame_duck):
        with pytest.raises(NatsServerError, match="is not running"):
            send(own_nats_server)


async def test_server_uses_the_given_configuration() -> None:
    """The server runs with the given configuration text."""
    config = (
        'authorization { users = [{user: "me", password: "right", permissions: {publish: "a"}}] }'
    )
    with NatsServer(config=config) as server:
        with pytest.raises(PermissionDeniedError):
            async with connected(server.url):
                pass
        async with connected(server.url.replace("//", "//me:right@")) as transport:
            await transport.fence()


@pytest.mark.parametrize("config", ["no { config", "port: nowhere"])
def test_failed_start_reports_the_reason(temporary_folder: Path, config: str) -> None:
    """The error has the server's message; no process and no folder is left."""
    server = NatsServer(config=config)
    with pytest.raises(NatsServerError, match=r"did not start on port \d+:\nnats-server: ."):
        server.start()
    assert list(temporary_folder.iterdir()) == []
    with pytest.raises(NatsServerError, match="is not running"):
        _ = server.process_id


def test_missing_server_binary_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PATH is searched without the extra; else the error names the extra to install."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    binary = nats_server._binary()
    monkeypatch.setattr(nats_server, "distribution", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NatsServerError, match=r"weenats\[server\]"):
        NatsServer()
    (tmp_path / "nats-server").symlink_to(binary)
    with NatsServer() as server:
        assert server.port


def test_free_ports_are_not_given_to_others() -> None:
    """Ports are different, and below those that the system gives away by itself."""
    ports = nats_server.free_ports(50)
    assert len(set(ports)) == 50
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert probe.getsockname()[1] > max(ports)
