"""Connecting to the addresses of a host."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from weenats.transport.nats_py import dial
from weenats.transport.nats_py.dial import Candidate, Dialer
from weenats.transport.nats_py.sockets import GreetedTcp
from weenats.transport.servers import check_servers


async def test_zone_of_an_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link-local address is nothing without its zone, which its name has and its text lacks."""
    opened: list[str] = []

    async def resolve(_: str, port: int) -> list[Any]:
        return [(None, None, 0, "", ("fe80::1", port, 0, 999_999))]

    async def open_socket(_: GreetedTcp, host: str, *__: Any) -> None:
        opened.append(host)

    async def fail(error: Exception) -> None:
        raise error

    monkeypatch.setattr(dial, "resolve", resolve)
    monkeypatch.setattr(GreetedTcp, "open", open_socket)
    (server,) = check_servers("nats://gateway.example")
    dialer = Dialer(1.0, 0.0, ssl.create_default_context, tls_first=False)
    assert await dialer.first_to_greet([Candidate(server.url)], fail) is not None
    assert opened == ["fe80::1%999999"]
