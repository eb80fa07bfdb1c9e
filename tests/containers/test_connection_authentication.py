"""Each way to prove to NATS who opens a connection: let in when right, refused when not."""

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
from receipts.handlers import Receipts
from testkit.counting_receipts import TEA
from testkit.nats_accounts import Account, KeyPair
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats import ConnectionOptions, NatsServiceBuilder, PermissionDeniedError

Credentials = Mapping[str, Any]


@dataclass
class Kind:
    """A server's configuration, credentials that it takes, and some that it does not."""

    config: str
    right: Credentials
    wrong: list[Credentials]
    secrets: list[str] = field(default_factory=list)


def user_and_password(folder: Path) -> Kind:
    """A user of the server."""
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
    """A token that all share."""
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
    """A JWT of an account that the server's operator vouches for."""
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
    """One way to prove it."""
    made: Kind = request.param(tmp_path_factory.mktemp("credentials"))
    return made


@pytest.fixture(scope="module")
def closed(image: str, kind: Kind) -> Iterator[NatsContainer]:
    """A server that lets in whoever proves it in this way."""
    with NatsContainer(image, kind.config) as running:
        yield running


async def test_the_right_credentials(kind: Kind, closed: NatsContainer) -> None:
    """With them a service serves, and its client calls."""
    options = ConnectionOptions(**kind.right)
    service = NatsServiceBuilder(Receipts(), closed.url, connection=options).build()
    async with service, ReceiptsClient.connect(closed.url, connection=options) as receipts:
        assert (await receipts.add_item("r-1", TEA)).total == 0.3


async def test_refused_credentials(
    kind: Kind, closed: NatsContainer, caplog: pytest.LogCaptureFixture
) -> None:
    """Wrong ones and none are told at once, to client and service; nobody reads them anywhere."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    for wrong in [*kind.wrong, {}]:
        options = ConnectionOptions(**wrong, connect_timeout=60)
        client = ReceiptsClient.connect(closed.url, connection=options, timeout=60)
        service = NatsServiceBuilder(Receipts(), closed.url, connection=options).build()
        for attempt in (partial(client.get, "r-1"), service.start):
            with pytest.raises(PermissionDeniedError, match="refused the credentials") as refused:
                await asyncio.wait_for(attempt(), LIMIT)
            told += [str(refused.value), repr(refused.value), repr(options)]
        await client.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
    shown = "\n".join([*told, caplog.text])
    assert not [secret for secret in kind.secrets if secret in shown]
