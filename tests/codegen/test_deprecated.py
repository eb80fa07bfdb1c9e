"""What a contract deprecates: clients warn once with its text, services and pages show it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testkit.paths import GOLDEN
from weenats.errors import ServiceError
from weenats_codegen.docs.asyncapi import asyncapi
from weenats_codegen.docs.page import page
from weenats_codegen.mock import Mock

CONTRACT = GOLDEN / "deprecated/contract"
SEND = "send is deprecated: Use `dispatch` instead."
SENT = "sent is deprecated: Use `dispatched` instead."
LIST = "list-parcels is deprecated: List parcels."


@pytest.fixture(scope="module")
def mock() -> Mock:
    """A mock of a contract with deprecated members."""
    return Mock(CONTRACT)


@contextmanager
def warned(*expected: str) -> Iterator[None]:
    """Check that a block warns as expected, at lines of this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = [each for each in caught if each.category is DeprecationWarning]
    assert sorted(str(each.message) for each in found) == sorted(expected)
    assert {Path(each.filename) for each in found} <= {Path(__file__)}


async def test_async_client_warns(mock: Mock, nats_url: str) -> None:
    """Each use of what is deprecated is one warning at the line of the caller; others are none."""
    package: Any = mock._package

    async def note(event: object) -> None:
        del event

    label = package.Label(address="Sea 1")
    async with mock.serve(nats_url), package.ParcelsClient.connect(nats_url) as parcels:
        with warned():
            await parcels.dispatch("p-1", label)
            await parcels.get_parcel("p-1")
        with warned(SEND):
            await parcels.send("p-1", label)
        with warned(LIST):
            await parcels.list_parcels(package.ListParcelsParameters())
        with warned(LIST):
            pages = parcels.iterate_list_parcels(package.ListParcelsParameters(), max_items=1)
            assert [each async for each in pages]
        with warned(SENT, SENT):
            async with await parcels.subscribe_sent(note):
                await parcels.publish_sent("p-1", label)


def test_sync_client_warns(mock: Mock, nats_url: str) -> None:
    """The synchronous client warns in the same way, and not a second time by the other one."""
    package: Any = mock._package
    label = package.Label(address="Sea 1")
    parameters = package.ListParcelsParameters()
    received: list[object] = []
    with package.ParcelsSyncClient.connect(nats_url) as parcels, warned(SENT, SENT):
        with parcels.subscribe_sent(received.append):
            parcels.publish_sent("p-1", label)
        assert len(received) == 1
    with package.ParcelsSyncClient.connect(nats_url, timeout=0.01) as parcels:
        for expected, call in (
            (SEND, lambda: parcels.send("p-1", label)),
            (LIST, lambda: parcels.list_parcels(parameters)),
            (LIST, lambda: next(parcels.iterate_list_parcels(parameters, max_items=1))),
        ):
            with warned(expected), pytest.raises(ServiceError):
                call()


def test_descriptors_and_handlers(mock: Mock) -> None:
    """Descriptors say what is deprecated; handlers are marked for type checkers alone."""
    package: Any = mock._package
    assert (package.SEND.deprecated, package.DISPATCH.deprecated) == (True, False)
    assert (package.SENT.deprecated, package.DISPATCHED.deprecated) == (True, False)
    assert package.ParcelsHandlers.send.__deprecated__ == SEND
    assert package.ParcelsHandlers.publish_sent.__deprecated__ == SENT
    assert not hasattr(package.ParcelsHandlers.dispatch, "__deprecated__")


def test_explain_shows_it(mock: Mock) -> None:
    """`explain` shows deprecated operations and events, and nothing for others."""
    send, dispatch, *_ = (
        {each.name: each.value for each in policy.settings}
        for policy in mock.builder("nats://localhost").explain()
    )
    assert send["deprecated"] is True
    assert send["deprecated events"] == ["sent"]
    assert not {"deprecated", "deprecated events"} & dispatch.keys()


def test_documentation_shows_it(mock: Mock) -> None:
    """The page and the AsyncAPI document mark what is deprecated."""
    text = page([mock.contract])
    assert text.count('<span class="tag">deprecated</span>') == 5
    operations = asyncapi(mock.contract)["operations"]
    marked = [name for name, each in operations.items() if {"name": "deprecated"} in each["tags"]]
    assert marked == ["send", "list-parcels", "count", "events.sent", "events.closed"]


def test_operation_named_as_the_decorator(tmp_path: Path) -> None:
    """An operation with the name of the decorator does not hide it from those after it."""
    queries = {
        name: {"description": "Ask.", "deprecated": True, "result": {"type": "integer"}}
        for name in ("deprecated", "other")
    }
    contract = {"service": "odd", "version": "1.0.0", "description": "Is odd."}
    (tmp_path / "service.json").write_text(json.dumps({**contract, "queries": queries}))
    package: Any = Mock(tmp_path)._package
    assert package.OddClient.other.__deprecated__ == "other is deprecated: Ask."
    assert package.OddSyncClient.deprecated_.__deprecated__ == "deprecated is deprecated: Ask."
