"""A server that accepts connections but does not respond is tried last."""

from __future__ import annotations

import pytest

from testkit.transports import answering, connected, soon
from testkit.waiting import eventually
from weenats import ConnectionOptions
from weenats.testing import NatsCluster

OPTIONS = ConnectionOptions(ping_interval=0.1, connect_timeout=60, reconnect_wait=0.02)


@pytest.mark.timing
async def test_hanging_server_is_avoided(pair: NatsCluster) -> None:
    """Several connections all move to the other server instead of retrying the hanging one."""
    async with (
        connected(pair.urls, OPTIONS) as one,
        connected(pair.urls, OPTIONS) as two,
        connected(pair.urls, OPTIONS) as three,
        connected(pair.urls, OPTIONS) as four,
    ):
        transports = (one, two, three, four)
        hanging = pair.servers[0]
        hanging.pause()
        await eventually(
            lambda: all(each.server_address != local_address(hanging.port) for each in transports)
        )
        one.subscribe("work", answering(one))
        await one.fence()
        assert (await two.request("work", b"x", b"", soon())).payload == b"x"


def local_address(port: int) -> tuple[str, int]:
    """Return the address of a server."""
    return "127.0.0.1", port
