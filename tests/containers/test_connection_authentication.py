"""Authentication to NATS: each method with valid and with invalid credentials."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from receipts import ReceiptsClient
from testkit.core_receipts import CoreReceipts
from testkit.counting_receipts import TEA
from testkit.nats_accounts import Account, KeyPair
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats import ConnectionOptions, NatsServiceBuilder, PermissionDeniedError

Credentials = Mapping[str, Any]


@dataclass
class Kind:
    """A server configuration with valid and invalid credentials for it."""

    config: str
    right: Credentials
    wrong: list[Credentials]
    secrets: list[str] = field(default_factory=list)


def user_and_password(folder: Path) -> Kind:
    """A user with a password."""
    return Kind(
        'authorization { user: "clerk", password: "right-hunter2" }',
        {"user": "clerk", "password": "right-hunter2"},
        [
            {"user": "clerk", "password": "wrong-hunter2"},
            {"user": "x", "password": "wrong-hunter2"},
        ],
        ["hunter2"],
    )


def token(folder: Path) -> Kind:
    """A shared token."""
    return Kind(
        'authorization { token: "right-hunter2" }',
        {"auth_token": "right-hunter2"},
        [{"auth_token": "wrong-hunter2"}],
        ["hunter2"],
    )


def nkey(folder: Path) -> Kind:
    """A public key that the server knows."""
    known, unknown = KeyPair(), KeyPair()
    (folder / "right.nk").write_text(known.seed + "\n")
    (folder / "wrong.nk").write_text(unknown.seed)
    return Kind(
        f"authorization {{ users: [ {{ nkey: {known.public} }} ] }}",
        {"nkey_seed": folder / "right.nk"},
        [{"nkey_seed": str(folder / "wrong.nk")}],
        [known.seed, unknown.seed],
    )


def operator_jwt(folder: Path) -> Kind:
    """A user JWT of an account that the server's operator has signed."""
    account, clerk = Account(), KeyPair()
    texts = {
        "right": account.credentials(clerk),
        "of another operator": Account().credentials(clerk),
        "expired": account.credentials(clerk, exp=1_700_000_000),
        "of another seed": account.credentials().split("***")[0]
        + Account().credentials(clerk).split("***")[-1],
    }
    for name, text in texts.items():
        (folder / f"{name}.creds").write_text(text)
    return Kind(
        account.config,
        {"credentials": folder / "right.creds"},
        [{"credentials": str(folder / f"{name}.creds")} for name in list(texts)[1:]],
        [clerk.seed, *(text.splitlines()[1] for text in texts.values())],
    )


@pytest.fixture(
    scope="module",
    params=[user_and_password, token, nkey, operator_jwt],
    ids=lambda kind: kind.__name__,
)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """One authentication method."""
    made: Kind = request.param(tmp_path_factory.mktemp("credentials"))
    return made


@pytest.fixture(scope="module")
def protected_server(image: str, kind: Kind) -> Iterator[NatsContainer]:
    """A server that requires this authentication method."""
    with NatsContainer(image, kind.config) as running:
        yield running


async def test_valid_credentials(kind: Kind, protected_server: NatsContainer) -> None:
    """Service and client connect, and calls succeed."""
    options = ConnectionOptions(**kind.right)
    service = NatsServiceBuilder(CoreReceipts(), protected_server.url, connection=options).build()
    async with (
        service,
        ReceiptsClient.connect(protected_server.url, connection=options) as receipts,
    ):
        assert (await receipts.add_item("r-1", TEA)).total == 0.3


async def test_rejected_credentials(
    kind: Kind, protected_server: NatsContainer, caplog: pytest.LogCaptureFixture
) -> None:
    """Invalid or missing credentials fail immediately; no error and no log contains them."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    for wrong in [*kind.wrong, {}]:
        options = ConnectionOptions(**wrong, connect_timeout=60)
        client = ReceiptsClient.connect(protected_server.url, connection=options, timeout=60)
        service = NatsServiceBuilder(
            CoreReceipts(), protected_server.url, connection=options
        ).build()
        for attempt in (partial(client.get_receipt, "r-1"), service.start):
            with pytest.raises(PermissionDeniedError, match="refused the credentials") as refused:
                await asyncio.wait_for(attempt(), LIMIT)
            told += [str(refused.value), repr(refused.value), repr(options)]
        await client.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
    shown = "\n".join([*told, caplog.text])
    assert not [secret for secret in kind.secrets if secret in shown]
