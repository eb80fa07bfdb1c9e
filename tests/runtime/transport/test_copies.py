"""Copies of what has a connection: none that would close or share it unnoticed."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, ProbeSyncClient
from weenats import NatsServiceBuilder, NatsTransport
from weenats.testing import MemoryTransport, NatsServer

COPIES = [copy.copy, copy.deepcopy, pickle.dumps]
URL = "nats://localhost"


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: NatsTransport(URL),
        MemoryTransport,
        lambda: NatsServiceBuilder(Probe(), URL).build(),
        NatsServer,
    ],
)
def test_connections_are_not_copied(make: Callable[[], Any], copied: Callable[[Any], Any]) -> None:
    """A clear error says so."""
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        copied(make())


@pytest.mark.parametrize("copied", COPIES[1:])
@pytest.mark.parametrize("client", [ProbeClient, ProbeSyncClient])
def test_clients_are_not_copied_with_their_connection(
    client: Any, copied: Callable[[Any], Any]
) -> None:
    """A clear error says so."""
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        copied(client.connect(URL))


async def test_shallow_copy_of_a_client_is_a_derived_client(nats_url: str) -> None:
    """It has the same connection, which stays open when the copy is collected."""
    async with (
        NatsServiceBuilder(Probe(), nats_url).build(),
        ProbeClient.connect(nats_url) as client,
    ):
        copied = copy.copy(client)
        assert copied.transport is client.transport
        async with copied:
            assert (await copied.get("k")).revision == 7
        del copied
        gc.collect()
        assert (await client.get("k")).revision == 7
