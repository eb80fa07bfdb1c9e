"""Mocks: services that answer from their contracts, over a real nats-server."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from receipts import (
    AddItem,
    EmptyReceiptError,
    Finalize,
    InvalidReceiptStateError,
    ItemAdded,
    ItemNotFoundError,
    ReceiptNotFoundError,
    ReceiptsClient,
    RemoveItem,
)
from testkit.contexts import make_context
from testkit.forked_commands import forked_command
from testkit.parcels import CONTRACT_FOLDER, Delivered, ParcelsClient, remove_streams
from testkit.paths import GOLDEN, GOLDEN_CONTRACTS, REPOSITORY, golden_name
from testkit.wallets import client, wallets
from weenats import NatsServiceBuilder
from weenats.discovery import get_contract_document
from weenats.errors import InvalidArgumentError, ServiceError, UnauthenticatedError
from weenats.events import ReceivedEvent
from weenats.transport.jetstream import JetStream, JetStreamRefusedError, StreamConfig
from weenats_codegen.cli import mock as mock_command
from weenats_codegen.cli.main import main
from weenats_codegen.mock import Call, Mock

pytest_plugins = ["weenats_codegen.mock.plugin"]
SAMPLE = REPOSITORY / "schemas/receipts"
TEA = AddItem(name="Tea", price=3.5, quantity=2)
MockService = Callable[[str | Path], AbstractAsyncContextManager[Mock]]


async def test_answers_fit_the_contract(mock_service: MockService, nats_url: str) -> None:
    """Every operation answers what the generated client accepts, and calls are recorded."""
    async with mock_service(SAMPLE) as mock, ReceiptsClient.connect(nats_url) as receipts:
        receipt = await receipts.add_item("r-1", TEA)
        entity = await receipts.get_receipt("r-1")
        summary = await receipts.summary()
        assert (entity.id.key, entity.state, entity.revision) == ("r-1", receipt, 1)
        assert summary.open >= 0
        assert mock.calls == [
            Call("add-item", "r-1", {"name": "Tea", "price": 3.5, "quantity": 2}),
            Call("receipt.get", "r-1", None),
            Call("summary", None, None),
        ]


async def test_mock_sends_its_contract(mock_service: MockService, nats_url: str) -> None:
    """A mock answers with the document of its contract, whose files are gone by then."""
    async with mock_service(SAMPLE), ReceiptsClient.connect(nats_url) as receipts:
        [instance] = await receipts.list_instances()
        document = await get_contract_document(receipts.transport, "receipts", instance.id)
    assert json.loads(document)["service"] == "receipts"


async def test_errors_on_demand(mock_service: MockService, nats_url: str) -> None:
    """A declared error is answered for a key with its name, and after `fail`."""
    async with mock_service(str(SAMPLE)) as mock, ReceiptsClient.connect(nats_url) as receipts:
        with pytest.raises(ItemNotFoundError) as caught:
            await receipts.remove_item("item-not-found", RemoveItem(name="Tea"))
        assert isinstance(caught.value.details.name, str)
        mock.fail("finalize", "empty-receipt")
        with pytest.raises(EmptyReceiptError):
            await receipts.finalize("r-1", Finalize())
        mock.fail("add-item", "invalid-receipt-state", {"status": "voided"})
        with pytest.raises(InvalidReceiptStateError) as refused:
            await receipts.add_item("r-1", TEA)
        assert refused.value.details.status == "voided"
        mock.fail("get", "receipt-not-found")
        with pytest.raises(ReceiptNotFoundError):
            await receipts.get_receipt("r-1")
        mock.reset()
        await receipts.finalize("r-1", Finalize())
        assert len(mock.calls) == 1


async def test_each_failure_is_an_error_of_its_own() -> None:
    """An error that is raised again and again would keep the tracebacks of all calls."""
    mock = Mock(SAMPLE)
    mock.fail("get", "receipt-not-found")
    handlers: Any = mock._handlers()
    errors: list[BaseException] = []
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            await handlers.get_receipt("r-1", make_context())
        errors.append(caught.value)
    assert errors[0] is not errors[1]


async def test_answers_on_demand(mock_service: MockService, nats_url: str) -> None:
    """`answer` sets the result of an operation, and ends its errors."""
    async with mock_service(SAMPLE) as mock, ReceiptsClient.connect(nats_url) as receipts:
        state = {"id": "r-7", "status": "closed", "items": [], "total": 0}
        mock.fail("get", "receipt-not-found")
        mock.answer("receipt.get", state)
        mock.answer("summary", {"open": 7, "closed": 0, "voided": 0, "total": 0})
        assert (await receipts.get_receipt("r-7")).state.status == "closed"
        assert (await receipts.summary()).open == 7


async def test_commands_publish_their_events(mock_service: MockService, nats_url: str) -> None:
    """Who subscribes to an event receives an example of it when a command emits it."""
    received: list[ReceivedEvent[ItemAdded]] = []

    async def note(event: ReceivedEvent[ItemAdded]) -> None:
        received.append(event)

    async with mock_service(SAMPLE), ReceiptsClient.connect(nats_url) as receipts:
        async with await receipts.subscribe_item_added(note):
            await receipts.add_item("r-1", TEA)
        assert [each.key for each in received] == ["r-1"]


async def test_required_revisions_are_accepted(mock_service: MockService, nats_url: str) -> None:
    """A mock accepts each required revision, as it keeps nothing."""
    async with mock_service(GOLDEN / "event-sourced/contract"), client(nats_url) as caller:
        await caller.deposit("w-1", wallets.Amount(cents=5), if_revision=7)


async def test_requests_are_checked(mock_service: MockService, nats_url: str) -> None:
    """What the contract forbids is refused, as by the real service."""
    async with mock_service(SAMPLE) as mock, ReceiptsClient.connect(nats_url) as receipts:
        with pytest.raises(InvalidArgumentError):
            await receipts.add_item("r-1", TEA.model_copy(update={"price": -1.0}))
        assert mock.calls == []


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda mock: mock.fail("add-items", "x"), "no operation add-items; did you mean add-item"),
        (
            lambda mock: mock.fail("add-item", "empty-receipt"),
            "no error empty-receipt; known are invalid-receipt-state",
        ),
        (lambda mock: mock.fail("summary", "x"), "no error x; there are none"),
        (lambda mock: mock.fail("get", "receipt-not-found", {}), "has no details"),
        (lambda mock: mock.fail("add-item", "invalid-receipt-state", {}), "status"),
        (lambda mock: mock.answer("summary", {}), "open"),
        (lambda mock: mock.answer("receipt.get", {"id": "r-1"}), "status"),
    ],
)
async def test_wrong_demands(action: Any, message: str, mock_service: MockService) -> None:
    """What the contract does not allow cannot be demanded of the mock either."""
    async with mock_service(SAMPLE) as mock:
        with pytest.raises(ValueError, match=message):
            action(mock)


def test_negative_latency() -> None:
    """A latency is not negative."""
    with pytest.raises(ValueError, match="latency is 0 seconds or more"):
        Mock(SAMPLE, latency=-1)


async def test_contract_with_tokens(mock_service: MockService, nats_url: str) -> None:
    """Any token is accepted; without one, an operation that requires it refuses."""
    async with mock_service(GOLDEN / "auth/contract") as mock:
        package = mock._package
        client = getattr(package, mock.contract.client)
        operation = next(
            each
            for each in mock.contract.operations
            if each.auth is not None and each.auth.required
        )
        arguments: list[Any] = ["k-1"] if operation.aggregate else []
        if operation.payload:
            value = mock._value(operation.payload)
            arguments.append(getattr(package, operation.payload).model_validate(value))
        async with client.connect(nats_url) as unknown:
            with pytest.raises(UnauthenticatedError):
                await getattr(unknown, operation.method)(*arguments)
        async with client.connect(nats_url, token="any") as known:
            await getattr(known, operation.method)(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("folder", GOLDEN_CONTRACTS, ids=golden_name)
async def test_each_contract_can_be_mocked(folder: Path, nats_url: str) -> None:
    """A mock of any contract starts, and has an answer for each operation."""
    mock = Mock(folder)
    async with mock.serve(nats_url):
        for operation in mock.contract.operations:
            mock._result(operation, mock._answer(operation), "k-1")


def test_mock_command(tmp_path: Path) -> None:
    """`weenats mock` serves until it is stopped, with the errors that were demanded."""
    arguments = ("mock", str(SAMPLE), "--embedded", "--json", "--error", "get=receipt-not-found")
    with forked_command(*arguments, cwd=tmp_path) as command:
        facts = json.loads(command.stdout.readline())
        assert (facts["service"], facts["version"]) == ("receipts", "1.0.0")
        call = ("call", "receipts", "get", "r-1", "--servers", facts["servers"], "--timeout", "60")
        with forked_command(*call, cwd=tmp_path) as failing:
            assert "There is no such receipt" in failing.communicate(60)[1]
        call = ("call", "receipts", "summary", "--servers", facts["servers"], "--timeout", "60")
        with forked_command(*call, cwd=tmp_path) as answered:
            assert "open" in answered.communicate(60)[0]
        command.terminate()
        command.communicate(60)
        assert command.returncode == 0


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Folder of a contract with results that are hard to make, and events of any owner."""
    contract = {
        "service": "odd",
        "version": "1.0.0",
        "description": "Is odd.",
        "aggregates": {
            "box": {
                "description": "A box.",
                "state": {"type": "object"},
                "commands": {
                    "open": {
                        "description": "Open it.",
                        "payload": {"type": "integer"},
                        "emits": ["opened", "noted", "filled"],
                    },
                },
                "events": {"opened": {"description": "Opened.", "data": {"type": "integer"}}},
            },
            "bag": {
                "description": "A bag.",
                "state": {"type": "object"},
                "events": {"filled": {"description": "Filled.", "data": {"type": "integer"}}},
            },
        },
        "queries": {
            "guess": {
                "description": "Guess.",
                "result": {"type": "string", "pattern": "^(.)\\1$", "not": {"const": "aa"}},
            }
        },
        "events": {"noted": {"description": "Noted.", "data": {"type": "boolean"}}},
    }
    (tmp_path / "service.json").write_text(json.dumps(contract))
    return tmp_path


async def test_events_of_others(odd: Path, mock_service: MockService, nats_url: str) -> None:
    """A command publishes what it emits; events of other aggregates need a key and are left out."""
    async with mock_service(odd) as mock:
        package = mock._package
        received: list[Any] = []

        async def note(event: ReceivedEvent[Any]) -> None:
            received.append(event.data)

        async with (
            getattr(package, mock.contract.client).connect(nats_url) as client,
            await client.subscribe_opened(note),
            await client.subscribe_noted(note),
            await client.subscribe_filled(note),
        ):
            await getattr(client, mock._operation("open").method)("b-1", 1)
        assert sorted(received, key=str) == [1, True]


async def test_keys_and_pages(mock_service: MockService, nats_url: str) -> None:
    """Keys have the types of their schemas, and a list query has one page."""
    async with mock_service(GOLDEN / "pages/contract") as mock:
        package = mock._package
        async with getattr(package, mock.contract.client).connect(nats_url) as ledgers:
            ledger = await ledgers.get_ledger(UUID(int=7))
            assert ledger.id.key == str(UUID(int=7))
            pages = ledgers.iterate_list_entries(
                UUID(int=7), package.ListEntriesParameters(), max_items=100
            )
            assert len([entry async for entry in pages]) == 1
        assert [call.key for call in mock.calls] == [str(UUID(int=7))] * 2


def test_results_that_cannot_be_made(odd: Path) -> None:
    """A result without examples that no value is found for, and one that is not declared."""
    mock = Mock(odd)
    with pytest.raises(ValueError, match=r"no value could be made for \w+: add examples"):
        mock._answer(mock._operation("guess"))
    with pytest.raises(ValueError, match="open has no result"):
        mock.answer("open", 1)


def test_mock_on_given_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--servers` names the servers on which the mock is served."""
    served: list[str] = []

    async def serve(builder: object, url: str, announce_it: object) -> None:
        del builder, announce_it
        served.append(url)

    monkeypatch.setattr(mock_command, "serve", serve)
    assert main(["mock", str(SAMPLE), "--servers", "nats://a:1"]) == 0
    assert served == ["nats://a:1"]


def test_command_keeps_no_calls(monkeypatch: pytest.MonkeyPatch, nats_url: str) -> None:
    """The command may run for long: what it has answered takes no memory."""
    mocks: list[Mock] = []

    def make(*arguments: Any, **options: Any) -> Mock:
        mocks.append(Mock(*arguments, **options))
        return mocks[-1]

    async def serve(builder: NatsServiceBuilder, url: str, announce_it: object) -> None:
        del announce_it
        async with builder.build(), ReceiptsClient.connect(url) as receipts:
            await receipts.add_item("r-1", TEA)

    monkeypatch.setattr(mock_command, "Mock", make)
    monkeypatch.setattr(mock_command, "serve", serve)
    assert main(["mock", str(SAMPLE), "--servers", nats_url]) == 0
    assert [each.calls for each in mocks] == [[]]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--error", "get"), "--error get is not OPERATION=ERROR"),
        (("--error", "=x"), "--error =x is not OPERATION=ERROR"),
        (("--error", "x=y"), "receipts has no operation x"),
        (("--embedded", "--servers", "nats://a"), "--servers cannot be used with --embedded"),
    ],
)
def test_wrong_usage(
    options: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown error or operation, or two servers, is wrong usage."""
    assert main(["mock", str(SAMPLE), *options]) == 2
    assert text in capsys.readouterr().err


def test_folder_of_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of contracts is not a contract, and the error names those in it."""
    assert main(["mock", str(SAMPLE.parent)]) == 1
    error = capsys.readouterr().err
    assert f"schemas: is a folder of contracts; use one of them: {SAMPLE.parent}/loyalty" in error


async def test_streams_with_replicas_on_one_server(
    mock_service: MockService, nats_url: str, tmp_path: Path
) -> None:
    """A mock of a contract with `replicas: 3` needs no cluster; it starts again as well."""
    folder = tmp_path / "parcels"
    folder.mkdir()
    text = (CONTRACT_FOLDER / "service.yaml").read_text()
    changed = text.replace("stream: {partitions: 4}", "stream: {partitions: 4, replicas: 3}")
    assert changed != text
    (folder / "service.yaml").write_text(changed)
    await remove_streams(nats_url)
    async with ParcelsClient.connect(nats_url) as parcels:
        for count in (1, 2):
            async with mock_service(folder):
                await parcels.publish_delivered("p-1", Delivered(count=count))
        info = await JetStream(parcels.transport).stream_info("parcels-events")
    assert (info.config.replicas, info.messages) == (1, 2)
    await remove_streams(nats_url)


async def test_streams_that_cannot_be_made(mock_service: MockService, nats_url: str) -> None:
    """A mock does not start when the server refuses its streams for another reason."""
    await remove_streams(nats_url)
    async with ParcelsClient.connect(nats_url) as parcels:
        await parcels.transport.connect()
        jetstream = JetStream(parcels.transport)
        await jetstream.create_stream(StreamConfig("taken", ("parcels.stream.*.parcel.delivered",)))
        with pytest.raises(JetStreamRefusedError, match="overlap"):
            async with mock_service(CONTRACT_FOLDER):
                pass
        await jetstream.delete_stream("taken")
    await remove_streams(nats_url)
