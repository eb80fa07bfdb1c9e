"""Fuzzing: malformed messages on every subject of a running service break nothing.

`make fuzz COUNT=100000` sends more of them than a run of all tests.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import pytest

from receipts import AddItem, ItemAdded, Receipt, ReceiptsClient
from testkit.chaos.child import Child
from testkit.chaos.fuzzer import Fuzzer
from testkit.chaos.issuer import Issuer
from testkit.chaos.log_check import unexpected_records
from testkit.chaos.raw_nats import RawNats
from testkit.chaos.resources import resident_bytes
from testkit.chaos.settings import ProcessSettings
from testkit.chaos.templates import OPERATIONS, notices, questions, requests
from testkit.waiting import LIMIT
from weenats import ReceivedEvent
from weenats.testing import NatsServer

COUNT: Final = int(os.environ.get("COUNT") or 5000)
SEED: Final = int(os.environ.get("SEED") or Random().randrange(1, 2**31))
BATCH: Final = 150
"""Fewer than may wait, so that each is run."""
ITEM: Final = AddItem(name="Tea", price=0.1, quantity=3)

pytestmark = [pytest.mark.timing, pytest.mark.timeout(180 + COUNT // 50)]


@asynccontextmanager
async def serving(server: NatsServer, issuer: Issuer, folder: Path) -> AsyncIterator[Child]:
    """Serve receipts with all features enabled, in its own process."""
    settings = ProcessSettings(
        name="service",
        servers=(server.url,),
        user="service",
        password="service",
        issuer=issuer.keys_uri,
        journal=None,
        seed=SEED,
        eventful=False,
        rate_limit=1e6,
    )
    child = await Child("serve_receipts.py", settings, folder / "service.log").start()
    try:
        yield child
        assert await child.stop() == 0
    finally:
        await child.kill()


async def request_counts(client: ReceiptsClient) -> tuple[int, int]:
    """Return the number of requests that the service counted, and of errors among them."""
    stats = await client.get_service_stats()
    return (
        sum(each.num_requests for each in stats.endpoints),
        sum(each.num_errors for each in stats.endpoints),
    )


def inboxes_of(client: ReceiptsClient) -> list[str]:
    """Return the first reply subjects of a client."""
    mux = client.transport._inbox.mux  # type: ignore[attr-defined]
    return [mux.wildcard.replace("*", str(number)) for number in range(3)]


async def test_malformed_messages_on_every_subject(
    own_nats_server: NatsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every request gets a reply; state, counters, client and memory stay intact."""
    caplog.set_level(logging.ERROR)
    print(f"again: make fuzz COUNT={COUNT} SEED={SEED}")
    with closing(Issuer()) as issuer:
        async with (
            serving(own_nats_server, issuer, tmp_path) as service,
            ReceiptsClient.connect(own_nats_server.url, token=issuer.token) as client,
            RawNats(own_nats_server.port) as nats,
        ):
            kept = await client.add_item("kept", ITEM)
            events: asyncio.Queue[ReceivedEvent[ItemAdded]] = asyncio.Queue()
            await client.subscribe_item_added(events.put)
            (instance,) = await client.list_instances()
            asked = questions([instance.id])
            answering = [*OPERATIONS, *(frame.subject for frame in asked)]
            fuzzer = Fuzzer(nats, Random(SEED), answering)
            others = [*asked, *notices(inboxes_of(client))]
            before = await request_counts(client)
            memory = []
            for sent in range(0, COUNT, BATCH):
                mine = requests(issuer.token(), f"fuzz-{sent}")
                await fuzzer.send(mine * 4 + others, min(BATCH, COUNT - sent))
                memory.append(resident_bytes(service.process_id))
            await check_counters(client, before, fuzzer)
            await check_state(client, kept, events)
            check_memory(memory)
    assert list(unexpected_records(service.log)) == []
    assert [record.getMessage() for record in caplog.records] == []


async def check_counters(client: ReceiptsClient, before: tuple[int, int], fuzzer: Fuzzer) -> None:
    """Check that every request and every failure was counted once."""
    async with asyncio.timeout(LIMIT):  # those that are answered to others may still run
        while (now := await request_counts(client))[0] - before[0] < fuzzer.requests:
            pass
    print(f"{fuzzer.requests} requests, {fuzzer.failed} of them refused or dropped")
    assert now[0] - before[0] == fuzzer.requests
    assert 0 <= now[1] - before[1] - fuzzer.failed <= fuzzer.unseen


async def check_state(
    client: ReceiptsClient, kept: Receipt, events: asyncio.Queue[ReceivedEvent[ItemAdded]]
) -> None:
    """Check that earlier state is kept, and that calls and events still work."""
    assert (await client.get_receipt("kept")).state == kept
    assert len((await client.add_item("kept", ITEM)).items) == 2
    async with asyncio.timeout(LIMIT):
        while (await events.get()).key != "kept":
            pass


def check_memory(memory: list[int]) -> None:
    """Check that the memory of the service does not grow."""
    part = max(len(memory) // 5, 1)
    early, late = median(memory[part : 2 * part]), median(memory[-part:])
    print(f"memory {early / 1e6:.1f} MB, then {late / 1e6:.1f} MB")
    assert late < early * 1.05
