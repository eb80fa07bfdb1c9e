"""Opening a socket when addresses of the host hang, fail or take long to find."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from testkit.waiting import LIMIT
from weenats._internal import happy_eyeballs
from weenats.auth import open_socket as module
from weenats.auth.open_socket import open_socket

REAL = socket.getaddrinfo


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def full() -> Iterator[socket.socket]:
    """A socket that listens, but whose queue is full: it answers no further attempts."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(6)]
        for client in clients:
            client.settimeout(0)
            assert client.connect_ex(server.getsockname()) in {0, errno.EINPROGRESS}
        yield server
        for client in clients:
            client.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses, which are tried in this order."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    found = [(*kind, address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(module.random, "sample", lambda given, _: list(given))  # type: ignore[attr-defined]


def closed_port() -> tuple[str, int]:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address: tuple[str, int] = server.getsockname()
    return address


def test_address_that_hangs_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket, full: socket.socket
) -> None:
    """The next address is tried beside one that does not answer."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.01)
    resolve_to(monkeypatch, full.getsockname(), full.getsockname(), listener.getsockname())
    with open_socket(("issuer.example", 1), LIMIT) as opened:
        assert opened.getpeername() == listener.getsockname()
        assert opened.gettimeout() == LIMIT


def test_refused_address_is_passed_by_at_once(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """After a refusal the next address is tried without a delay."""
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 10 * LIMIT)
    resolve_to(monkeypatch, closed_port(), ("255.255.255.255", 1), listener.getsockname())
    with open_socket(("issuer.example", 1), LIMIT) as opened:
        assert opened.getpeername() == listener.getsockname()


def test_all_addresses_fail(monkeypatch: pytest.MonkeyPatch, full: socket.socket) -> None:
    """The error is that of the last address, or a timeout."""
    resolve_to(monkeypatch, closed_port())
    with pytest.raises(ConnectionRefusedError):
        open_socket(("issuer.example", 1), LIMIT)
    resolve_to(monkeypatch, full.getsockname(), full.getsockname())
    with pytest.raises(TimeoutError):
        open_socket(("issuer.example", 1), 0.05)
    resolve_to(monkeypatch)
    with pytest.raises(TimeoutError):
        open_socket(("issuer.example", 1), LIMIT)


def test_missing_address_family_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """An address of a family that the machine does not have is skipped."""
    kind = (socket.SOCK_STREAM, 6, "")
    found: list[Any] = [(-1, *kind, ("::1", 1)), (socket.AF_INET, *kind, listener.getsockname())]
    resolve_to(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with open_socket(("issuer.example", 1), LIMIT) as opened:
        assert opened.getpeername() == listener.getsockname()
