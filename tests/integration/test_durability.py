"""Durability guarantees: what the log says about them, and contracts that demand more."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest

from testkit.once import ONCE, OnceProbe
from testkit.probe import CONTRACT, Probe
from testkit.wallets import Wallets
from weenats import Endpoint, FailedPreconditionError, NatsServiceBuilder, NatsTransport
from weenats.contract import DurabilityDemand, ServiceContract, Stream
from weenats.durability import Guarantee, look_up_guarantees
from weenats.durability.guarantees import SERVERS
from weenats.testing import MemoryBroker, MemoryTransport, NatsCluster, NatsServer
from weenats.transport import Delivery
from weenats.transport.jetstream import JetStream, StreamConfig

BUCKET: Final = "KV_probe-once"
EXPORTED: Final = f"""
system_account: SYS
accounts: {{
  SYS: {{exports: [{{service: "{SERVERS}", response: stream}}]}}
  A: {{
    jetstream: enabled
    users: [{{user: a, password: a}}]
    imports: [{{service: {{account: SYS, subject: "{SERVERS}"}}}}]
  }}
}}
no_auth_user: a
"""
"""What lets an account ask when servers write to their disks."""


def probe(which: ServiceContract) -> OnceProbe:
    """Return handlers of a contract with a command that is executed once."""
    operation = replace(ONCE, contract=which)

    class Demanding(OnceProbe):
        """The probe with this contract."""

        contract: ClassVar[ServiceContract] = which

        def endpoints(self) -> tuple[Endpoint, ...]:
            """Return the command."""
            return (Endpoint.command(operation, self.run),)

    return Demanding()


def demanding(**members: Any) -> ServiceContract:
    """Return a contract that demands something."""
    return replace(CONTRACT, durability=DurabilityDemand(**members))


async def start(url: str, contract: ServiceContract) -> None:
    """Start and stop a service."""
    async with NatsServiceBuilder(probe(contract), url).build():
        pass


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the records about durability."""
    return [each.getMessage() for each in caplog.records if each.name == "weenats.durability"]


async def test_guarantees_are_logged_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """One line says where and how it is stored; when disks are written is not known."""
    caplog.set_level(logging.INFO, "weenats.durability")
    stream = Stream(name="probe-events", service="probe", events=("happened",))
    with NatsServer() as server:
        await start(server.url, replace(CONTRACT, streams=(stream,)))
        await start(server.url, CONTRACT)
    how = "acknowledged by 1 server, on disk later; the servers do not say when"
    assert logged(caplog) == [
        f"probe stores in probe-events, {BUCKET}: {how}",
        f"probe stores in {BUCKET}: {how}",
    ]


@pytest.mark.parametrize(
    ("interval", "text", "refused"),
    [
        ("always", "on disk before that", None),
        ('"30s"', "on disk within 30 s", f"{BUCKET} is on disk within 30 s, not before it is"),
    ],
)
async def test_sync_that_the_account_may_ask_for(
    interval: str, text: str, refused: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """With an export of the system account it is known, and demands are compared with it."""
    caplog.set_level(logging.INFO, "weenats.durability")
    with NatsServer(config=f"{EXPORTED}jetstream: {{sync_interval: {interval}}}") as server:
        await start(server.url, demanding(sync=30))
        if refused is None:
            await start(server.url, demanding(sync=0))
        else:
            with pytest.raises(FailedPreconditionError, match=refused):
                await start(server.url, demanding(sync=0))
            with pytest.raises(FailedPreconditionError, match="within 30 s, not within 29 s"):
                await start(server.url, demanding(sync=29))
    assert logged(caplog)[0] == f"probe stores in {BUCKET}: acknowledged by 1 server, {text}"


async def test_sync_that_is_not_known_is_refused() -> None:
    """The error says which request to export."""
    with (
        NatsServer() as server,
        pytest.raises(FailedPreconditionError, match=r"is not known: export \$SYS.REQ.SERVER.PING"),
    ):
        await start(server.url, demanding(sync=0))


async def test_fewer_replicas_than_demanded_are_refused() -> None:
    """Of a bucket that exists already, and of a stream that is created."""
    stream = Stream(name="probe-events", service="probe", events=("happened",))
    with NatsServer() as server:
        await start(server.url, CONTRACT)
        contract = replace(demanding(replicas=3), streams=(stream,))
        with pytest.raises(
            FailedPreconditionError,
            match=f"probe-events has replicas: 1, not 3; {BUCKET} has replicas: 1, not 3",
        ):
            await start(server.url, contract)


async def test_commits_of_aggregates_are_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """They are named in the log, and the demands of the contract hold for them."""
    caplog.set_level(logging.INFO, "weenats.durability")
    with NatsServer() as server:
        async with NatsServiceBuilder(Wallets(), server.url).build():
            pass
        assert "wallets-commits, KV_wallets-snapshots: acknowledged by 1" in logged(caplog)[0]
        handlers = Wallets()
        handlers.contract = replace(handlers.contract, durability=DurabilityDemand(replicas=3))
        service = NatsServiceBuilder(handlers, server.url).build()
        with pytest.raises(FailedPreconditionError, match="wallets-commits has replicas: 1, not 3"):
            await service.start()


async def test_streams_in_memory_are_refused() -> None:
    """Where a contract demands that it is on disk."""
    config = StreamConfig(
        BUCKET,
        ("$KV.probe-once.>",),
        storage="memory",
        allow_ttl=True,
        max_messages_per_subject=1,
    )
    with NatsServer() as server:
        transport = NatsTransport(server.url)
        await JetStream(transport).create_stream(config)
        (guarantee,) = await look_up_guarantees(transport, [BUCKET])
        assert str(guarantee) == "acknowledged by 1 server, in memory"
        with pytest.raises(FailedPreconditionError, match=f"{BUCKET} is in memory"):
            await start(server.url, demanding(sync=60))
        await transport.close()


async def test_cluster_that_keeps_three_replicas(caplog: pytest.LogCaptureFixture) -> None:
    """Two of three servers acknowledge; the slowest disk of all servers counts."""
    caplog.set_level(logging.INFO, "weenats.durability")
    with NatsCluster(config=EXPORTED) as cluster:
        await start(cluster.urls[0], demanding(replicas=3, sync=120))
    how = "acknowledged by 2 of 3 servers, on disk within 120 s"
    assert logged(caplog) == [f"probe stores in {BUCKET}: {how}"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b'{"data":{"config":{}}}', b'{"data":{"config":{"sync_interval":"x"}}}'],
)
async def test_invalid_answer_of_a_server(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is not known; a valid answer of another server does not count alone."""
    monkeypatch.setattr("weenats.durability.guarantees._QUIET", 0.02)  # both answer at once
    transport = MemoryTransport()
    await transport.connect()
    valid = json.dumps({"data": {"config": {"sync_interval": 10**9}}}).encode()
    await JetStream(transport).create_stream(StreamConfig("s", ("s",)))

    def replying(payload: bytes) -> None:
        def reply(delivery: Delivery) -> None:
            transport.publish(delivery.reply, payload)

        transport.subscribe(SERVERS, reply)

    replying(valid)
    assert await look_up_guarantees(transport, ["s"]) == [Guarantee("s", 1, "file", 1.0)]
    replying(answer)
    assert await look_up_guarantees(transport, ["s"]) == [Guarantee("s", 1, "file", None)]
    await transport.close()


async def test_acknowledgement_before_writing() -> None:
    """A stream that acknowledges before it writes has no known time."""
    transport = MemoryTransport()
    config = StreamConfig("s", ("s",), other={"persist_mode": "async"})
    await JetStream(transport).create_stream(config)
    transport.subscribe(
        SERVERS,
        lambda each: transport.publish(each.reply, b'{"data":{"config":{"sync_always":true}}}'),
    )
    assert await look_up_guarantees(transport, ["s"]) == [Guarantee("s", 1, "file", None)]
    await transport.close()


async def test_service_that_stores_nothing_asks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It starts without JetStream, and logs nothing about it."""
    caplog.set_level(logging.INFO, "weenats.durability")
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    async with NatsServiceBuilder(Probe(), transport=transport).build():
        assert logged(caplog) == []
