"""Accounts and connections that may have only so many subscriptions."""

from __future__ import annotations

from contextlib import suppress

import pytest

from testkit.cluster_faults import put_leader_last
from testkit.probe import Probe, ProbeClient
from testkit.transports import FAST, answering, connected, disconnected, soon
from testkit.waiting import eventually
from weenats import NatsServiceBuilder, ResourceExhaustedError
from weenats.testing import NatsCluster, NatsServer
from weenats.transport.migration import Migration

LIMIT_OF_CONNECTION = "max_subscriptions: 3\n"
LIMIT_OF_ACCOUNT = """
accounts { A { users: [{user: a, password: x}], limits { max_subscriptions: 4 } } }
no_auth_user: a
"""


@pytest.mark.parametrize("config", [LIMIT_OF_CONNECTION, LIMIT_OF_ACCOUNT])
async def test_one_subscription_too_many_is_an_error(config: str) -> None:
    """The fence after it raises; the connection stays open and works."""
    with NatsServer(config=config) as server:
        async with connected(server.url) as transport:
            transport.subscribe("work", answering(transport))
            await transport.fence()
            more = [transport.subscribe(f"other.{number}", print) for number in range(5)]
            with pytest.raises(ResourceExhaustedError, match="refused a subscription"):
                await transport.fence()
            await transport.fence()
            await transport.unsubscribe(more)
            for _ in range(2):
                assert (await transport.request("work", b"x", b"", soon())).payload == b"x"


async def test_service_with_too_many_subscriptions_does_not_start() -> None:
    """start() says why, and leaves nothing behind."""
    with NatsServer(config=LIMIT_OF_CONNECTION) as server:
        service = NatsServiceBuilder(Probe(), server.url).build()
        with pytest.raises(ResourceExhaustedError, match="the maximum number"):
            await service.start()


async def test_client_without_room_for_its_inbox() -> None:
    """A call that needs one subscription too many fails at once."""
    with NatsServer(config=LIMIT_OF_CONNECTION) as server:
        async with connected(server.url) as transport:
            for number in range(3):
                transport.subscribe(f"other.{number}", print)
            await transport.fence()
            with pytest.raises(ResourceExhaustedError, match="refused a subscription"):
                await ProbeClient(transport).get("k")


async def test_refusal_after_a_reconnect_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The connection does not reconnect again and again; the log says what is missing."""
    server = NatsServer(config="")
    with server:
        async with connected(server.url, FAST) as transport:
            for number in range(5):
                transport.subscribe(f"other.{number}", print)
            await transport.fence()
            server.kill()
            await disconnected(transport)
            server._config = LIMIT_OF_CONNECTION
            server.start()
            connection = transport._connection
            assert connection is not None
            await eventually(lambda: connection.is_connected)
            with suppress(ResourceExhaustedError):  # if it arrives meanwhile
                await transport.fence()
            assert caplog.text.count("refused a subscription") == 1
            assert "ended the connection" not in caplog.text


async def test_move_beside_the_limit_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions that fit only once they have left the old server are not lost."""

    async def at_once(_: Migration) -> None:
        pass

    monkeypatch.setattr(Migration, "_wait_for_routes", at_once)
    with NatsCluster(2, config=LIMIT_OF_ACCOUNT) as pair:
        put_leader_last(pair)
        async with connected(pair.servers[0].url) as service:
            for number in range(4):
                service.subscribe(f"work.{number}", answering(service), "workers")
            await service.fence()
            pair.servers[0].lame_duck()
            await eventually(lambda: service.server_address == ("127.0.0.1", pair.servers[1].port))
            await eventually(lambda: not service._migration.is_running)
            async with connected(pair.servers[1].url) as client:
                for number in range(4):
                    reply = await client.request(f"work.{number}", b"x", b"", soon())
                    assert reply.payload == b"x"
