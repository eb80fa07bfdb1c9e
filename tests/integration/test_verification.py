"""Clients compare their contract with those that run, over a real nats-server."""

from __future__ import annotations

import asyncio
import gzip
import importlib.metadata
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from testkit import shops
from testkit.discovery import ExpectAnswers
from testkit.foreign_service import foreign_service, micro
from testkit.nats_users import as_user, config_of
from testkit.waiting import LIMIT, until
from weenats import (
    DeadlineExceededError,
    IncompatibleContractError,
    InvalidArgumentError,
    NoRespondersError,
    PermissionDeniedError,
)
from weenats.client import verification
from weenats.testing import NatsServer
from weenats_codegen.documents import breaking
from weenats_codegen.permissions.entries import Permissions

NARROWED = 'the new version refuses a request without the member "price"'


class Found:
    """An entry point that gives something, or raises an exception."""

    def __init__(self, value: object) -> None:
        self._value = value

    def load(self) -> object:
        """Return the object."""
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


@pytest.fixture(autouse=True)
def fresh(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, single_instance: None
) -> Iterator[None]:
    """What other tests found is forgotten, and no process is started to compare contracts."""
    del single_instance  # a test with more of them takes `expect_answers`
    caplog.set_level(logging.INFO, logger="weenats.client")
    monkeypatch.setattr(verification, "entry_points", lambda group: [Found(breaking)])
    verification.forget_verified()
    yield
    verification.forget_verified()


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator is not installed."""
    missing = ModuleNotFoundError(name="jinja2")
    monkeypatch.setattr(verification, "entry_points", lambda group: [Found(missing)])


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what clients logged."""
    return [each.getMessage() for each in caplog.records if each.name == "weenats.client"]


async def verified(client: Any) -> None:
    """Wait for the verification in the background."""
    await asyncio.wait([client._verification._task])


def impostor(document: bytes, digest: str = "sha256:other") -> dict[str, bytes]:
    """Return the answers of an instance that sends anything as its contract."""
    identity = {"version": "2.0.0", "metadata": {"contract": digest}}
    answers = micro("shop", "i1", identity=identity)
    return {**answers, "shop.instance.i1.contract": document}


async def test_same_contract_is_not_asked_for(
    nats_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With equal digests there is one request, and nothing to say."""
    monkeypatch.setattr(verification, "get_contract_document", None)
    async with (
        shops.builder(shops.OLD, nats_url).build(),
        shops.client(shops.OLD, nats_url) as client,
        shops.client(shops.OLD, nats_url, verify="strict") as strict,
    ):
        await verified(client)
        assert await strict.ping()
    assert said(caplog) == []


async def test_incompatible_contract_warns_once(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning has the finding, the instance and the versions; calls do not wait for it."""
    async with shops.builder(shops.BREAKING, nats_url).build() as service:
        for _ in range(2):
            async with shops.client(shops.OLD, nats_url) as client:
                assert await client.ping()
                await verified(client)
    [warning] = said(caplog)
    assert warning.startswith(
        "this client of shop 1.0.0 (the old version below) is not compatible with what is running"
    )
    assert f"in shop 2.0.0 ({service.instance_id}): " in warning
    assert NARROWED in warning
    assert "the running service has no operation refund (operation-removed)" in warning


@pytest.mark.slow
async def test_installed_generator_compares(
    nats_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry point of the generator compares contracts in a process of its own."""
    monkeypatch.setattr(verification, "entry_points", importlib.metadata.entry_points)
    monkeypatch.setattr("weenats_codegen.documents.breaking", None)
    for limit in ("weenats_codegen.isolated._TIMEOUT", "weenats.client.verification._TIMEOUT"):
        monkeypatch.setattr(limit, 3 * LIMIT)  # a busy machine may need longer
    async with (
        shops.builder(shops.BREAKING, nats_url).build(),
        shops.client(shops.OLD, nats_url) as client,
    ):
        await verified(client)
    assert NARROWED in said(caplog)[0]


async def test_warns_without_a_block(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client that connects with its first call verifies then."""
    async with shops.builder(shops.BREAKING, nats_url).build():
        client = shops.client(shops.OLD, nats_url)
        assert client._verification._task is None
        assert await client.ping()
        await verified(client)
        await client.close()
    assert len(said(caplog)) == 1


async def test_strict_fails_on_connecting(nats_url: str) -> None:
    """The error is typed, has the findings, and repeats; the connection is closed."""
    async with shops.builder(shops.BREAKING, nats_url).build():
        for _ in range(2):
            client = shops.client(shops.OLD, nats_url, verify="strict")
            with pytest.raises(IncompatibleContractError, match="request-narrowed") as caught:
                async with client:
                    pass
            assert not client.transport.is_connected
            assert any(NARROWED in each for each in caught.value.findings)
            assert len(caught.value.findings) == 2


async def test_strict_fails_on_the_first_call(nats_url: str) -> None:
    """Without a block no call is sent until the verification succeeds; then none waits."""
    client = shops.client(shops.OLD, nats_url, verify="strict")
    async with shops.builder(shops.BREAKING, nats_url).build():
        calls = [client.ping() for _ in range(3)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in failures} == {IncompatibleContractError}
    with pytest.raises(NoRespondersError, match="no instance of shop is running"):
        await client.ping()
    async with shops.builder(shops.OLD, nats_url).build():
        assert await client.ping()
        task = client._verification._task
        assert await client.ping()
        assert client._verification._task is task
        assert len(client._chains) == 1
    await client.close()


@pytest.mark.parametrize("mode", ["strict", "warn"])
async def test_client_is_older(nats_url: str, caplog: pytest.LogCaptureFixture, mode: str) -> None:
    """A service that has more than its client knows is compatible."""
    async with (
        shops.builder(shops.COMPATIBLE, nats_url).build(),
        shops.client(shops.OLD, nats_url, verify=mode) as client,
    ):
        await verified(client)
    assert said(caplog) == []


async def test_client_is_newer(nats_url: str) -> None:
    """A client of 1.1.0 is not compatible with 1.0.0, if it sends what that refuses."""
    async with shops.builder(shops.BREAKING, nats_url).build():
        with pytest.raises(IncompatibleContractError, match=r"client of shop 1\.1\.0"):
            async with shops.client(shops.COMPATIBLE, nats_url, verify="strict"):
                pass
    async with (
        shops.builder(shops.OLD, nats_url).build(),
        shops.client(shops.BREAKING, nats_url, verify="strict") as client,
    ):
        assert await client.ping()


async def test_two_versions_side_by_side(
    nats_url: str, caplog: pytest.LogCaptureFixture, expect_answers: ExpectAnswers
) -> None:
    """The instance that is not compatible is found beside others, whichever answers calls."""
    expect_answers(2)
    async with (
        shops.builder(shops.OLD, nats_url).build() as old,
        shops.builder(shops.BREAKING, nats_url).build() as new,
        shops.client(shops.OLD, nats_url) as client,
    ):
        await verified(client)
    [warning] = said(caplog)
    assert new.instance_id in warning
    assert old.instance_id not in warning


async def test_off_sends_nothing(nats_url: str) -> None:
    """Without verification the only message of a call is its request."""
    async with (
        shops.builder(shops.BREAKING, nats_url).build(),
        shops.client(shops.OLD, nats_url, verify="off") as client,
    ):
        assert client._verification is None
        assert await client.ping()


@pytest.mark.usefixtures("without_engine")
@pytest.mark.parametrize(
    ("client", "service", "is_promised"),
    [
        (shops.OLD, shops.COMPATIBLE, True),
        (shops.COMPATIBLE, shops.OLD, False),
        (shops.OLD, shops.BREAKING, False),
    ],
)
async def test_without_the_generator_versions_decide(
    nats_url: str, caplog: pytest.LogCaptureFixture, client: str, service: str, is_promised: bool
) -> None:
    """Semantic versions promise compatibility; else the warning says how to see the finding."""
    async with (
        shops.builder(service, nats_url).build(),
        shops.client(client, nats_url) as connected,
    ):
        await verified(connected)
    assert bool(said(caplog)) is not is_promised
    assert all("`weenats diff` shows what differs" in each for each in said(caplog))


async def test_sync_client(nats_url: str) -> None:
    """A synchronous client takes the same option."""
    package = shops.package(shops.OLD)

    def connect() -> None:
        with package.ShopSyncClient.connect(nats_url, verify="strict"):
            pass

    async with shops.builder(shops.BREAKING, nats_url).build():
        with pytest.raises(IncompatibleContractError, match="request-narrowed"):
            await asyncio.to_thread(connect)


def test_unknown_option() -> None:
    """A wrong value is refused at once."""
    with pytest.raises(InvalidArgumentError, match="verify is 'strict', 'warn' or 'off'"):
        shops.client(shops.OLD, "nats://localhost", verify="always")


async def test_closing_ends_it(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client that is closed while it verifies leaves no task and no message behind."""
    async with shops.builder(shops.BREAKING, nats_url).build():
        async with shops.client(shops.OLD, nats_url) as client:
            task = client._verification._task
        assert task.cancelled()
    assert said(caplog) == []


async def test_denied_by_nats(caplog: pytest.LogCaptureFixture) -> None:
    """Without the permission a client works, and says that it did not verify; strict fails."""
    deaf = Permissions((), ())
    with NatsServer(config=config_of({"free": None, "deaf": deaf})) as server:
        async with shops.client(shops.OLD, server.url, connection=as_user("deaf")) as client:
            await verified(client)
        with pytest.raises(PermissionDeniedError):
            async with shops.client(
                shops.OLD, server.url, connection=as_user("deaf"), verify="strict"
            ):
                pass
    [line] = said(caplog)
    assert line.startswith("the contract of shop was not verified: PERMISSION_DENIED")


BOMB = gzip.compress(b" " * 20_000_000, 1)
"""Claims to be 20 MB, more than a document may have."""


@pytest.mark.parametrize(
    "document",
    [b"", b"\xff\x00", b"null", b'{"service":"shop"}', b"[" * 100_000, BOMB, b'{"a":NaN}'],
    ids=["empty", "garbage", "null", "incomplete", "deep", "bomb", "nan"],
)
async def test_garbage_is_no_contract(
    nats_url: str, caplog: pytest.LogCaptureFixture, document: bytes
) -> None:
    """What is no document leaves the decision to the versions."""
    with foreign_service(nats_url, impostor(document), name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
    [warning] = said(caplog)
    assert "in shop 2.0.0 (i1): it has another contract" in warning


@pytest.mark.parametrize("version", [shops.OLD, shops.BREAKING])
async def test_wrong_digest_is_not_believed(
    nats_url: str, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    """A document that does not have the reported digest is not compared."""
    document = shops.package(version).CONTRACT.document().encode()
    with foreign_service(nats_url, impostor(document), name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
    [warning] = said(caplog)
    assert "which was not compared" in warning


async def test_contract_of_another_service(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The document of another contract is not compared, whatever digest goes with it."""
    from receipts import CONTRACT

    assert CONTRACT.document is not None
    answers = impostor(CONTRACT.document().encode(), CONTRACT.digest)
    with foreign_service(nats_url, answers, name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
    assert "which was not compared" in said(caplog)[0]


async def test_silent_instance(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that does not send its contract does not hold up strict clients for long."""
    monkeypatch.setattr(verification, "_TIMEOUT", 1.0)
    answers = impostor(b"")
    del answers["shop.instance.i1.contract"]
    with (
        foreign_service(nats_url, answers, name="shop"),
        pytest.raises(IncompatibleContractError, match="it has another contract"),
    ):
        async with shops.client(shops.OLD, nats_url, verify="strict"):
            pass


async def test_verification_takes_too_long(
    nats_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification that does not end is given up: strict clients fail, others go on."""

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(verification, "list_instances", hang)
    monkeypatch.setattr(verification, "_TIMEOUT", 0.01)
    async with shops.client(shops.OLD, nats_url) as client:
        await verified(client)
    assert said(caplog) == ["the contract of shop was not verified: TimeoutError"]
    with pytest.raises(DeadlineExceededError, match=r"not verified within 0\.01 seconds"):
        async with shops.client(shops.OLD, nats_url, verify="strict"):
            pass


async def test_memory_of_findings_is_bounded(
    nats_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is forgotten when it becomes too much, and then logged again."""
    monkeypatch.setattr(verification, "_MAX_KNOWN", 1)
    async with shops.builder(shops.BREAKING, nats_url).build():
        for version in (shops.OLD, shops.COMPATIBLE, shops.OLD):
            async with shops.client(version, nats_url) as client:
                await verified(client)
    assert len(said(caplog)) == 3
    assert len(verification._KNOWN) == 1


async def test_foreign_service_of_the_same_name(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A service without digest says nothing of its contract: fine, except for strict clients."""
    with foreign_service(nats_url, micro("shop", "f1"), name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
        assert said(caplog) == []
        with pytest.raises(IncompatibleContractError, match="does not report which contract"):
            async with shops.client(shops.OLD, nats_url, verify="strict"):
                pass


async def test_text_of_others_is_escaped(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """An id that would control a terminal is escaped in the log."""
    identity = {"version": "9.0.0", "metadata": {"contract": "\x1b[2J"}}
    with foreign_service(nats_url, micro("shop", "\x1b[31m", identity=identity), name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
    [warning] = said(caplog)
    assert warning.isprintable()


async def test_at_most_a_few_versions_are_asked(
    nats_url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    expect_answers: ExpectAnswers,
) -> None:
    """A flood of instances with contracts of their own costs a bounded number of requests."""
    asked: list[str] = []

    async def ask(transport: object, service: str, instance_id: str) -> bytes:
        asked.append(instance_id)
        return b""

    monkeypatch.setattr(verification, "get_contract_document", ask)
    flood = [
        micro("shop", f"i{n}", identity={"metadata": {"contract": f"sha256:{n}"}})
        for n in range(20)
    ]
    expect_answers(len(flood))
    with foreign_service(nats_url, *flood, name="shop"):
        async with shops.client(shops.OLD, nats_url) as client:
            await verified(client)
    assert len(asked) == verification._MAX_VERSIONS
    await until(lambda: said(caplog))
