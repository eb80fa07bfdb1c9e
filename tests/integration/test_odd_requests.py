"""Requests that only nats-server understands, and answers that it does not carry, get an answer."""

import asyncio
import json

import pytest
from nats.aio.client import Client as RawClient

from testkit.probe import Probe, ProbeClient, Run
from testkit.waiting import LIMIT
from weenats import MessageTooLargeError, NatsServiceBuilder, NatsTransport
from weenats.testing import NatsServer

ODD_REPLY = b"\xff\xfe\x85.\xc3"
BODY = b'{"aggregateId":{"type":"thing","key":"k"}}'
SMALL = "max_payload: 1000"


async def converse(server: NatsServer, frames: bytes, messages: int, user: str = "") -> bytes:
    """Send raw frames, and return what comes back up to a number of messages."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    credentials = f'"user":"{user}","pass":"{user}",' if user else ""
    options = f'CONNECT {{{credentials}"verbose":false,"headers":true}}\r\n'
    writer.write(options.encode() + frames)
    await writer.drain()
    received = b""
    async with asyncio.timeout(LIMIT):
        while received.count(b"MSG ") < messages:
            received += await reader.read(65536)
    writer.close()
    return received


async def test_reply_subject_of_any_bytes(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller whose reply subject is not UTF-8 is answered, refused and succeeded requests."""
    subjects = (
        b"probe.query.thing.get", b"probe.command.thing.run", b"probe.health", b"$SRV.PING",
        b"$SRV.INFO.probe", b"$SRV.STATS.probe",
    )  # fmt: skip
    asked = b"".join(
        b"PUB %b %b %d\r\n%b\r\n" % (subject, ODD_REPLY, len(BODY), BODY) for subject in subjects
    )
    async with NatsServiceBuilder(Probe(), own_nats_server.url).build():
        frames = b"SUB %b 1\r\n" % ODD_REPLY + asked
        received = await converse(own_nats_server, frames, len(subjects))
    assert received.count(b"MSG %b 1 " % ODD_REPLY) == len(subjects)
    assert caplog.records == []


async def test_denied_reply_subject_of_any_bytes() -> None:
    """A reply subject that the service may not use, and cannot be shown, does no harm."""
    config = """
    authorization { users: [
      {user: a, password: a},
      {user: s, password: s, permissions: {publish: {deny: ["odd.>"]}}},
    ]}
    """
    with NatsServer(config=config) as server:
        url = server.url.replace("://", "://s:s@")
        async with (
            NatsServiceBuilder(Probe(), url).build(),
            ProbeClient(transport := NatsTransport(server.url.replace("://", "://a:a@"))) as client,
        ):
            name = b"probe.query.thing.get"
            odd = b"PUB %b odd.\xff\xfe %d\r\n%b\r\n" % (name, len(BODY), BODY)
            good = b"SUB good 1\r\nPUB %b good %d\r\n%b\r\n" % (name, len(BODY), BODY)
            await converse(server, odd + good, 1, user="a")
            for _ in range(3):
                assert (await client.run("k", Run(action="go"), timeout=LIMIT)).text == "go"
            await transport.close()


async def test_statistics_that_do_not_fit_are_shortened(caplog: pytest.LogCaptureFixture) -> None:
    """STATS above max_payload come without the optional data, and nothing is logged."""
    with NatsServer(config=SMALL) as server:
        service = NatsServiceBuilder(Probe(), server.url).with_circuit_breaker().build()
        async with service, ProbeClient.connect(server.url, timeout=LIMIT) as client:
            stats = await client.get_service_stats()
    assert [each.name for each in stats.endpoints] == ["run", "forget", "get", "find"]
    assert "circuitBreaker" not in json.dumps(stats.model_dump(mode="json"))
    assert caplog.records == []


async def test_answers_that_never_fit_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit at all is an error as ADR-32 has it, logged once."""
    with NatsServer(config="max_payload: 700") as server:
        service = NatsServiceBuilder(Probe(), server.url).build()
        async with service, ProbeClient.connect(server.url, timeout=LIMIT) as client:
            for _ in range(3):
                with pytest.raises(Exception, match=r"the answer has \d+ bytes") as raised:
                    await client.get_service_info()
                assert raised.value.number == MessageTooLargeError.number  # type: ignore[attr-defined]
            assert await client.list_instances()
    messages = [each for each in caplog.messages if "cannot be answered" in each]
    assert messages == ["$SRV.INFO.probe cannot be answered: RESOURCE_EXHAUSTED"]


async def test_failing_statistics_are_an_error(
    raw: RawClient, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception while an answer is made does not leave the caller without one."""

    def fail(_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("weenats.service.discovery.Instance.stats", fail)
    async with NatsServiceBuilder(Probe(), nats_url).build():
        reply = await raw.request("$SRV.STATS.probe", b"")
    assert reply.data == b""
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == "500"
