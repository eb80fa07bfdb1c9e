"""A user JWT that expires while it is in use and is renewed in the same .creds file."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import time

import pytest

from receipts import ReceiptsClient
from testkit.core_receipts import CoreReceipts
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
    """The account that issues user credentials."""
    return Account()


@pytest.fixture
def protected_server(image: str, account: Account) -> Iterator[NatsContainer]:
    """A server that accepts users of the account."""
    with NatsContainer(image, account.config) as running:
        yield running


@pytest.fixture
def credentials(tmp_path: Path, account: Account) -> Path:
    """A credentials file that expires after a few seconds."""
    file = tmp_path / "clerk.creds"
    file.write_text(account.credentials(exp=int(time()) + LIFETIME))
    return file


@pytest.fixture
async def service(protected_server: NatsContainer, credentials: Path) -> AsyncIterator[NatsService]:
    """The sample service with these credentials."""
    options = ConnectionOptions(credentials=credentials, reconnect_wait=0.05)
    builder = NatsServiceBuilder(CoreReceipts(), protected_server.url, connection=options)
    async with builder.with_drain_timeout(1).build() as serving:
        yield serving


@pytest.fixture
async def receipts(
    protected_server: NatsContainer, credentials: Path, service: NatsService
) -> AsyncIterator[ReceiptsClient]:
    """Its client, with the same credentials."""
    options = ConnectionOptions(credentials=credentials, reconnect_wait=0.05)
    async with ReceiptsClient.connect(protected_server.url, connection=options) as client:
        yield client


def holds(file: Path) -> str:
    """Return the content of the file."""
    return file.read_text()


def hold(file: Path, text: str) -> None:
    """Replace the content of the file."""
    file.write_text(text)


async def until_expired(receipts: ReceiptsClient, logged: pytest.LogCaptureFixture) -> None:
    """Call until the server has closed both connections and rejected the credentials of both."""
    async with asyncio.timeout(LIMIT):
        while logged.text.count("Authorization Violation") < 2:
            with contextlib.suppress(UnavailableError, DeadlineExceededError):
                await receipts.get_receipt("r-1", timeout=0.1)


@pytest.mark.parametrize("meanwhile", [None, "half of a fi", ""], ids=["old", "broken", "empty"])
async def test_renewed_credentials_are_used(
    receipts: ReceiptsClient,
    credentials: Path,
    account: Account,
    meanwhile: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls fail with the reason, and succeed once the file has a valid JWT."""
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
                await receipts.get_receipt("r-1", timeout=0.1)
            if refused in str(told.value):
                break
    hold(credentials, account.credentials(exp=int(time()) + 3600))
    revision = 0
    async with asyncio.timeout(LIMIT):
        while not revision:  # the client may be back before the service: nobody listens then
            with contextlib.suppress(UnavailableError):
                revision = (await receipts.get_receipt("r-1", timeout=10)).revision
    assert revision == 1
    assert not [secret for secret in secrets if secret in caplog.text]


async def test_service_with_expired_credentials_can_be_stopped(
    service: NatsService, receipts: ReceiptsClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs the error and keeps trying to reconnect; stop() is not delayed."""
    await receipts.add_item("r-1", TEA)
    await until_expired(receipts, caplog)
    assert service.is_serving
    assert [record.levelname for record in caplog.records if "Violation" in record.message] == [
        "ERROR",
        "ERROR",
    ]
    await asyncio.wait_for(service.stop(), LIMIT)
