"""Limits under load: each caller has a bucket of its own, told apart by its token."""

from __future__ import annotations

import asyncio
from time import monotonic, time

from receipts import Receipt, ReceiptsClient
from testkit import tokens
from testkit.counting_receipts import TEA, CountingReceipts
from weenats import NatsServiceBuilder, ResourceExhaustedError

RATE = 1.0
BURST = 20
FLOOD = 400


def client_of(caller: str, url: str) -> ReceiptsClient:
    """Return a client with a connection of its own."""
    now = int(time())
    claims = tokens.good_claims(sub=caller, iat=now, exp=now + 600, jti=f"{caller}-{monotonic()}")
    return ReceiptsClient.connect(url, token=tokens.token(claims), timeout=30)


async def add(client: ReceiptsClient, times: int) -> list[Receipt | BaseException]:
    """Make calls at once."""
    calls = (client.add_item(f"r-{n}", TEA) for n in range(times))
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_a_flood_of_one_caller_is_refused_and_others_are_served(url: str) -> None:
    """Two connections of ada share her bucket; bob has all of his while she floods."""
    handlers = CountingReceipts()
    service = (
        NatsServiceBuilder(handlers, url)
        .with_queue_group("receipts", max_concurrency=100, max_queue=10_000)
        .with_auth(tokens.config())
        .with_rate_limit(RATE, BURST, per_client=True)
        .build()
    )
    ada, ada_elsewhere, bob = (client_of(caller, url) for caller in ("ada", "ada", "bob"))
    async with service, ada, ada_elsewhere, bob:
        before = monotonic()
        floods = [asyncio.create_task(add(each, FLOOD)) for each in (ada, ada_elsewhere)]
        of_bob = await add(bob, BURST)
        of_ada = [outcome for flood in floods for outcome in await flood]
        passed = monotonic() - before
    assert all(isinstance(outcome, Receipt) for outcome in of_bob)
    served = [outcome for outcome in of_ada if isinstance(outcome, Receipt)]
    assert BURST <= len(served) <= BURST + RATE * passed + 1
    assert handlers.callers == {"ada": len(served), "bob": BURST}
    others = [outcome for outcome in of_ada if not isinstance(outcome, Receipt)]
    assert {type(outcome) for outcome in others} == {ResourceExhaustedError}
    for refused in others:
        assert isinstance(refused, ResourceExhaustedError)
        assert refused.retry_after is not None
        assert 0 < refused.retry_after <= 1 / RATE + 1
