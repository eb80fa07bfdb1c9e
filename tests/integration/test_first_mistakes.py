"""Common first mistakes fail immediately with a helpful message."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run, Thing
from weenats import (
    Entity,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    RequestContext,
    UnavailableError,
)
from weenats.events import ReceivedEvent
from weenats.testing import MemoryTransport


@pytest.mark.parametrize("servers", [[], "", " ", [""], ["nats://x", 5], None, 4222])
def test_missing_servers_are_rejected(servers: Any) -> None:
    """An empty or invalid server list is rejected; nats-py would retry forever."""
    with pytest.raises(InvalidArgumentError, match="servers must be the URL"):
        NatsTransport(servers)
    with pytest.raises(InvalidArgumentError, match="servers must be the URL"):
        ProbeClient.connect(servers)


@pytest.mark.parametrize("scheme", ["http", "HTTPS", "mqtt", "nat"])
def test_unsupported_url_schemes_are_rejected(scheme: str) -> None:
    """The error lists the supported schemes and hides the password."""
    told = r"begins with nats://, tls://, ws://, wss://, not {}://$"
    with pytest.raises(InvalidArgumentError, match=told.format(scheme)):
        NatsTransport(["nats://localhost", f"{scheme}://me:hidden@localhost:4222"])


@pytest.mark.parametrize(
    "server",
    ["nats://x", "tls://x", "ws://x", "wss://x", "NATS://x", "x:4222", "a:b:c@localhost"],
)
def test_supported_server_urls_are_accepted(server: str) -> None:
    """A NATS scheme in upper or lower case is accepted, and so is a URL without a scheme."""
    assert NatsTransport(server)


async def test_connection_error_contains_the_server_url() -> None:
    """If no server is running, the error contains its URL without the password."""
    client = ProbeClient.connect("nats://me:hidden@127.0.0.1:1", timeout=0.2)
    with pytest.raises(UnavailableError, match=r"until the deadline; nats://127\.0\.0\.1:1$"):
        await client.get("k")


def test_wrong_handler_and_transport_types_are_rejected() -> None:
    """A class instead of an instance and a URL instead of a transport are rejected."""
    with pytest.raises(TypeError, match="an instance of a handlers class"):
        NatsServiceBuilder(Probe)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"use ProbeClient\.connect\(url\)"):
        ProbeClient("nats://localhost:4222")  # type: ignore[arg-type]


def test_non_async_handlers_are_rejected() -> None:
    """build() fails and names the operation and the method."""

    class Plain(Probe):
        def get(self, key: str, context: RequestContext) -> Entity[Thing]:  # type: ignore[override]
            raise NotImplementedError

    builder = NatsServiceBuilder(Plain())
    with pytest.raises(TypeError, match=r"handler of probe get must .*Plain\.get is a plain"):
        builder.build()


async def test_non_async_subscribers_are_rejected() -> None:
    """Subscribing with a plain function fails before an event is lost."""
    transport = MemoryTransport()
    with pytest.raises(TypeError, match=r"handler of event happened must be an `async def`"):
        await ProbeClient(transport).subscribe_happened(non_async_subscriber)  # type: ignore[arg-type]
    assert transport._loop is None


def non_async_subscriber(event: ReceivedEvent[Happened]) -> None:
    """Handle an event without being async."""


async def test_two_services_can_share_handlers(nats_url: str) -> None:
    """When one of two services stops, events are published through the other."""
    handlers = Probe()

    async def tell(key: str, command: Run, context: RequestContext) -> Outcome:
        await handlers.publish_happened(key, Happened(text="x"), revision=1)
        return Outcome(text="told")

    handlers.actions["tell"] = tell
    async with NatsServiceBuilder(handlers, nats_url).build():
        async with NatsServiceBuilder(handlers, nats_url).build():
            pass
        async with ProbeClient.connect(nats_url) as client:
            assert (await client.run("k", Run(action="tell"))).text == "told"
    with pytest.raises(UnavailableError, match="no running service serves these handlers"):
        _ = handlers.transport


async def test_interceptor_without_return_is_reported(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The service logs the missing return; the client raises a TypeError that names it."""

    async def forgetful(context: RequestContext, call_next: Any) -> Any:
        await call_next(context)

    async with (
        NatsServiceBuilder(Probe(), nats_url).with_interceptor(forgetful).build(),
        ProbeClient.connect(nats_url) as client,
    ):
        with pytest.raises(InternalError):
            await client.run("k", Run(action="a"))
    assert "must `return await call_next(context)`" in caplog.text
    async with (
        NatsServiceBuilder(Probe(), nats_url).build(),
        ProbeClient.connect(nats_url) as plain,
    ):
        with pytest.raises(TypeError, match="must `return await call_next"):
            await plain.with_interceptor(forgetful).run("k", Run(action="a"))


async def test_error_message_contains_the_first_violation(client: ProbeClient) -> None:
    """The message alone says what is wrong and where."""
    with pytest.raises(InvalidArgumentError, match="/aggregateId/key: String should have at least"):
        await client.get("")
