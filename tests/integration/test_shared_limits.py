"""with_rate_limit(scope="service"): limits that the instances of a service share."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

import pytest

from testkit.clocks import travel
from testkit.jetstream_users import INBOX, service_as, users_config
from testkit.nats_users import as_user
from testkit.once import CONTRACT, OnceClient, OnceProbe
from testkit.probe import RUN, Probe, Run
from testkit.waiting import LIMIT, ask_until, cancel_call, until
from weenats import (
    Endpoint,
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    ResourceExhaustedError,
    UnavailableError,
)
from weenats.contract import RateLimit
from weenats.rate_limit.leases import LeasedBucket, LeasedLimiter, SharedBudget
from weenats.rate_limit.ledger import Grant, Ledger, ledger_config
from weenats.testing import MemoryTransport, NatsServer
from weenats.transport.jetstream import JetStream
from weenats_codegen.loading import read
from weenats_codegen.permissions.model import of_service

GO = Run(action="go")
BUCKET: Final = "KV_probe-limits"
SLOW: Final = 0.001
"""A rate at which nothing leaks while a test runs."""


class Limited(OnceProbe):
    """A probe whose command can be called on each instance."""

    limit: RateLimit | None = None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations."""
        operation = replace(RUN, idempotent=True, rate_limit=self.limit)
        return (Endpoint.command(operation, self.run),)


@dataclass(frozen=True, slots=True)
class Instances:
    """Running instances, and a client of each."""

    services: list[NatsService]
    clients: list[OnceClient]

    async def passed(self, calls: int, *, which: slice = slice(None), **options: Any) -> int:
        """Call the instances in turn, and return how many calls passed."""
        clients = self.clients[which]
        outcomes = await asyncio.gather(
            *(clients[n % len(clients)].run("k", GO, **options) for n in range(calls)),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, BaseException)]
        assert all(isinstance(each, ResourceExhaustedError) for each in refused), refused
        return calls - len(refused)


@asynccontextmanager
async def instances(
    url: str, rate: float, burst: float, handlers: Probe | None = None, **options: Any
) -> AsyncIterator[Instances]:
    """Run two instances with a limit that they share."""
    builder = NatsServiceBuilder(handlers or Limited(), url).with_queue_group(
        "probe", max_concurrency=500
    )
    builder = builder.with_rate_limit(rate, burst, scope="service", **options)
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(builder.build()) for _ in range(2)]
        client = await stack.enter_async_context(OnceClient.connect(url, verify="off"))
        client = client.with_timeout(LIMIT)
        yield Instances(services, [client.on_instance(each.instance_id) for each in services])


@pytest.fixture
def url(own_nats_server: NatsServer) -> str:
    """A server without any bucket."""
    return own_nats_server.url


async def test_instances_share_a_limit(url: str) -> None:
    """Of a small limit exactly as many requests pass as it says, wherever they arrive."""
    async with instances(url, SLOW, 5) as these:
        assert await these.passed(12) == 5
        with pytest.raises(ResourceExhaustedError) as refused:
            await these.clients[0].run("k", GO)
        assert refused.value.retry_after == pytest.approx(1000, rel=0.01)


async def test_limit_outlives_instances(url: str) -> None:
    """What earlier instances let pass counts for those that follow."""
    async with instances(url, SLOW, 5) as these:
        assert await these.passed(3) == 3
    async with instances(url, SLOW, 5) as these:
        assert await these.passed(5) == 2


@pytest.mark.slow
async def test_overshoot_is_a_chunk_for_each_instance(url: str) -> None:
    """A large limit is taken in chunks of a tenth of a second; few messages are needed for it."""
    rate, chunk = 500, 50
    async with instances(url, rate, rate) as these:
        started = monotonic()
        passed = await these.passed(3 * rate)
        elapsed = monotonic() - started
        info = await JetStream(these.clients[0].transport).stream_info(BUCKET)
    assert rate - 2 * chunk <= passed <= rate + 2 * chunk + rate * elapsed
    assert info.last_sequence < passed / 5


async def test_request_within_the_chunk_sends_nothing(url: str) -> None:
    """Until half of a chunk is used, an instance does not ask JetStream again."""
    async with instances(url, 1000, 1000) as these:
        assert await these.passed(1, which=slice(1)) == 1
        jetstream = JetStream(these.clients[0].transport)
        before = (await jetstream.stream_info(BUCKET)).last_sequence
        assert await these.passed(40, which=slice(1)) == 40
        assert (await jetstream.stream_info(BUCKET)).last_sequence == before


async def test_each_caller_has_a_limit_in_all_instances(url: str) -> None:
    """Limits of keys are shared like that of the service."""

    def tenant(context: Any) -> str | None:
        value: str | None = context.headers.get("x-tenant")
        return value

    async with instances(url, SLOW, 3, key_extractor=tenant) as these:
        for name in ("north", "south"):
            assert await these.passed(8, headers={"X-Tenant": name}) == 3


async def test_key_may_be_any_text(url: str) -> None:
    """A lone surrogate in a key that callers choose is counted like any other text."""
    async with instances(url, SLOW, 3, key_extractor=lambda _: "\ud800") as these:
        assert await these.passed(8) == 3


async def test_limits_of_the_contract_are_shared(url: str) -> None:
    """The scope holds for them as well; the strictest limit decides."""
    handlers = Limited()
    handlers.limit = RateLimit(max_requests_per_second=SLOW, burst=2)
    async with instances(url, SLOW, 5, handlers) as these:
        assert await these.passed(8) == 2
        policy = NatsServiceBuilder(handlers).with_rate_limit(SLOW, 5, scope="service").explain()
    settings = {each.name: each.value for each in policy[0].settings}
    assert settings["additional rate limit"] == (
        "0.001 a second, 2 at once, of all callers, in all instances together"
    )


async def test_limits_work_in_memory() -> None:
    """Instances on one MemoryTransport share them too."""
    transport = MemoryTransport()
    builder = NatsServiceBuilder(Limited(), transport=transport)
    builder = builder.with_rate_limit(SLOW, 3, scope="service")
    async with builder.build() as first, builder.build() as second:
        client = OnceClient(transport)
        clients = [client.on_instance(each.instance_id) for each in (first, second)]
        assert await Instances([first, second], clients).passed(8) == 3


async def test_instance_limits_without_jetstream(caplog: pytest.LogCaptureFixture) -> None:
    """The service starts; its limit counts per instance; log, health and statistics say so."""
    config = "accounts: {A: {users: [{user: a, password: a}]}}\nno_auth_user: a\n"
    with NatsServer(config=config) as server:
        async with instances(server.url, SLOW, 5) as these:
            assert await these.passed(24) == 10
            health = await these.clients[0].check_health()
            stats = await these.clients[0].get_service_stats(these.services[0].instance_id)
    warnings = [each for each in caplog.records if each.name == "weenats.rate_limit"]
    assert len(warnings) == 2  # once for each instance
    assert "count per instance now" in warnings[0].getMessage()
    assert str(health).count("limits count per instance now") == 1
    assert stats.endpoints[0].data == {"rateLimit": {"refused": 7, "shared": False}}


async def test_limits_are_shared_again(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bucket that was deleted is created again, and the limit is shared as before."""
    caplog.set_level(logging.INFO, "weenats.rate_limit")
    async with instances(url, SLOW, 20) as these:
        assert await these.passed(2) == 2
        # Neither creates the bucket before both have missed it.
        monkeypatch.setattr("weenats.rate_limit.leases._RETRY", 3600.0)
        await JetStream(these.clients[0].transport).delete_stream(BUCKET)
        assert await these.passed(2) == 2
        assert caplog.text.count("count per instance now") == 2
        monkeypatch.setattr(SharedBudget, "may_try", True)
        async with asyncio.timeout(LIMIT):
            while caplog.text.count("count for all instances again") < 2:
                await these.passed(2)  # until the burst is used up
        assert await these.passed(60) <= 20


async def test_ledger_of_one_limit(url: str) -> None:
    """What is taken leaks at the rate of the limit, by the clock of the server."""
    transport = NatsTransport(url)
    ledgers = [Ledger("probe", transport) for _ in range(2)]
    await ledgers[0].open()
    limit = RateLimit(max_requests_per_second=50, burst=50)
    assert await ledgers[0].take("a", limit, 45) == (45, 0)
    first = await ledgers[1].take("a", limit, 45)
    assert 5 <= first.amount <= 45
    for ledger in ledgers:  # of a dead instance as well: nobody has to return it
        await ask_until(lambda grant: grant.amount, partial(ledger.take, "a", limit, 1))
    await JetStream(transport).update_stream(replace(ledger_config("probe"), max_messages=9))
    await ledgers[0].open()  # other settings are left alone
    await transport.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"level":"x","time":1}',
        b'{"level":0,"time":-Infinity}',
        b'{"level":NaN,"time":0}',
        b'{"level":%b,"time":0}' % (b"9" * 400),
        b"[" * 5000,
    ],
)
async def test_entries_of_other_programs_are_replaced(url: str, content: bytes) -> None:
    """An entry of the ledger that is not valid is like none."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    limit = RateLimit(max_requests_per_second=SLOW, burst=3)
    name = f"odd {content[:30]!r}"
    key = blake2b(name.encode(), digest_size=20).hexdigest()
    await ledger._bucket.put(key, content)
    assert [(await ledger.take(name, limit, 2)).amount for _ in range(3)] == [2, 1, 0]
    await transport.close()


async def test_entry_that_an_operator_deletes_is_none(url: str) -> None:
    """The marker of `nats kv del`, which does not expire, does not keep anybody from taking."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    key = blake2b(b"deleted", digest_size=20).hexdigest()
    limit = RateLimit(max_requests_per_second=SLOW, burst=1)
    assert (await ledger.take("deleted", limit, 1)).amount == 1
    await JetStream(transport).publish(f"$KV.probe-limits.{key}", b"", b"KV-Operation: DEL\r\n")
    assert (await ledger.take("deleted", limit, 1)).amount == 1
    await transport.close()


async def test_full_entry_of_another_program(url: str) -> None:
    """A level above the limit is that of a bucket that is full."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    key = blake2b(b"full", digest_size=20).hexdigest()
    await ledger._bucket.put(key, b'{"level":1e308,"time":1e308}')
    limit = RateLimit(max_requests_per_second=1, burst=3)
    assert await ledger.take("full", limit, 1) == (0, 1)
    await transport.close()


async def test_bucket_is_never_fuller_than_full(url: str) -> None:
    """A level above the limit, such as that of a higher limit before, drains as a full one does."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    key = blake2b(b"fuller", digest_size=20).hexdigest()
    entry = {"level": 1e308, "time": datetime.now(UTC).timestamp() - 60}
    await ledger._bucket.put(key, json.dumps(entry).encode())
    limit = RateLimit(max_requests_per_second=1, burst=3)
    assert (await ledger.take("fuller", limit, 3)).amount == 3
    await transport.close()


@pytest.mark.parametrize("ahead", [3600, 1e300])
async def test_entry_ahead_of_the_clock(url: str, ahead: float) -> None:
    """When the clock of the server was set back, limits go on leaking at once."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    name = f"ahead {ahead}"
    key = blake2b(name.encode(), digest_size=20).hexdigest()
    entry = {"level": 50, "time": datetime.now(UTC).timestamp() + ahead}
    await ledger._bucket.put(key, json.dumps(entry).encode())
    limit = RateLimit(max_requests_per_second=50, burst=50)
    assert (await ledger.take(name, limit, 1)).amount == 0
    await ask_until(lambda grant: grant.amount, partial(ledger.take, name, limit, 1))
    await transport.close()


async def test_ledger_under_contention(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that take at the same time each gets its part; endless contention is an error."""
    transport = NatsTransport(url)
    ledger = Ledger("probe", transport)
    await ledger.open()
    limit = RateLimit(max_requests_per_second=SLOW, burst=20)
    grants = await asyncio.gather(*(ledger.take("a", limit, 1) for _ in range(30)))
    assert sum(each.amount for each in grants) == 20
    monkeypatch.setattr("weenats.rate_limit.ledger._ATTEMPTS", 0)
    with pytest.raises(UnavailableError, match="too many instances"):
        await ledger.take("a", limit, 1)
    await transport.close()


async def test_buckets_of_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drained bucket makes room for another key; else further keys share one."""
    clock = travel()
    monkeypatch.setattr("weenats.rate_limit.leases.monotonic", clock)
    transport = MemoryTransport()
    budget = SharedBudget("probe", Ledger("probe", transport))
    await budget.open()
    limiter = LeasedLimiter(budget, "x", RateLimit(max_requests_per_second=SLOW), 2)
    first, second = limiter.bucket("a"), limiter.bucket("b")
    assert limiter.bucket("a") is first
    for bucket in (first, second):
        await bucket.lease()
        bucket.take()
    further = limiter.bucket("c")
    assert further is limiter.bucket("d")
    assert further is not first
    clock.advance(1 / SLOW)
    assert limiter.bucket("e") is not further
    assert len(limiter) == 1
    await budget.close(1)
    await transport.close()


@pytest.mark.parametrize("scope", ["cluster", "", None])
def test_unknown_scope_is_rejected(scope: Any) -> None:
    """The scope is "instance" or "service"."""
    with pytest.raises(ValueError, match="scope must be 'instance' or 'service'"):
        NatsServiceBuilder(Probe()).with_rate_limit(5, scope=scope)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may answer late."""
    monkeypatch.setattr("weenats.rate_limit.ledger._TIMEOUT", LIMIT)


@pytest.fixture(autouse=True)
def quick_discovery(single_instance: None) -> None:
    """Requests for statistics end with the first instance that answers."""
    del single_instance


@pytest.fixture(scope="module")
def limited_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with a user that may share limits, and one for each permission that it lacks."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "service.yaml").write_text(CONTRACT)
    permissions = of_service(read(folder), inbox_prefix=INBOX, shared_limits=True)
    with NatsServer(config=users_config(permissions)) as running:
        yield running


@pytest.mark.parametrize(
    ("user", "is_shared"),
    [
        ("all", True),
        ("$KV.probe-limits.*", False),
        ("$JS.API.STREAM.CREATE.KV_probe-limits", False),
        ("$JS.API.DIRECT.GET.KV_probe-limits", False),
    ],
)
async def test_permissions_of_shared_limits(
    limited_server: NatsServer, user: str, *, is_shared: bool
) -> None:
    """They are sufficient; without one of them limits count per instance."""
    builder = NatsServiceBuilder(Limited(), limited_server.url, connection=service_as(user))
    builder = builder.with_rate_limit(SLOW, 2, scope="service")
    async with (
        builder.build() as service,
        OnceClient.connect(limited_server.url, connection=as_user("free"), verify="off") as client,
    ):
        await client.run("k", GO)
        stats = await client.get_service_stats(service.instance_id)
    assert stats.endpoints[0].data == {"rateLimit": {"refused": 0, "shared": is_shared}}
    free = NatsTransport(limited_server.url, as_user("free"))
    if is_shared:
        await JetStream(free).delete_stream(BUCKET)
    await free.close()


async def test_cancelled_request_loses_nothing() -> None:
    """What is taken for a caller that gives up is there for the next one."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Ledger):
        async def take(self, name: str, limit: RateLimit, amount: float) -> Grant:
            entered.set()
            await go_on.wait()
            return Grant(amount)

    budget = SharedBudget("probe", Slow("probe", MemoryTransport()))
    bucket = LeasedBucket(budget, "all", RateLimit(max_requests_per_second=100, burst=100))
    waiting = asyncio.create_task(bucket.leased())
    await entered.wait()
    await cancel_call(waiting)
    go_on.set()
    await until(lambda: not bucket.is_empty)
    assert bucket.wait() == 0.0


async def test_jetstream_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for one attempt together, and not each for its own."""
    module = importlib.import_module("weenats.rate_limit.leases")
    monkeypatch.setattr(module, "_RETRY", LIMIT)
    monkeypatch.setattr(module, "_TAKE_TIMEOUT", 0.05)
    attempts = 0

    class Silent(Ledger):
        async def take(self, name: str, limit: RateLimit, amount: float) -> Grant:
            nonlocal attempts
            attempts += 1
            await asyncio.Event().wait()
            return Grant(amount)

    budget = SharedBudget("probe", Silent("probe", MemoryTransport()))
    bucket = LeasedBucket(budget, "all", RateLimit(max_requests_per_second=100, burst=100))
    await asyncio.gather(*(bucket.leased() for _ in range(20)))
    assert attempts == 1
    assert not bucket.is_empty
    assert not budget.is_shared
