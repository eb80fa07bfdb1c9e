"""States that begin with a snapshot, and snapshots that cannot be used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from time import monotonic
from typing import Any

import pytest

from testkit.waiting import LIMIT, eventually
from testkit.wallets import Wallets, builder, client, wallets
from testkit.wire import METADATA
from weenats import NatsTransport
from weenats.aggregates.cache import Snapshot
from weenats.aggregates.snapshots import Snapshots
from weenats.transport.jetstream import JetStream, KeyValue

Amount = wallets.Amount


@pytest.fixture
async def bucket(nats_url: str) -> AsyncIterator[KeyValue]:
    """The snapshots."""
    transport = NatsTransport(nats_url)
    yield JetStream(transport).key_value("wallets-snapshots")
    await transport.close()


class CountingWallets(Wallets):
    """Wallets that count the events that are applied."""

    def __init__(self) -> None:
        super().__init__()
        self.applied = 0

    def deposited(self, state: Any, event: Any) -> Any:
        """Count."""
        self.applied += 1
        return super().deposited(state, event)


async def deposit(url: str, key: str, count: int, every: int = 10) -> None:
    """Deposit a cent several times, with a snapshot every so many events."""
    built = builder(url).with_aggregates(snapshot_every=every).build()
    async with built, client(url) as caller:
        for _ in range(count):
            await caller.deposit(key, Amount(cents=1))


async def applied_by_start(url: str, key: str) -> tuple[int, int]:
    """Return the balance that a new instance shows, and how many events it has applied for it."""
    handlers = CountingWallets()
    async with builder(url, handlers).build(), client(url) as caller:
        return (await caller.get_wallet(key)).state.balance, handlers.applied


async def test_only_events_after_the_snapshot_are_applied(nats_url: str, key: str) -> None:
    """A new instance reads the last snapshot and the few events after it."""
    await deposit(nats_url, key, 25)
    assert await applied_by_start(nats_url, key) == (25, 5)


async def test_no_snapshot_before_so_many_events(nats_url: str, key: str, bucket: KeyValue) -> None:
    """A few events need none."""
    await deposit(nats_url, key, 9)
    assert await bucket.get(f"wallet.{key}") is None
    assert await applied_by_start(nats_url, key) == (9, 9)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "nonsense"])
async def test_damaged_snapshot_is_ignored(
    nats_url: str, key: str, bucket: KeyValue, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All events are applied again; the log says that the snapshot is damaged."""
    await deposit(nats_url, key, 12)
    entry = await bucket.get(f"wallet.{key}")
    assert entry is not None
    value = entry.value
    await bucket.put(
        f"wallet.{key}",
        {
            "cut": value[:-5],
            "flipped": value.replace(b'"balance":10', b'"balance":90'),
            "empty": b"",
            "nonsense": b"\xff" * 100,
        }[damage],
    )
    assert await applied_by_start(nats_url, key) == (12, 12)
    assert "a snapshot of wallet is damaged, and is ignored" in caplog.text


@pytest.mark.parametrize(
    ("sequence", "state"),
    [
        ("7", '{"balance":90,"changes":1}'),
        (None, "null"),
        (-5, '{"balance":90,"changes":1}'),
        (0, '{"balance":"x"}'),
        (0, "["),
        (0, ""),
    ],
)
async def test_snapshot_of_another_program_is_ignored(
    nats_url: str, key: str, bucket: KeyValue, sequence: object, state: str
) -> None:
    """A snapshot with the right digest and the wrong content costs no more than its time."""
    await deposit(nats_url, key, 12)
    last = await bucket._jetstream.last("wallets-commits", f"wallets.commits.*.wallet.{key}")
    members = {
        "contract": wallets.CONTRACT.digest,
        "revision": 12,
        "sequence": last.sequence if sequence == 0 else sequence,
    }
    body = f'{json.dumps(members)[:-1]},"state":{state}}}'.encode()
    await bucket.put(f"wallet.{key}", sha256(body).hexdigest().encode() + body)
    assert await applied_by_start(nats_url, key) == (12, 12)


async def test_snapshot_of_another_contract_is_ignored(
    nats_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state may have another form."""
    encode = Snapshots._encoded

    def of_another(self: Snapshots, known: Snapshot) -> bytes:
        self._digest = "sha256:another"
        return encode(self, known)

    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "_encoded", of_another)
        await deposit(nats_url, key, 12)
    assert await applied_by_start(nats_url, key) == (12, 12)


async def test_snapshot_that_the_events_do_not_follow_on(
    nats_url: str, key: str, bucket: KeyValue, caplog: pytest.LogCaptureFixture
) -> None:
    """A snapshot of other commits, such as those of a stream that was replaced, is ignored."""
    await deposit(nats_url, f"{key}-other", 13, every=13)
    await deposit(nats_url, key, 12)
    foreign = await bucket.get(f"wallet.{key}-other")
    assert foreign is not None
    await bucket.put(f"wallet.{key}", foreign.value)
    assert await applied_by_start(nats_url, key) == (12, 12)
    assert "all its events are read again" in caplog.text


async def test_commands_go_on_without_the_bucket(
    nats_url: str, key: str, bucket: KeyValue, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing depends on snapshots: without their bucket states are made of all events."""
    del bucket
    transport = NatsTransport(nats_url)
    async with builder(nats_url).with_aggregates(snapshot_every=5).build():
        await JetStream(transport).delete_stream("KV_wallets-snapshots")
        async with client(nats_url) as caller:
            for cents in range(1, 13):
                assert (await caller.deposit(key, Amount(cents=1))).balance == cents
            await eventually(lambda: "cannot be stored" in caplog.text)
    await transport.close()
    assert await applied_by_start(nats_url, key) == (12, 12)


async def test_forgotten_keys_are_read_again(nats_url: str, key: str) -> None:
    """An instance that remembers two states serves any number of keys."""
    built = builder(nats_url).with_aggregates(cache_size=2).build()
    async with built as service, client(nats_url) as caller:
        names = [f"{key}-{number}" for number in range(10)]
        for cents in (1, 2, 3):
            results = await asyncio.gather(
                *(caller.deposit(name, Amount(cents=1)) for name in names)
            )
            assert [each.balance for each in results] == [cents] * 10
        executor = service._assembly.aggregates.executors["wallet"]
        assert len(executor._cache) == 2


async def test_refused_commands_are_not_remembered(nats_url: str, key: str) -> None:
    """Commands that are refused before they are decided leave nothing, for any number of keys."""
    built = builder(nats_url).with_aggregates(cache_size=2).build()
    async with built as service, client(nats_url) as caller:
        for number in range(10):
            wallet = {"type": "wallet", "key": f"{key}-{number}"}
            body = {"aggregateId": wallet, "command": {"cents": 1}, "metadata": METADATA}
            reply = await caller.transport.request(
                "wallets.command.wallet.deposit",
                json.dumps(body).encode(),
                b"Wee-If-Revision: none\r\n",
                monotonic() + LIMIT,
            )
            assert json.loads(reply.payload)["error"]["code"] == "INVALID_ARGUMENT"
        assert len(service._assembly.aggregates.executors["wallet"]._cache) == 0


def test_settings_are_checked(nats_url: str) -> None:
    """Wrong numbers, and services without such aggregates, are refused at once."""
    with pytest.raises(ValueError, match="cache_size is from 0 to 10000000, not -1"):
        builder(nats_url).with_aggregates(cache_size=-1)
    with pytest.raises(ValueError, match="snapshot_every is from 1 to 1000000, not 0"):
        builder(nats_url).with_aggregates(snapshot_every=0)
