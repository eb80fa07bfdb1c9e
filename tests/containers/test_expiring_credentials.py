"""A user JWT that expires while it is used, and is renewed in the same .creds file."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import time

import pytest

from receipts import ReceiptsClient
from receipts.handlers import Receipts
from testkit.counting_receipts import TEA
from testkit.nats_accounts import Account
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats import (
    ConnectionOptions,
    DeadlineExceededError,
    NatsService,
    NatsServiceBuilder,
    UnavailableError,
)

LIFETIME = 3


@pytest.fixture
def account() -> Account:
    """Who vouches for users."""
    return Account()


@pytest.fixture
def closed(image: str, account: Account) -> Iterator[NatsContainer]:
    """A server that lets the account's users in."""
    with NatsContainer(image, account.config) as running:
        yield running


@pytest.fixture
def credentials(tmp_path: Path, account: Account) -> Path:
    """Credentials that expire in a moment."""
    file = tmp_path / "clerk.creds"
    file.write_text(account.credentials(exp=int(time()) + LIFETIME))
    return file


@pytest.fixture
async def service(closed: NatsContainer, credentials: Path) -> AsyncIterator[NatsService]:
    """The sample service with these credentials."""
    options = ConnectionOptions(credentials=credentials, reconnect_wait=0.05)
    builder = NatsServiceBuilder(Receipts(), closed.url, connection=options)
    async with builder.with_drain_timeout(1).build() as serving:
        yield serving


@pytest.fixture
async def receipts(
    closed: NatsContainer, credentials: Path, service: NatsService
) -> AsyncIterator[ReceiptsClient]:
    """Its client, with the same credentials."""
    options = ConnectionOptions(credentials=credentials, reconnect_wait=0.05)
    async with ReceiptsClient.connect(closed.url, connection=options) as client:
        yield client


def holds(file: Path) -> str:
    """Return what a file holds."""
    return file.read_text()


def hold(file: Path, text: str) -> None:
    """Let it hold something else."""
    file.write_text(text)


async def until_expired(receipts: ReceiptsClient, logged: pytest.LogCaptureFixture) -> None:
    """Call until the server has ended both connections and refused the credentials to both."""
    async with asyncio.timeout(LIMIT):
        while logged.text.count("Authorization Violation") < 2:
            with contextlib.suppress(UnavailableError, DeadlineExceededError):
                await receipts.get("r-1", timeout=0.1)


@pytest.mark.parametrize("meanwhile", [None, "half of a fi", ""], ids=["old", "broken", "empty"])
async def test_renewed_credentials_are_found(
    receipts: ReceiptsClient,
    credentials: Path,
    account: Account,
    meanwhile: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls fail with a typed error that says why, and succeed once the file holds a good JWT."""
    secrets = re.findall(r"^(?:ey|SU)\S+", holds(credentials), re.MULTILINE)
    assert len(secrets) == 2
    await receipts.add_item("r-1", TEA)
    await until_expired(receipts, caplog)
    refused = "the server refuses the credentials"
    if meanwhile is not None:
        hold(credentials, meanwhile)
        refused = f"{credentials} does not contain"
    async with asyncio.timeout(LIMIT):
        while True:
            with pytest.raises(UnavailableError) as told:
                await receipts.get("r-1", timeout=0.1)
            if refused in str(told.value):
                break
    hold(credentials, account.credentials(exp=int(time()) + 3600))
    revision = 0
    async with asyncio.timeout(LIMIT):
        while not revision:  # the client may be back before the service: nobody listens then
            with contextlib.suppress(UnavailableError):
                revision = (await receipts.get("r-1", timeout=10)).revision
    assert revision == 1
    assert not [secret for secret in secrets if secret in caplog.text]


async def test_a_service_that_is_locked_out_stops_when_it_is_told(
    service: NatsService, receipts: ReceiptsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Without renewal it says so in its log, goes on trying, and a stop is not held up."""
    await receipts.add_item("r-1", TEA)
    await until_expired(receipts, caplog)
    assert service.is_serving
    assert [record.levelname for record in caplog.records if "Violation" in record.message] == [
        "ERROR",
        "ERROR",
    ]
    await asyncio.wait_for(service.stop(), LIMIT)
