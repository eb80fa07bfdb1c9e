"""Monitoring snapshots over a real server: published, and in the statistics."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from testkit.clocks import shift_time
from testkit.discovery import ExpectAnswers
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, settle, until
from testkit.wire import load_valid
from weenats import NatsServiceBuilder, RequestContext
from weenats.discovery import list_stats
from weenats.protocol.messages import MonitoringRequests, MonitoringSnapshot

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient
    from nats.aio.msg import Msg

    from conftest import Gate

INTERVAL = 30


async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
    """Fail with a text that must not be exposed."""
    raise ValueError("password=hunter2")


async def test_snapshots_are_published(nats_url: str, raw: RawClient) -> None:
    """One snapshot is published at start and one per interval, according to the schema."""
    clock = shift_time()
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await raw.subscribe("probe.monitoring", cb=hear)
    await raw.flush()
    await raw.flush()
    service = (
        NatsServiceBuilder(Probe(fail=fail), nats_url)
        .with_monitoring(
            INTERVAL,
            custom_metrics=[
                {"name": "depth", "type": "gauge", "help": "How deep.", "read": lambda: 7},
                {"name": "broken", "type": "gauge", "help": "", "read": lambda: float("nan")},
            ],
        )
        .build()
    )
    async with service, ProbeClient.connect(nats_url) as client:
        await until(lambda: len(heard) == 1)
        await client.run("k", Run(action="a"))
        await asyncio.gather(client.run("k", Run(action="fail")), return_exceptions=True)
        await settle()
        clock.advance(INTERVAL + 0.1)
        await until(lambda: len(heard) == 2)
    first, second = (load_valid("monitoring-snapshot", each) for each in heard)
    assert (first["name"], first["id"], first["version"]) == ("probe", service.instance_id, "1.2.3")
    assert (first["requests"]["total"], second["requests"]["total"]) == (0, 2)
    assert second["requests"]["errors"] == 1
    assert 0 < second["requests"]["p50"] <= second["requests"]["p99"]
    assert second["custom"] == {"depth": {"type": "gauge", "help": "How deep.", "value": 7.0}}
    assert second["memory"]["rss"] > 1_000_000
    assert b"hunter2" not in heard[1]


async def test_stats_contain_monitoring_snapshots(
    nats_url: str, raw: RawClient, gate: Gate
) -> None:
    """STATS contains the snapshot of the service and the figures of each endpoint."""
    service = (
        NatsServiceBuilder(Probe(hold=gate), nats_url)
        .with_queue_group("probe", max_concurrency=1)
        .with_monitoring()
        .build()
    )
    async with service, ProbeClient.connect(nats_url) as client:
        await client.get("k")
        calls = [asyncio.create_task(client.run("k", Run(action="hold"))) for _ in range(3)]
        await gate.entered.acquire()
        waiting = asyncio.create_task(client.get("k"))
        async with asyncio.timeout(LIMIT):
            while True:
                reply = await raw.request("$SRV.STATS.probe", b"")
                stats = load_valid("stats-response", reply.data)
                if stats["data"]["monitoring"]["requests"]["queued"] == 3:
                    break
        assert "null" not in json.dumps(stats)
        snapshot = MonitoringSnapshot.model_validate(stats["data"]["monitoring"])
        assert (snapshot.id, snapshot.requests.total) == (service.instance_id, 1)
        assert (snapshot.requests.in_flight, snapshot.requests.queued) == (1, 3)
        run, forget, get, _ = (
            MonitoringRequests.model_validate(each["data"]["monitoring"])
            for each in stats["endpoints"]
        )
        assert (run.in_flight, run.queued, run.total) == (1, 2, 0)
        assert (get.in_flight, get.queued, get.total) == (0, 1, 1)
        assert get.p50 == get.p99 == snapshot.requests.p99 > 0
        assert forget.total == forget.rate == 0
        gate.opened.set()
        await asyncio.gather(*calls, waiting)


async def test_stats_without_monitoring(client: ProbeClient, raw: RawClient) -> None:
    """A service without monitoring adds nothing to its statistics but its health."""
    await client.run("k", Run(action="a"))
    stats = load_valid("stats-response", (await raw.request("$SRV.STATS.probe", b"")).data)
    assert stats["data"] == {"health": {"live": True, "ready": True, "checks": []}}
    assert all("data" not in each for each in stats["endpoints"])


async def test_list_stats_returns_all_instances(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """All instances are queried at once, and the results are sorted by id."""
    expect_answers(3)
    services = [NatsServiceBuilder(Probe(), nats_url).with_monitoring().build() for _ in range(3)]
    for service in services:
        await service.start()
    async with ProbeClient.connect(nats_url) as client:
        told = await list_stats(client.transport, "probe", timeout=5)
        assert [each.id for each in told] == sorted(each.instance_id for each in services)
        everybody = await list_stats(client.transport, timeout=5)
        assert {each.id for each in told} <= {each.id for each in everybody}
        assert await list_stats(client.transport, "nobody", timeout=60) == []
    for service in services:
        await service.stop()


async def test_stopped_service_publishes_no_snapshots(nats_url: str, raw: RawClient) -> None:
    """After a service has stopped it publishes no more snapshots."""
    clock = shift_time()
    heard: list[Any] = []

    async def hear(message: Msg) -> None:
        heard.append(json.loads(message.data))

    await raw.subscribe("probe.monitoring", cb=hear)
    await raw.flush()
    await raw.flush()
    async with NatsServiceBuilder(Probe(), nats_url).with_monitoring(INTERVAL).build():
        await until(lambda: len(heard) == 1)
    clock.advance(5 * INTERVAL)
    await raw.flush()
    await settle()
    assert len(heard) == 1
