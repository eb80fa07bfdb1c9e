"""Discovery per ADR-32 over a real server, with a raw client and with our own."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from testkit.discovery import ExpectAnswers
from testkit.probe import CONTRACT, Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, ask_until
from testkit.wire import assert_valid, dump
from weenats import (
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    NoRespondersError,
    RequestContext,
)
from weenats.discovery import (
    check_health,
    get_service_info,
    get_service_stats,
    list_infos,
    list_instances,
    list_stats,
)
from weenats.protocol.subjects import SubjectError

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient

    from conftest import Gate


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
async def test_discovery_subjects_are_answered(
    raw: RawClient, service: Any, client: ProbeClient, verb: str
) -> None:
    """PING, INFO and STATS are answered for all services, by name and by instance id."""
    await client.run("k", Run(action="a"))
    for tail in ("", ".probe", f".probe.{service.instance_id}"):
        reply = await raw.request(f"$SRV.{verb}{tail}", b"", headers={"Authorization": "secret"})
        answer = json.loads(reply.data)
        assert_valid(f"{verb.lower()}-response", answer)
        assert reply.headers is None
        assert answer["type"] == f"io.nats.micro.v1.{verb.lower()}_response"
        assert (answer["name"], answer["version"]) == ("probe", "1.2.3")
        assert answer["id"] == service.instance_id
        assert answer["metadata"] == {"contract": CONTRACT.digest}
    await raw.publish(f"$SRV.{verb}.probe", b"")  # nobody to answer: nothing happens
    assert (await client.check_health()).status == "ok"


async def test_info_describes_every_endpoint(client: ProbeClient) -> None:
    """INFO has a description and each operation's subject, queue group and metadata."""
    info = await client.get_service_info()
    assert info.description == "Does as it is told."
    assert [each.subject for each in info.endpoints] == [
        "probe.command.thing.run",
        "probe.command.thing.forget",
        "probe.query.thing.get",
        "probe.query.thing.find",
    ]
    assert {each.queue_group for each in info.endpoints} == {"probe-workers"}
    assert info.endpoints[2].metadata["kind"] == "query"


async def test_stats_count_requests_errors_and_time(
    raw: RawClient, client: ProbeClient, handlers: Probe
) -> None:
    """STATS counts requests, errors and time per endpoint, without exception texts."""

    async def leak(key: str, command: Run, context: RequestContext) -> Outcome:
        raise ValueError("password=hunter2")

    handlers.actions["leak"] = leak
    await client.run("k", Run(action="a"))
    await client.run("k", Run(action="b"))
    with pytest.raises(InternalError):
        await client.run("k", Run(action="leak"))
    reply = await raw.request("$SRV.STATS.probe", b"")
    assert b"hunter2" not in reply.data
    run, forget = json.loads(reply.data)["endpoints"][:2]
    assert (run["num_requests"], run["num_errors"], run["last_error"]) == (3, 1, "INTERNAL")
    assert type(run["processing_time"]) is type(run["average_processing_time"]) is int
    assert run["processing_time"] // 3 == run["average_processing_time"] > 1000
    assert (forget["num_requests"], forget["last_error"]) == (0, "")
    assert forget["processing_time"] == forget["average_processing_time"] == 0


async def test_instances_on_one_connection_answer_separately(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """Services that share a connection answer by instance id until they stop."""
    expect_answers(3)
    transport = NatsTransport(nats_url)
    services = [NatsServiceBuilder(Probe(), transport=transport).build() for _ in range(3)]
    for service in services:
        await service.start()
    client = ProbeClient(transport)
    ids = sorted(service.instance_id for service in services)
    assert [each.id for each in await client.list_instances()] == ids
    assert [
        each.id for each in await list_instances(transport, timeout=0.5) if each.name == "probe"
    ]
    for instance_id in ids:
        assert (await client.get_service_info(instance_id)).id == instance_id
        assert (await client.get_service_stats(instance_id)).id == instance_id
    await services[0].stop()
    expect_answers(2)
    remaining = [each.id for each in await client.list_instances()]
    assert remaining == sorted(service.instance_id for service in services[1:])
    with pytest.raises(NoRespondersError):
        await client.get_service_info(services[0].instance_id)
    for service in services:
        await service.stop()
    await transport.close()


async def test_health_while_draining(nats_url: str, gate: Gate) -> None:
    """A draining service reports the status error until it has stopped."""
    service = NatsServiceBuilder(Probe(hold=gate), nats_url).build()
    await service.start()
    async with ProbeClient.connect(nats_url, timeout=20) as client:
        call = asyncio.create_task(client.run("k", Run(action="hold")))
        await gate.entered.acquire()
        assert (await client.check_health()).status == "ok"
        stopping = asyncio.create_task(service.stop())
        health = await ask_until(lambda health: health.status != "ok", client.check_health)
        assert_valid("health-check", health.model_dump(by_alias=True, mode="json"))
        assert not stopping.done()
        gate.opened.set()
        assert (await call).text == "k"
        await stopping


async def test_discovery_without_responders(nats_url: str) -> None:
    """Without a service requests fail immediately, and list_instances() is empty."""
    transport = NatsTransport(nats_url)
    async with asyncio.timeout(LIMIT):
        assert await list_instances(transport, "nobody", timeout=60) == []
        for ask in (get_service_info, check_health):
            with pytest.raises(NoRespondersError):
                await ask(transport, "nobody", timeout=60)
    await transport.close()


@pytest.mark.usefixtures("single_instance")
async def test_invalid_discovery_replies(raw: RawClient, nats_url: str) -> None:
    """Replies that break ADR-32 are left out of lists; a direct request raises InternalError."""
    invalid: list[Any] = []

    async def nonsense(message: Any) -> None:
        await raw.publish(message.reply, b'{"name": "odd", "id": "i-1"}')

    await raw.subscribe("$SRV.*.odd", cb=nonsense)
    await raw.flush()
    await raw.flush()
    transport = NatsTransport(nats_url)
    assert await list_instances(transport, "odd", timeout=5) == []
    for listing in (list_instances, list_infos, list_stats):
        assert await listing(transport, "odd", timeout=5, on_invalid=invalid.append) == []
    told = [each.message.partition(": ")[0] for each in invalid]
    assert told == [
        f"odd i-1 sent an invalid reply to {verb}" for verb in ("PING", "INFO", "STATS")
    ]
    assert invalid[0].details["violations"][0]["pointer"] == "/type"
    assert [(each.service, each.instance_id) for each in invalid] == [("odd", "i-1")] * 3
    with pytest.raises(InternalError):
        await get_service_info(transport, "odd", timeout=5)
    await transport.close()


@pytest.mark.parametrize("instance_id", ["", "*", ">", "a.b", "a b", "a\r\nPUB x 0\r\n"])
async def test_invalid_instance_id_is_rejected(client: ProbeClient, instance_id: str) -> None:
    """An instance id that is not a valid subject token is rejected before it is sent."""
    with pytest.raises(SubjectError):
        await client.get_service_info(instance_id)


PONG = {
    "type": "io.nats.micro.v1.ping_response",
    "name": "twin",
    "id": "t-1",
    "metadata": {},
}


ANSWER = {**PONG, "version": "1.0.0", "status": "ok"}


async def test_answers_of_others_do_not_count(raw: RawClient, nats_url: str) -> None:
    """Answers with the name of another service, or with another id, are passed over."""

    async def answer(message: Any) -> None:
        verb = message.subject.split(".")[1].lower()
        more = {"description": "d", "endpoints": [], "started": "2026-01-01T00:00:00Z"}
        kind = {"health": {"status": "ok"}, "ping": {}}.get(verb, more)
        typed = f"io.nats.micro.v1.{'ping' if verb == 'health' else verb}_response"
        for name, own_id in (("other", "t-1"), ("twin", "t-2"), ("twin", "t-1")):
            reply = {**PONG, **kind, "name": name, "id": own_id, "version": "1.0.0", "type": typed}
            await raw.publish(message.reply, dump(reply))

    await raw.subscribe("$SRV.*.twin.t-1", cb=answer)
    await raw.subscribe("$SRV.PING.twin", cb=answer)
    await raw.subscribe("twin.health", cb=answer)
    await raw.flush()
    await raw.flush()
    reported: list[InternalError] = []
    transport = NatsTransport(nats_url)
    for ask in (get_service_info, get_service_stats):
        assert (await ask(transport, "twin", "t-1", timeout=LIMIT)).id == "t-1"
    assert (await check_health(transport, "twin", timeout=LIMIT)).name == "twin"
    found = await list_instances(transport, "twin", timeout=5, on_invalid=reported.append)
    await transport.close()
    assert [(each.name, each.id) for each in found] == [("twin", "t-1"), ("twin", "t-2")]
    assert [each.message for each in reported] == [
        "other t-1 answered in place of twin, and is ignored"
    ]


@pytest.mark.parametrize("garbage", [b"", b"[]", b'{"name": "twin"}', b"\xff"])
async def test_invalid_answers_hide_no_valid_one(
    raw: RawClient, nats_url: str, garbage: bytes
) -> None:
    """A direct request takes the first valid answer, though an invalid one came before it."""

    async def answer(message: Any) -> None:
        await raw.publish(message.reply, garbage)
        await raw.publish(message.reply, dump(ANSWER))

    await raw.subscribe("twin.health", cb=answer)
    await raw.flush()
    await raw.flush()
    transport = NatsTransport(nats_url)
    assert (await check_health(transport, "twin", timeout=LIMIT)).id == "t-1"
    await transport.close()


async def test_impostors_do_not_hide_an_instance(raw: RawClient, nats_url: str) -> None:
    """Different answers with one id are all listed, and reported; equal ones count once."""
    reported: list[InternalError] = []
    answers = [dump({**PONG, "version": version}) for version in ("6.6.6", "1.0.0", "1.0.0")]

    async def impersonate(message: Any) -> None:
        for each in answers:
            await raw.publish(message.reply, each)

    await raw.subscribe("$SRV.PING.twin", cb=impersonate)
    await raw.flush()
    await raw.flush()
    transport = NatsTransport(nats_url)
    found = await list_instances(transport, "twin", timeout=5, on_invalid=reported.append)
    await transport.close()
    assert [(each.id, each.version) for each in found] == [("t-1", "6.6.6"), ("t-1", "1.0.0")]
    assert [each.message.partition(",")[0] for each in reported] == [
        "twin t-1 sent different answers"
    ]


@pytest.mark.parametrize("limit", ["MAX_REPLIES", "MAX_REPLY_BYTES"])
async def test_flood_of_answers_is_cut(
    limit: str,
    raw: RawClient,
    nats_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Listings end at a number of answers, or of bytes; the log and on_invalid say so."""
    answers = [dump({**PONG, "id": f"t-{number}", "version": "1.0.0"}) for number in range(9)]
    most = {"MAX_REPLIES": 3, "MAX_REPLY_BYTES": 3 * len(answers[0])}
    monkeypatch.setattr(f"weenats.transport.inbox.{limit}", most[limit])
    reported: list[InternalError] = []

    async def flood(message: Any) -> None:
        for answer in answers:
            await raw.publish(message.reply, answer)

    await raw.subscribe("$SRV.PING.twin", cb=flood)
    await raw.flush()
    await raw.flush()
    transport = NatsTransport(nats_url)
    found = await list_instances(transport, "twin", timeout=LIMIT, on_invalid=reported.append)
    await transport.close()
    assert [each.id for each in found] == ["t-0", "t-1", "t-2"]
    (error,) = reported
    assert error.message == (
        "PING has more answers than are gathered: only the first 3 are listed, of 0.0 MiB; there"
        " may be more instances"
    )
    assert error.message in caplog.text


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "1", None, 1j])
async def test_invalid_timeout_is_rejected(nats_url: str, timeout: Any) -> None:
    """A timeout that is not a positive number is refused before anything is sent."""
    transport = NatsTransport(nats_url)
    for ask in (check_health, get_service_info, list_instances):
        with pytest.raises(InvalidArgumentError, match="timeout must be a positive number"):
            await ask(transport, "probe", timeout=timeout)
    await transport.close()
