"""The chain of a client: its order, and when it is composed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, Run
from weenats import CallNext, NatsServiceBuilder, RequestContext, Response
from weenats.client import client as client_module
from weenats.client.call import Exchange
from weenats.testing import MemoryTransport

GO = Run(action="go")


@pytest.fixture
async def transport() -> AsyncIterator[MemoryTransport]:
    """A connection on which the probe serves."""
    transport = MemoryTransport()
    async with NatsServiceBuilder(Probe(), transport=transport).build():
        yield transport


def recording(name: str, calls: list[str]) -> Any:
    """Return an interceptor that records when it runs."""

    async def record(context: RequestContext, call_next: CallNext) -> Response:
        calls.append(f"{name}: {context.token}")
        return await call_next(context)

    return record


async def test_the_token_is_added_after_all_interceptors(transport: MemoryTransport) -> None:
    """Interceptors run in the order in which they were added, before a provider is asked."""
    calls: list[str] = []

    def provider() -> str:
        calls.append("provider")
        return "t"

    client = ProbeClient(transport).with_token(provider)
    for name in ("first", "second"):
        client = client.with_interceptor(recording(name, calls))
    await client.run("k", GO)
    assert calls == ["first: None", "second: None", "provider"]


async def test_a_call_with_the_token_none_sends_none(transport: MemoryTransport) -> None:
    """A program that passes on its user's token, or None, never calls with its own."""
    asked: list[str] = []

    def provider() -> str:
        asked.append("provider")
        return "its-own"

    client = ProbeClient(transport).with_token(provider)
    await client.run("k", GO, token=None)
    assert asked == []
    await client.run("k", GO)
    assert asked == ["provider"]


async def test_a_chain_is_composed_once_for_each_operation(
    transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that differ in timeout, token or context share it; others have their own."""
    composed: list[str] = []

    def compose(operation: Any, *arguments: Any) -> Exchange:
        composed.append(operation.name)
        return Exchange(operation, *arguments)

    monkeypatch.setattr(client_module, "Exchange", compose)
    client = ProbeClient(transport)
    for same in (client, client.with_timeout(1), client.with_token("t"), client.with_context(a=1)):
        for _ in range(2):
            await same.run("k", GO)
            await same.get("k")
    assert composed == ["run", "get"]
    await client.with_header("X-A", "1").run("k", GO)
    await client.with_retry().run("k", GO)
    assert composed == ["run", "get", "run", "run"]
