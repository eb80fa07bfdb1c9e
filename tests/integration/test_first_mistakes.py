"""The mistakes that everybody makes first are told at once, in words that help."""

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
def test_servers_that_are_none_are_refused(servers: Any) -> None:
    """Without a server there is nothing to try: nats-py would try for ever."""
    with pytest.raises(InvalidArgumentError, match="servers must be the URL"):
        NatsTransport(servers)
    with pytest.raises(InvalidArgumentError, match="servers must be the URL"):
        ProbeClient.connect(servers)


@pytest.mark.parametrize("scheme", ["http", "HTTPS", "mqtt", "nat"])
def test_servers_of_another_kind_are_refused(scheme: str) -> None:
    """Whoever gives the URL of something else reads which ones go, and no password."""
    told = r"begins with nats://, tls://, ws://, wss://, not {}://$"
    with pytest.raises(InvalidArgumentError, match=told.format(scheme)):
        NatsTransport(["nats://localhost", f"{scheme}://me:hidden@localhost:4222"])


@pytest.mark.parametrize(
    "server",
    ["nats://x", "tls://x", "ws://x", "wss://x", "NATS://x", "x:4222", "a:b://c@localhost"],
)
def test_servers_that_may_be_some_are_taken(server: str) -> None:
    """With a scheme of NATS, in either case, or without one."""
    assert NatsTransport(server)


async def test_no_server_is_told_with_its_url() -> None:
    """Whoever forgot to start a server reads where none was found, without the password."""
    client = ProbeClient.connect("nats://me:hidden@127.0.0.1:1", timeout=0.2)
    with pytest.raises(UnavailableError, match=r"until the deadline; nats://127\.0\.0\.1:1$"):
        await client.get("k")


def test_handlers_and_transports_of_another_kind_are_refused() -> None:
    """A class in place of an object, a URL in place of a connection: each is named."""
    with pytest.raises(TypeError, match="an instance of a handlers class"):
        NatsServiceBuilder(Probe)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"use ProbeClient\.connect\(url\)"):
        ProbeClient("nats://localhost:4222")  # type: ignore[arg-type]


def test_handlers_that_are_not_async_are_refused() -> None:
    """The builder names the operation and the method, before anybody calls it."""

    class Plain(Probe):
        def get(self, key: str, context: RequestContext) -> Entity[Thing]:  # type: ignore[override]
            raise NotImplementedError

    builder = NatsServiceBuilder(Plain())
    with pytest.raises(TypeError, match=r"handler of probe get must .*Plain\.get is a plain"):
        builder.build()


async def test_subscribers_that_are_not_async_are_refused() -> None:
    """Whoever subscribes with a plain function learns it before an event is lost."""
    transport = MemoryTransport()
    with pytest.raises(TypeError, match=r"handler of event happened must be an `async def`"):
        await ProbeClient(transport).subscribe_happened(forgetful_subscriber)  # type: ignore[arg-type]
    assert transport._open is False


def forgetful_subscriber(event: ReceivedEvent[Happened]) -> None:
    """Forget to be async."""


async def test_handlers_may_serve_twice(nats_url: str) -> None:
    """Two services share their handlers; when one stops, events go out by the other."""
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


async def test_an_interceptor_that_forgets_to_return_is_named(
    nats_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of the service says what is missing; at the client it is a TypeError that says so."""

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


async def test_the_first_fault_is_in_the_message(client: ProbeClient) -> None:
    """Whoever reads the message alone learns what is wrong and where."""
    with pytest.raises(InvalidArgumentError, match="/aggregateId/key: String should have at least"):
        await client.get("")
