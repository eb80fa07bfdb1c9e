"""Rate limits under load: one bucket per caller, identified by its token."""

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
    """Return a client of this caller with its own connection."""
    now = int(time())
    claims = tokens.good_claims(sub=caller, iat=now, exp=now + 600, jti=f"{caller}-{monotonic()}")
    return ReceiptsClient.connect(url, token=tokens.token(claims), timeout=30)


async def add_items(client: ReceiptsClient, times: int) -> list[Receipt | BaseException]:
    """Make so many calls at once; return the results and errors."""
    calls = (client.add_item(f"r-{n}", TEA) for n in range(times))
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_rate_limited_caller_does_not_affect_others(url: str) -> None:
    """Two connections of one caller share a bucket; another caller gets its full burst."""
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
        floods = [asyncio.create_task(add_items(each, FLOOD)) for each in (ada, ada_elsewhere)]
        of_bob = await add_items(bob, BURST)
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
