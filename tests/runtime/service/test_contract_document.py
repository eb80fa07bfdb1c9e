"""Instances answer with the whole contract, on both kinds of connections."""

from __future__ import annotations

import gzip
import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from receipts import ReceiptsClient
from receipts.contract_document import DOCUMENT
from receipts.handlers import Receipts
from testkit.transports import soon
from weenats import (
    InternalError,
    NatsServiceBuilder,
    NoRespondersError,
    ResourceExhaustedError,
    ServiceContract,
    UnimplementedError,
)
from weenats.discovery import get_contract_document
from weenats.protocol.subjects import SubjectError
from weenats.service.contract_document import answer_contract
from weenats.testing import MemoryTransport, NatsServer
from weenats.transport import NatsTransport, Transport


async def answer(contract: ServiceContract, **limits: Any) -> bytes:
    """Return what a client gets from an instance of a contract."""
    transport = MemoryTransport(**limits)
    await transport.connect()
    transport.subscribe("receipts.contract", answer_contract(transport, contract))
    return await get_contract_document(transport, "receipts")


def contract(document: Callable[[], str] | None) -> ServiceContract:
    """Return a contract with another document."""
    return ServiceContract(
        name="receipts", version="1.0.0", description="", digest="", document=document
    )


async def check_service(transport: Transport) -> None:
    """The service and each instance of it answer with the document."""
    service = NatsServiceBuilder(Receipts(), transport=transport).build()
    async with service:
        receipts = ReceiptsClient(transport)
        assert await receipts.get_contract_document() == DOCUMENT.encode()
        assert await receipts.get_contract_document(service.instance_id) == DOCUMENT.encode()
        with pytest.raises(NoRespondersError):
            await receipts.get_contract_document("another")
        reply = await transport.request("receipts.contract", b"anything", b"", soon())
        assert reply.payload == DOCUMENT.encode()
        transport.publish("receipts.contract", b"")  # nobody waits for an answer
        assert await receipts.get_contract_document() == DOCUMENT.encode()


async def test_memory_transport_answers() -> None:
    """Over the connection for tests."""
    await check_service(MemoryTransport())


async def test_nats_transport_answers(nats_url: str) -> None:
    """Over a nats-server."""
    transport = NatsTransport(nats_url)
    await check_service(transport)
    await transport.close()


async def test_large_document_is_compressed() -> None:
    """A document above max_payload of the nats-server arrives whole."""
    with NatsServer(config="max_payload: 4096") as server:
        transport = NatsTransport(server.url)
        async with NatsServiceBuilder(Receipts(), transport=transport).build():
            assert transport.max_payload < len(DOCUMENT)
            assert await ReceiptsClient(transport).get_contract_document() == DOCUMENT.encode()
        await transport.close()


async def test_document_is_read_and_compressed_once() -> None:
    """It is read with the first request, and kept."""
    reads: list[str] = []

    def read() -> str:
        reads.append("read")
        return "x" * 2000

    transport = MemoryTransport(max_payload=1000)
    await transport.connect()
    transport.subscribe("receipts.contract", answer_contract(transport, contract(read)))
    assert reads == []
    for _ in range(2):
        assert await get_contract_document(transport, "receipts") == b"x" * 2000
    assert reads == ["read"]


def test_import_does_not_read_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is imported without the module of its document."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "receipts"]:
        monkeypatch.delitem(sys.modules, name)
    package = importlib.import_module("receipts")
    assert "receipts.contract_document" not in sys.modules
    assert package.CONTRACT.document() == DOCUMENT
    assert "receipts.contract_document" in sys.modules


async def test_too_large_document_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """What is too large even when compressed is an error that names both sizes; logged once."""
    noise = "".join(map(str, range(3000)))
    for _ in range(2):
        with pytest.raises(ResourceExhaustedError, match=r"bytes when compressed.* at most 1000"):
            await answer(contract(lambda: noise), max_payload=1000)
    assert len(caplog.messages) == 2
    assert "receipts.contract cannot be answered: RESOURCE_EXHAUSTED" in caplog.messages[0]


async def test_package_without_document() -> None:
    """A package that was generated before says what to do."""
    with pytest.raises(UnimplementedError, match="run `weenats generate`"):
        await answer(contract(None))


async def test_unreadable_document(caplog: pytest.LogCaptureFixture) -> None:
    """A document that cannot be imported is INTERNAL for callers; the log says why."""

    def fail() -> str:
        raise ImportError("no such file")

    with pytest.raises(InternalError) as caught:
        await answer(contract(fail))
    assert "no such file" not in str(caught.value)
    assert "no such file" in caplog.text


def reply_of(payload: bytes, encoding: str) -> Any:
    """Return a callback that replies with a payload and a Content-Encoding."""
    lines = f"content-encoding: {encoding}\r\n".encode()
    return lambda transport: lambda delivery: transport.publish(delivery.reply, payload, lines)


@pytest.mark.parametrize(
    ("payload", "encoding", "message"),
    [
        (b"{}", "br", "unknown Content-Encoding 'br'"),
        (b"{}", "gzip", "not valid gzip"),
        (gzip.compress(b"x" * 1000)[:-9], "gzip", "not complete gzip"),
        (gzip.compress(bytes(20_000_000), 1), "gzip", "more than 16777216 bytes"),
    ],
    ids=["unknown", "invalid", "cut", "bomb"],
)
async def test_hostile_answers(payload: bytes, encoding: str, message: str) -> None:
    """What cannot be decompressed, or to gigabytes, is an error."""
    transport = MemoryTransport()
    await transport.connect()
    transport.subscribe("receipts.contract", reply_of(payload, encoding)(transport))
    with pytest.raises(InternalError, match=message):
        await get_contract_document(transport, "receipts")


@pytest.mark.parametrize("arguments", [("*",), ("receipts", "a.b"), ("receipts", ">")])
async def test_names_are_checked(arguments: tuple[str, ...]) -> None:
    """A name that is more than one token of a subject is refused."""
    with pytest.raises(SubjectError):
        await get_contract_document(MemoryTransport(), *arguments)
