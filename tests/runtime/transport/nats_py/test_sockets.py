"""Why a TLS connection ended, where asyncio does not say it."""

from __future__ import annotations

import asyncio
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from weenats.transport.nats_py.sockets import GreetedTcp


async def test_refusal_that_the_reader_knows_is_raised() -> None:
    """Asyncio tells a writer only that the connection was lost, and a reader why."""
    refusal = ssl.SSLError("tlsv13 alert certificate required")

    async def drain() -> None:
        raise ConnectionResetError("Connection lost")

    transport: Any = GreetedTcp()
    transport._io_writer = SimpleNamespace(drain=drain)
    transport._io_reader = asyncio.StreamReader()
    with pytest.raises(ConnectionResetError):
        await transport.drain()
    transport._io_reader.set_exception(refusal)
    with pytest.raises(ssl.SSLError) as raised:
        await transport.drain()
    assert raised.value is refusal


async def test_end_with_the_handshake_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncio returns None for a connection that ended while its handshake succeeded."""

    async def start_tls(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", start_tls)
    transport: Any = GreetedTcp()
    transport._io_writer = SimpleNamespace(transport=None)
    with pytest.raises(OSError, match="ended the connection during the TLS handshake"):
        await transport.connect_tls("localhost", ssl.create_default_context(), 1, 60)
