"""Monitoring snapshots and statistics of an instance, with a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from testkit.clocks import FakeClock, travel
from testkit.probe import CONTRACT, Probe
from testkit.waiting import settle, until
from testkit.wire import load_valid
from weenats import InvalidArgumentError, NatsServiceBuilder, NotFoundError
from weenats.service.discovery import EndpointCounters
from weenats.service.monitoring import Monitor, MonitoringSettings
from weenats.testing import MemoryTransport

MILLISECOND = 1_000_000
INTERVAL = 30
Make = Callable[..., Monitor]


def settings(**changes: Any) -> MonitoringSettings:
    """Return monitoring settings; a test changes what it needs."""
    values: dict[str, Any] = {
        "interval": INTERVAL,
        "include_memory_stats": True,
        "include_request_stats": True,
        "custom_metrics": [],
    }
    return MonitoringSettings(**{**values, **changes})


@pytest.fixture
def clock() -> FakeClock:
    """The clock for rates and the uptime."""
    return FakeClock()


@pytest.fixture
async def transport() -> MemoryTransport:
    """A connected in-memory transport."""
    transport = MemoryTransport()
    await transport.connect()
    return transport


@pytest.fixture
async def published(transport: MemoryTransport) -> list[dict[str, Any]]:
    """The published snapshots, each validated against its schema."""
    snapshots: list[dict[str, Any]] = []
    transport.subscribe(
        "probe.monitoring",
        lambda delivery: snapshots.append(load_valid("monitoring-snapshot", delivery.payload)),
    )
    return snapshots


@pytest.fixture
async def make(transport: MemoryTransport, clock: FakeClock) -> AsyncIterator[Make]:
    """Create monitors of the probe."""
    made: list[Monitor] = []

    def new(**changes: Any) -> Monitor:
        made.append(Monitor(settings(**changes), transport, CONTRACT, "i-1", clock))
        return made[-1]

    yield new
    for monitor in made:
        await monitor.close()


def idle_load() -> tuple[int, int]:
    """Return the load of an endpoint without requests."""
    return 0, 0


def told(data: Any) -> Any:
    """Return the `monitoring` data of the statistics."""
    assert list(data) == ["monitoring"]
    return data["monitoring"]()


async def test_first_snapshot_is_published_at_start(
    make: Make, published: list[dict[str, Any]]
) -> None:
    """The first snapshot has identity and memory, and no requests yet."""
    monitor = make()
    monitor.watch(EndpointCounters(), idle_load)
    await monitor.start()
    await settle()
    (snapshot,) = published
    assert (snapshot["name"], snapshot["id"], snapshot["version"]) == ("probe", "i-1", "1.2.3")
    assert (snapshot["uptime"], snapshot["custom"]) == (0.0, {})
    assert snapshot["memory"]["rss"] > 1_000_000
    assert snapshot["requests"] == {
        "total": 0,
        "errors": 0,
        "rate": 0.0,
        "inFlight": 0,
        "queued": 0,
    }


async def test_snapshot_covers_the_interval_since_the_last_one(
    make: Make, clock: FakeClock, published: list[dict[str, Any]]
) -> None:
    """Rate and percentiles cover one interval of all endpoints; total and errors are overall."""
    time = travel()
    monitor = make()
    one, other = EndpointCounters(), EndpointCounters()
    monitor.watch(one, lambda: (3, 1))
    monitor.watch(other, lambda: (2, 5))
    await monitor.start()
    for _ in range(98):
        one.count(10 * MILLISECOND, None)
    other.count(500 * MILLISECOND, NotFoundError())
    other.count(500 * MILLISECOND, None)
    other.count(0, NotFoundError())  # refused, never run
    clock.now += 10
    await settle()
    time.advance(INTERVAL + 0.1)
    await until(lambda: len(published) == 2)
    requests = published[1]["requests"]
    assert (requests["total"], requests["errors"], requests["rate"]) == (101, 2, 10.1)
    assert (requests["inFlight"], requests["queued"]) == (5, 6)
    assert requests["p50"] == pytest.approx(10, rel=0.032)
    assert requests["p99"] == pytest.approx(500, rel=0.032)
    assert published[1]["uptime"] == 10
    clock.now += 10
    await settle()
    time.advance(INTERVAL + 0.1)
    await until(lambda: len(published) == 3)
    requests = published[2]["requests"]
    assert (requests["total"], requests["errors"], requests["rate"]) == (101, 2, 0)
    assert "p50" not in requests
    assert "p99" not in requests


async def test_statistics_cover_the_previous_interval_too(make: Make, clock: FakeClock) -> None:
    """Statistics show current requests, and keep the interval before the last snapshot."""
    time = travel()
    monitor = make()
    counters = EndpointCounters()
    endpoint = monitor.watch(counters, lambda: (1, 0))
    await monitor.start()
    clock.now += 10
    counters.count(10 * MILLISECOND, None)
    assert told(endpoint) == told(monitor.data())["requests"]
    assert told(endpoint)["rate"] == 0.1
    for expected in (1, 1, 0):
        assert ("p50" in told(endpoint)) == bool(expected)
        uptime = told(monitor.data())["uptime"]
        await settle()
        time.advance(INTERVAL + 0.1)
        clock.now += 10
        await until(lambda uptime=uptime: told(monitor.data())["uptime"] != uptime)
    assert told(endpoint) == {"total": 1, "errors": 0, "rate": 0, "inFlight": 1, "queued": 0}


async def test_endpoint_statistics_are_separate(make: Make) -> None:
    """An endpoint has its own figures; the instance has the sum."""
    monitor = make()
    counters = [EndpointCounters(), EndpointCounters()]
    data = [monitor.watch(each, lambda: (1, 2)) for each in counters]
    await monitor.start()
    counters[0].count(MILLISECOND, None)
    assert [told(each)["total"] for each in data] == [1, 0]
    assert [told(each)["inFlight"] for each in data] == [1, 1]
    requests = told(monitor.data())["requests"]
    assert (requests["total"], requests["inFlight"], requests["queued"]) == (1, 2, 4)


async def test_disabled_statistics_are_omitted(make: Make, published: list[dict[str, Any]]) -> None:
    """Without memory and request statistics both are absent, and no duration is recorded."""
    monitor = make(include_memory_stats=False, include_request_stats=False)
    counters = EndpointCounters()
    assert monitor.watch(counters, idle_load) == {}
    await monitor.start()
    await settle()
    assert set(published[0]) == {"name", "id", "version", "timestamp", "uptime", "custom"}
    assert told(monitor.data()) == published[0]
    assert counters.on_duration is None


async def test_custom_metrics_are_read_for_snapshots_only(make: Make) -> None:
    """Statistics show the values of the last snapshot."""
    time = travel()
    reads: list[None] = []

    def read() -> int:
        reads.append(None)
        return len(reads)

    monitor = make(custom_metrics=[{"name": "n", "type": "counter", "help": "N.", "read": read}])
    await monitor.start()
    for _ in range(5):
        custom = told(monitor.data())["custom"]
        assert custom == {"n": {"type": "counter", "help": "N.", "value": 1.0}}
    await settle()
    time.advance(INTERVAL + 0.1)
    await until(lambda: told(monitor.data())["custom"]["n"]["value"] == 2.0)


async def test_unpublished_snapshot_is_logged(
    make: Make, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """A snapshot that cannot be published is logged and still appears in the statistics."""
    await transport.close()
    monitor = make()
    await monitor.start()
    assert told(monitor.data())["id"] == "i-1"
    assert "a snapshot of probe cannot be published" in caplog.text


async def test_statistics_are_available_before_the_first_snapshot(make: Make) -> None:
    """Before the start the statistics have what is known so far."""
    assert told(make().data())["requests"]["total"] == 0


async def test_closed_monitor_takes_no_snapshots(
    make: Make, published: list[dict[str, Any]]
) -> None:
    """After close() no snapshot is published."""
    time = travel()
    monitor = make()
    await monitor.start()
    await monitor.close()
    time.advance(10 * INTERVAL)
    await settle()
    await asyncio.sleep(0)
    assert len(published) == 1


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "30", None, True])
def test_invalid_interval_is_rejected(interval: Any) -> None:
    """The interval must be a positive duration."""
    with pytest.raises(InvalidArgumentError, match="interval must be"):
        NatsServiceBuilder(Probe()).with_monitoring(interval)


@pytest.mark.parametrize("name", ["include_memory_stats", "include_request_stats"])
def test_include_options_must_be_bool(name: str) -> None:
    """The string 'no' is not accepted as True."""
    wrong: dict[str, Any] = {name: "no"}
    with pytest.raises(TypeError, match=f"{name} is True or False, not 'no'"):
        NatsServiceBuilder(Probe()).with_monitoring(**wrong)


def test_builder_validates_custom_metrics() -> None:
    """with_monitoring() rejects invalid metrics immediately."""
    wrong: Any = [{"name": "Bad", "type": "gauge", "help": "", "read": int}]
    with pytest.raises(ValueError, match="a name in custom_metrics"):
        NatsServiceBuilder(Probe()).with_monitoring(custom_metrics=wrong)


def test_with_monitoring_can_be_called_once() -> None:
    """A second call is rejected, and the original builder is unchanged."""
    first = NatsServiceBuilder(Probe())
    with pytest.raises(ValueError, match=r"with_monitoring\(\) was already called"):
        first.with_monitoring().with_monitoring()
    assert first.with_monitoring(5)
