"""Tokens in messages, over a connection that everybody may open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import time
from typing import Any

import pytest

from receipts import ReceiptsClient
from testkit import tokens
from testkit.counting_receipts import TEA, CountingReceipts
from weenats import NatsServiceBuilder, PermissionDeniedError, UnauthenticatedError


def token_of(caller: str, **claims: Any) -> str:
    """Return a token that is good now, but for what a test changes."""
    now = int(time())
    good = {"sub": caller, "iat": now, "exp": now + 3600}
    return tokens.token(tokens.good_claims(**good | claims))


NOW = int(time())
FORGED = tokens.signed(
    {"alg": "EdDSA", "typ": "JWT"},
    tokens.good_claims(iat=NOW, exp=NOW + 3600),
    key=tokens.private_key("EdDSA", which=1),
)
INVALID = {
    "expired": token_of("ada", iat=NOW - 900, exp=NOW - 300),
    "for somebody else": token_of("ada", aud="invoices"),
    "of another issuer": token_of("ada", iss="https://other.example"),
    "without a subject": token_of("ada", sub=None),
    "signed by another key": FORGED,
    "unsigned": f"{token_of('ada').rpartition('.')[0]}.",
    "no token at all": "hello",
}


@pytest.fixture
def handlers() -> CountingReceipts:
    """Handlers that note who called."""
    return CountingReceipts()


@pytest.fixture
async def anybody(url: str, handlers: CountingReceipts) -> AsyncIterator[ReceiptsClient]:
    """A client without a token, of a service that asks for one."""
    builder = NatsServiceBuilder(handlers, url).with_auth(tokens.config())
    async with builder.build(), ReceiptsClient.connect(url) as client:
        yield client


async def test_a_valid_token(anybody: ReceiptsClient, handlers: CountingReceipts) -> None:
    """Callers on one connection are told apart by the token of each message."""
    for caller in ("ada", "bob", "ada"):
        await anybody.with_token(token_of(caller)).add_item("r-1", TEA)
    assert handlers.callers == {"ada": 2, "bob": 1}


@pytest.mark.parametrize("token", INVALID.values(), ids=INVALID)
async def test_an_invalid_token(
    anybody: ReceiptsClient, handlers: CountingReceipts, token: str
) -> None:
    """It is refused, its caller learns no more than that, and the next good one is served."""
    with pytest.raises(UnauthenticatedError) as refused:
        await anybody.with_token(token).add_item("r-1", TEA)
    assert refused.value.remote
    assert token not in str(refused.value)
    assert not handlers.executed
    await anybody.with_token(token_of("ada")).add_item("r-1", TEA)


async def test_a_missing_token(anybody: ReceiptsClient, handlers: CountingReceipts) -> None:
    """It is refused before the handler."""
    with pytest.raises(UnauthenticatedError) as refused:
        await anybody.add_item("r-1", TEA)
    assert refused.value.remote
    assert not isinstance(refused.value, PermissionDeniedError)
    assert not handlers.executed
