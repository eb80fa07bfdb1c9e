"""nats-py's client, as far as its faults are kept from callers and logs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import Error

from weenats.transport.nats_py.client import SteadyClient
from weenats.transport.nats_py.dial import Candidate, Dialer
from weenats.transport.nats_py.errors import text_of
from weenats.transport.nats_py.sockets import GreetedTcp
from weenats.transport.servers import Server, check_servers


async def test_attempts_to_reconnect_may_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that ends after another one has ended does not fail."""
    client = SteadyClient(None)
    ended: list[asyncio.Future[bool]] = [asyncio.get_running_loop().create_future()]

    async def attempt(_: Client) -> None:
        ended[0].set_result(True)

    monkeypatch.setattr(Client, "_attempt_reconnect", attempt)
    await asyncio.gather(client._attempt_reconnect(), client._attempt_reconnect())
    assert ended[0].result()


async def test_reconnecting_goes_on_after_an_unexpected_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody thought of is logged, and does not end reconnecting for good."""
    client = SteadyClient(None)
    client.options["reconnect_time_wait"] = 0.0
    attempts = 0

    async def attempt(_: Client) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise AttributeError("reason")

    monkeypatch.setattr(Client, "_attempt_reconnect", attempt)
    await client._attempt_reconnect()
    assert attempts == 3
    assert caplog.text.count("unexpected error while reconnecting") == 2


async def test_what_a_server_says_is_escaped(caplog: pytest.LogCaptureFixture) -> None:
    """Its errors reach logs and callers without control characters, which a terminal would obey."""
    await SteadyClient(None)._process_err("'permissions violation' \x1b[31m")
    assert "\x1b" not in caplog.text
    assert "\\u001b[31m" in caplog.text
    assert text_of(Error("nats: '\x1b[31m'")) == "'\\u001b[31m'"


async def test_many_announced_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are remembered, and few of the others looked at: the event loop would be held."""
    client = SteadyClient(None)
    client.options["tls_handshake_first"] = False
    given = Candidate(check_servers("here")[0].url)
    client._server_pool, client._current_server = [given], given
    looked_at: list[str] = []
    announced = Server.announced

    def look(server: Server, address: str, **options: Any) -> Server | None:
        looked_at.append(address)
        return announced(server, address, **options)

    monkeypatch.setattr(Server, "announced", look)
    client._learn_servers([f"host-{n}:4222" for n in range(50_000)], trusts_names=True)
    assert len(client._server_pool) == 100
    assert len(looked_at) <= 1000


async def test_lost_server_is_tried_before_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lost server comes after three others, however many the cluster has announced."""
    client = SteadyClient(None)
    servers = [Candidate(each.url) for each in check_servers([f"host-{n}" for n in range(9)])]
    client._server_pool, client._current_server = list(servers), servers[0]
    options = {"connect_timeout": 1.0, "reconnect_time_wait": 0.0, "tls_handshake_first": False}
    client.options.update(options)
    tried: list[Candidate] = []

    async def first(_: Dialer, candidates: list[Candidate], __: Any) -> tuple[Candidate, Any]:
        tried.extend(candidates)
        return candidates[0], GreetedTcp()

    monkeypatch.setattr(Dialer, "first_to_greet", first)
    await client._select_next_server()
    assert tried.index(servers[0]) == 3
    assert len(tried) == len(servers)
