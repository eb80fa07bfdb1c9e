"""A server that hangs takes connections and says nothing: it is asked last."""

from __future__ import annotations

import pytest

from testkit.transports import answering, connected, soon
from testkit.waiting import eventually
from weenats import ConnectionOptions
from weenats.testing import NatsCluster

OPTIONS = ConnectionOptions(ping_interval=0.1, connect_timeout=60, reconnect_wait=0.02)


@pytest.mark.timing
async def test_nobody_goes_back_to_the_server_that_hangs(pair: NatsCluster) -> None:
    """Who notices that the server says nothing goes to another one, not to the same for a minute.

    Servers are asked in any order, so several connections have to.
    """
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
            lambda: all(each.server_address != home(hanging.port) for each in transports)
        )
        one.subscribe("work", answering(one))
        await one.fence()
        assert (await two.request("work", b"x", b"", soon())).payload == b"x"


def home(port: int) -> tuple[str, int]:
    """Return the address of a server."""
    return "127.0.0.1", port
