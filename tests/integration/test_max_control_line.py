"""Protocol lines that are longer than a NATS server takes: it would end the connection."""

from __future__ import annotations

import asyncio
import logging

import pytest

from testkit.probe import Probe, ProbeClient
from testkit.transports import connected, soon
from testkit.waiting import until
from weenats import ConnectionOptions, InvalidArgumentError, NatsServiceBuilder
from weenats.testing import NatsServer


@pytest.mark.parametrize(
    "subject",
    ["probe.command.thing.run", "probe.health", "probe.contract", "$SRV.PING", "$SRV.STATS"],
)
async def test_caller_with_a_long_reply_subject_harms_nobody(
    nats_url: str, subject: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A reply that the service's own server would not take is not sent, and the log says so."""
    caplog.set_level(logging.WARNING)
    async with (
        connected(nats_url, ConnectionOptions(max_control_line=1024)) as transport,
        NatsServiceBuilder(Probe(), transport=transport).build(),
        ProbeClient.connect(nats_url) as client,
        connected(nats_url) as caller,
    ):
        ended = asyncio.create_task(transport.wait_disconnected())
        caller.publish(subject, b"", reply="r" * 1024)
        await until(lambda: len(caplog.messages) > 0)
        assert (await client.check_health()).status == "ok"
        assert not ended.done()
        ended.cancel()


async def test_limit_of_the_server_is_an_option(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Servers do not announce their limit: the option has it, and without it the log names it."""
    caplog.set_level(logging.WARNING)
    own_nats_server.stop()
    own_nats_server._config = "max_control_line: 512"
    own_nats_server.start()
    async with connected(own_nats_server.url, ConnectionOptions(max_control_line=512)) as transport:
        with pytest.raises(InvalidArgumentError, match="at most 512"):
            await transport.request("x" * 512, b"", b"", soon())
        await transport.fence()
    assert not caplog.messages
    async with connected(own_nats_server.url) as transport:
        transport.publish("x" * 512, b"")
        await until(lambda: any("set max_control_line of" in each for each in caplog.messages))
