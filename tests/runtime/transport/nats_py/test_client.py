"""nats-py's client, as far as its faults are kept from callers and logs."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client

from weenats.transport.nats_py.client import SteadyClient


async def test_attempts_to_reconnect_may_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that ends after another one has ended does not fail."""
    client = SteadyClient(None)
    ended: list[asyncio.Future[bool]] = [asyncio.get_running_loop().create_future()]

    async def attempt(_: Client) -> None:
        ended[0].set_result(True)

    monkeypatch.setattr(Client, "_attempt_reconnect", attempt)
    await asyncio.gather(client._attempt_reconnect(), client._attempt_reconnect())
    assert ended[0].result()
