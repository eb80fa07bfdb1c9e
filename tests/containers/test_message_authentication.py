"""Token authentication per message, over a connection without credentials."""

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
    """Return a token that is valid now, with these claims changed."""
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
    """Handlers that count their callers."""
    return CountingReceipts()


@pytest.fixture
async def anonymous_client(url: str, handlers: CountingReceipts) -> AsyncIterator[ReceiptsClient]:
    """A client without a token, of a service that requires one."""
    builder = NatsServiceBuilder(handlers, url).with_auth(tokens.config())
    async with builder.build(), ReceiptsClient.connect(url) as client:
        yield client


async def test_valid_token(anonymous_client: ReceiptsClient, handlers: CountingReceipts) -> None:
    """The token of each message identifies its caller on a shared connection."""
    for caller in ("ada", "bob", "ada"):
        await anonymous_client.with_token(token_of(caller)).add_item("r-1", TEA)
    assert handlers.callers == {"ada": 2, "bob": 1}


@pytest.mark.parametrize("token", INVALID.values(), ids=INVALID)
async def test_invalid_token(
    anonymous_client: ReceiptsClient, handlers: CountingReceipts, token: str
) -> None:
    """An invalid token is rejected without details; the next valid one is accepted."""
    with pytest.raises(UnauthenticatedError) as refused:
        await anonymous_client.with_token(token).add_item("r-1", TEA)
    assert refused.value.remote
    assert token not in str(refused.value)
    assert not handlers.executed
    await anonymous_client.with_token(token_of("ada")).add_item("r-1", TEA)


async def test_missing_token(anonymous_client: ReceiptsClient, handlers: CountingReceipts) -> None:
    """A call without a token is rejected before the handler."""
    with pytest.raises(UnauthenticatedError) as refused:
        await anonymous_client.add_item("r-1", TEA)
    assert refused.value.remote
    assert not isinstance(refused.value, PermissionDeniedError)
    assert not handlers.executed
