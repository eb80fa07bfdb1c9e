"""NatsServer: start, kill, restart, pause, lame duck mode and stop."""

from __future__ import annotations

import asyncio
import os
import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from testkit.transports import connected
from testkit.waiting import LIMIT, settle
from weenats import PermissionDeniedError
from weenats.testing import NatsServer, NatsServerError, nats_server


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for the temporary directories of servers."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def is_running(process_id: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_leaves_nothing_behind(temporary: Path) -> None:
    """Process and directory exist while the server runs, and not after `stop`."""
    server = NatsServer()
    with server, NatsServer() as other:
        assert server.start() is server
        assert server.port != other.port
        process_id = server.process_id
        assert is_running(process_id)
        assert len(list(temporary.iterdir())) == 2
        assert "Server is ready" in server.log()
    assert not is_running(process_id)
    assert list(temporary.iterdir()) == []
    server.stop()
    assert server.log() == ""
    with pytest.raises(NatsServerError, match="is not running"):
        _ = server.process_id


async def test_a_killed_server_comes_back_on_its_port(own_nats_server: NatsServer) -> None:
    """After `kill` and `start` the server has the same port and its data."""
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


async def test_a_paused_server_says_nothing_until_it_goes_on(own_nats_server: NatsServer) -> None:
    """A fence waits while the server is paused, and ends after `resume`."""
    async with connected(own_nats_server.url) as transport:
        await transport.fence()
        own_nats_server.pause()
        process_id, stopped = own_nats_server.process_id, os.WSTOPPED | os.WNOWAIT
        await asyncio.to_thread(os.waitid, os.P_PID, process_id, stopped)
        fence = asyncio.create_task(transport.fence())
        await settle()
        assert not fence.done()
        own_nats_server.resume()
        await fence


def test_stop_ends_a_server_in_whatever_state_it_is(temporary: Path) -> None:
    """`stop` ends a server that is paused, in lame duck mode, or dead."""
    for trouble in (NatsServer.pause, NatsServer.lame_duck, NatsServer.kill):
        with NatsServer() as server:
            trouble(server)
        assert not server.is_running
        assert list(temporary.iterdir()) == []
        with pytest.raises(NatsServerError, match="is not running"):
            server.pause()


async def test_its_configuration_holds() -> None:
    """The server uses the given configuration."""
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
def test_a_server_that_does_not_start_says_why(temporary: Path, config: str) -> None:
    """The error has the log of the server; no process or directory is left."""
    server = NatsServer(config=config)
    with pytest.raises(NatsServerError, match=r"did not start on port \d+:\nnats-server: ."):
        server.start()
    assert list(temporary.iterdir()) == []
    with pytest.raises(NatsServerError, match="is not running"):
        _ = server.process_id


def test_without_a_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The binary on the PATH is used without the extra; without both, the error has a hint."""

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
