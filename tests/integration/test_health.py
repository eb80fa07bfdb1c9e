"""Health checks over a real server, with our client and with a raw one."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from testkit.clocks import shift_time
from testkit.http_server import HttpServer, answer
from testkit.probe import Probe, ProbeClient, Run
from testkit.tokens import jwk, private_key
from testkit.waiting import LIMIT, ask_until, settle, until
from testkit.wire import load_valid
from weenats import (
    JwtAuthConfig,
    NatsServiceBuilder,
    NoRespondersError,
    UnavailableError,
)
from weenats.protocol.messages import HealthCheck
from weenats.testing import MemoryTransport, NatsServer

if TYPE_CHECKING:
    from nats.aio.client import Client as RawClient

    from conftest import Gate

INTERVAL = 30
TIMEOUT = 5
PING = "io.nats.micro.v1.ping_response"


def builder(
    nats_url: str, handlers: Probe | None = None, **checks: Callable[[], Any]
) -> NatsServiceBuilder:
    """Return a builder of the probe with these checks."""
    return NatsServiceBuilder(handlers or Probe(), nats_url).with_health(
        interval=INTERVAL,
        timeout=TIMEOUT,
        custom_checks=[{"name": name, "check": check} for name, check in checks.items()],
    )


def summarize(health: HealthCheck) -> tuple[str, bool, bool, dict[str, str]]:
    """Return status, live, ready, and the status of each check."""
    data = health.data
    return health.status, data.live, data.ready, {each.name: each.status for each in data.checks}


async def test_health_without_checks(client: ProbeClient, raw: RawClient) -> None:
    """A running service is live and ready; the message conforms to its schema."""
    assert summarize(await client.check_health()) == ("ok", True, True, {})
    reply = await raw.request("probe.health", b"")
    told = load_valid("health-check", reply.data)
    assert told["data"] == {"live": True, "ready": True, "checks": []}


def threads() -> set[str]:
    """Return the names of the threads in which checks run."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("health check ")}


async def test_failing_checks_are_reported(nats_url: str, raw: RawClient) -> None:
    """Checks that hang, block, raise or return False are reported without error texts."""
    released = threading.Event()
    clock = shift_time()
    ran: list[str] = []

    async def hangs() -> None:
        await asyncio.Event().wait()

    def blocks() -> None:
        ran.append("blocks")
        released.wait(LIMIT)

    def raises() -> None:
        ran.append("raises")
        raise ConnectionError("postgres://user:hunter2@db")

    service = builder(
        nats_url,
        hangs=hangs,
        blocks=blocks,
        raises=raises,
        says_no=lambda: ran.append("says_no") is not None,
        fine=lambda: ran.append("fine") is None,
    ).build()
    starting = asyncio.create_task(service.start())
    await until(lambda: len(ran) == 4 and threads() == {"health check blocks"})
    await settle()
    clock.advance(TIMEOUT + 0.1)
    await starting
    reply = await raw.request("probe.health", b"")
    assert b"hunter2" not in reply.data
    told = load_valid("health-check", reply.data)
    assert (told["status"], told["data"]["live"], told["data"]["ready"]) == ("error", True, False)
    assert told["data"]["checks"] == [
        {"name": "hangs", "status": "error", "message": "the check took longer than 5 s"},
        {"name": "blocks", "status": "error", "message": "the check took longer than 5 s"},
        {"name": "raises", "status": "error", "message": "the check raised ConnectionError"},
        {"name": "says_no", "status": "error", "message": "the check returned False"},
        {"name": "fine", "status": "ok"},
    ]
    async with ProbeClient.connect(nats_url) as client:
        assert (await client.run("k", Run(action="a"))).text == "a"  # it serves all the same
    released.set()
    await service.stop()


async def test_check_recovers(nats_url: str) -> None:
    """The next run of a check notices a failure, and later its recovery."""
    clock = shift_time()
    works: list[Any] = [True, False, ValueError(), True]
    runs: list[None] = []

    async def check() -> Any:
        outcome = works[len(runs)]
        runs.append(None)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with builder(nats_url, store=check).build(), ProbeClient.connect(nats_url) as client:
        for number, status in enumerate(["ok", "error", "error", "ok"], 1):
            await until(lambda number=number: len(runs) == number)
            health = await client.check_health()
            assert summarize(health) == (status, True, status == "ok", {"store": status})
            if number < len(works):
                clock.advance(INTERVAL + 0.1)


async def test_health_requests_do_not_run_checks(nats_url: str) -> None:
    """Checks run once at start; hundreds of health requests and calls run none."""
    runs: list[None] = []
    service = builder(nats_url, store=lambda: runs.append(None)).build()
    async with service, ProbeClient.connect(nats_url) as client:
        await asyncio.gather(
            *(client.check_health() for _ in range(200)),
            *(client.run("k", Run(action="a")) for _ in range(100)),
        )
        assert len(runs) == 1


async def test_starting_is_live_but_not_ready(nats_url: str, raw: RawClient) -> None:
    """Until the first checks have ended the service is not ready and takes no requests."""
    begun, released = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await released.wait()

    service = builder(nats_url, store=slow).build()
    starting = asyncio.create_task(service.start())
    await begun.wait()
    async with ProbeClient.connect(nats_url) as client:
        expected = ("error", True, False, {"store": "error"})
        assert summarize(await client.check_health()) == expected
        with pytest.raises(NoRespondersError):
            await client.run("k", Run(action="a"))
        assert await client.list_instances() == []
        released.set()
        await starting
        assert summarize(await client.check_health()) == ("ok", True, True, {"store": "ok"})
        assert (await client.run("k", Run(action="a"))).text == "a"
    await service.stop()


async def test_draining_is_live_but_not_ready(nats_url: str, gate: Gate) -> None:
    """A draining service answers health requests until it has stopped."""
    service = builder(nats_url, Probe(hold=gate), store=lambda: True).build()
    await service.start()
    async with ProbeClient.connect(nats_url, timeout=20) as client:
        call = asyncio.create_task(client.run("k", Run(action="hold")))
        await gate.entered.acquire()
        stopping = asyncio.create_task(service.stop())
        health = await ask_until(lambda health: health.status != "ok", client.check_health)
        assert summarize(health) == ("error", True, False, {"store": "ok"})
        assert not stopping.done()
        gate.opened.set()
        await call
        await stopping
        with pytest.raises(NoRespondersError):
            await client.check_health()


async def test_health_can_be_disabled(nats_url: str) -> None:
    """With enabled=False health requests have no responders; everything else works."""
    service = NatsServiceBuilder(Probe(), nats_url).with_health(enabled=False).build()
    async with service, ProbeClient.connect(nats_url) as client:
        with pytest.raises(NoRespondersError):
            await client.check_health()
        assert (await client.run("k", Run(action="a"))).text == "a"
        assert len(await client.list_instances()) == 1


async def test_stopping_during_the_first_checks() -> None:
    """start() raises UnavailableError, and the service never listens."""
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    transport = MemoryTransport()
    service = (
        NatsServiceBuilder(Probe(), transport=transport)
        .with_health(custom_checks=[{"name": "hangs", "check": hangs}])
        .build()
    )
    starting = asyncio.create_task(service.start())
    await begun.wait()
    await service.stop()
    with pytest.raises(UnavailableError, match="stopped while it started"):
        await starting
    assert not service.is_serving
    client = ProbeClient(transport)
    with pytest.raises(NoRespondersError):
        await client.check_health()
    with pytest.raises(NoRespondersError):
        await client.run("k", Run(action="a"))


async def test_jwks_is_a_health_check(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service is not ready until it has keys to verify tokens with."""
    monkeypatch.setattr("weenats.auth.jwks.COOLDOWN", 0.05)
    issuer = HttpServer()
    issuer.behaviour = answer(b"broken", status=500)
    config = JwtAuthConfig(
        algorithms=["EdDSA"], jwks_uri=issuer.uri, issuer="https://issuer.example", audience="x"
    )
    service = builder(nats_url, store=lambda: True).with_auth(config).build()
    try:
        async with service, ProbeClient.connect(nats_url) as client:
            health = await client.check_health()
            expected = {"store": "ok", "jwks": "error"}
            assert summarize(health) == ("error", True, False, expected)
            assert health.data.checks[1].message == "there are no keys"
            keys = {"keys": [jwk(private_key("EdDSA", 1), kid="k-1", use="sig")]}
            issuer.behaviour = answer(json.dumps(keys).encode())
            clock = shift_time()
            clock.advance(10)
            await until(lambda: service.jwks_state and service.jwks_state.keys)
            assert (await client.check_health()).status == "ok"
    finally:
        issuer.stop()


async def test_jwks_check_requires_with_health(nats_url: str) -> None:
    """Without with_health() missing keys do not change the health status."""
    config = JwtAuthConfig(
        algorithms=["EdDSA"], jwks_uri="http://127.0.0.1:1/", issuer="https://x", audience="x"
    )
    service = NatsServiceBuilder(Probe(), nats_url).with_auth(config).build()
    async with service, ProbeClient.connect(nats_url) as client:
        assert summarize(await client.check_health()) == ("ok", True, True, {})


async def test_health_replies_of_foreign_services(nats_url: str, raw: RawClient) -> None:
    """A foreign reply may have a status without data, or data with nothing but checks."""
    identity = {"type": PING, "name": "probe", "id": "1", "version": "1.0.0", "status": "ok"}
    bodies = [
        identity,
        {**identity, "data": {"checks": [{"name": "db", "status": "ok", "message": "fine"}]}},
    ]

    async def reply(message: Any) -> None:
        await message.respond(json.dumps(bodies.pop(0)).encode())

    await raw.subscribe("probe.health", cb=reply)
    await raw.flush()
    await raw.flush()
    async with ProbeClient.connect(nats_url) as client:
        assert [(await client.check_health()).status for _ in range(2)] == ["ok", "ok"]


async def test_health_above_max_payload(own_nats_server: NatsServer) -> None:
    """An answer that is too large leaves out the checks; the status arrives."""
    own_nats_server.stop()
    own_nats_server._config = "max_payload: 2048"
    own_nats_server.start()
    checks = {f"check_{number}": lambda: False for number in range(100)}
    async with (
        builder(own_nats_server.url, **checks).build(),
        ProbeClient.connect(own_nats_server.url, timeout=LIMIT) as client,
    ):
        health = await client.check_health()
        assert (health.status, health.data.ready, health.data.checks) == ("error", False, [])
        assert (health.data.reason or "").startswith("the check check_0 fails, ")
        statistics = await client.get_service_stats()
        assert statistics.data["health"]["checks"] == []
