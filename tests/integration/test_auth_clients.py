"""Token sources of a client, and what it does when a token is rejected."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg

from testkit.certificates import self_signed
from testkit.clocks import FakeClock
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.telemetry import probe_token, probe_validator
from testkit.tokens import NOW, FakeValidator
from weenats import (
    CachedToken,
    ConnectionOptions,
    DeadlineExceededError,
    InvalidArgumentError,
    NatsServiceBuilder,
    RequestContext,
    UnauthenticatedError,
    UnavailableError,
)
from weenats.testing import MemoryTransport, NatsServer

GO = Run(action="go")


class Issuer:
    """Returns its tokens one after the other and counts the requests for them."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens
        self.asked = 0

    async def __call__(self) -> str:
        """Return the next token, the last one again and again."""
        self.asked += 1
        return self.tokens[min(self.asked, len(self.tokens)) - 1]


@pytest.fixture
def judge() -> FakeValidator:
    """The token validator of the service; its clock does not advance."""
    return probe_validator()


@pytest.fixture
def handlers() -> Probe:
    """The handlers, which record their calls."""
    return Probe()


@pytest.fixture
async def client(
    nats_url: str, judge: FakeValidator, handlers: Probe
) -> AsyncIterator[ProbeClient]:
    """A client of a probe that requires authentication."""
    service = NatsServiceBuilder(handlers, nats_url).with_auth(validator=judge).build()
    async with service, ProbeClient.connect(nats_url) as connected:
        yield connected


def callers(handlers: Probe) -> list[str]:
    """Return the ids of the authenticated callers."""
    return [seen.principal.id for seen in handlers.seen if seen.principal is not None]


async def test_token_can_be_a_string_or_a_callable(
    nats_url: str, client: ProbeClient, handlers: Probe
) -> None:
    """A string, a function and an async function work, for a client and for one call."""

    async def later() -> str:
        await asyncio.sleep(0)
        return probe_token("later")

    await client.with_token(probe_token("text")).run("k", GO)
    await client.with_token(lambda: probe_token("function")).run("k", GO)
    await client.with_token(later).run("k", GO)
    async with ProbeClient.connect(nats_url, token=later) as own:
        await own.run("k", GO)
        await own.run("k", GO, token=probe_token("option"))
        await own.with_token(probe_token("overlay")).run("k", GO)
        await own.with_token(probe_token("overlay")).run("k", GO, token=later)
    assert callers(handlers) == [
        *("text", "function", "later", "later", "option", "overlay", "later"),
    ]


async def test_token_function_is_called_for_each_call(client: ProbeClient, handlers: Probe) -> None:
    """Without CachedToken every call requests a new token."""
    issuer = Issuer(probe_token("first"), probe_token("second"))
    known = client.with_token(issuer)
    await known.run("k", GO)
    await known.run("k", GO)
    assert callers(handlers) == ["first", "second"]


async def test_interceptor_can_replace_the_token(client: ProbeClient, handlers: Probe) -> None:
    """The token that an interceptor sets on the context is the one that is sent."""

    async def choose(context: RequestContext, call_next: Any) -> Any:
        return await call_next(context.replace(token=probe_token("chosen")))

    await client.with_token(Issuer("never sent")).with_interceptor(choose).run("k", GO)
    assert callers(handlers) == ["chosen"]


async def test_cached_token_is_shared_by_many_calls(client: ProbeClient, handlers: Probe) -> None:
    """A hundred concurrent calls and a hundred later ones request one token."""
    issuer = Issuer(probe_token("ada"))
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    await asyncio.gather(*(known.run("k", GO) for _ in range(100)))
    for _ in range(100):
        await known.run("k", GO)
    assert issuer.asked == 1
    assert len(handlers.seen) == 200


async def test_rejected_cached_token_is_renewed_and_call_retried(
    client: ProbeClient, handlers: Probe
) -> None:
    """The call is sent again with a new token and the same message id."""
    issuer = Issuer(probe_token("old", exp=NOW - 99), probe_token("new"))
    sent: list[str] = []

    async def note(context: RequestContext, call_next: Any) -> Any:
        sent.append(context.message_id)
        return await call_next(context)

    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW - 900)))
    outcome = await known.with_interceptor(note).run("k", GO)
    assert (outcome.text, issuer.asked) == ("go", 2)
    assert callers(handlers) == ["new"]
    assert [handlers.seen[0].message_id] == sent


async def test_concurrent_calls_renew_a_rejected_token_once(
    client: ProbeClient, handlers: Probe
) -> None:
    """A hundred calls with a revoked token request one new token, and all succeed."""
    issuer = Issuer("withdrawn", probe_token("new"))
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    await asyncio.gather(*(known.run("k", GO) for _ in range(100)))
    assert issuer.asked == 2
    assert len(handlers.seen) == 100


async def test_token_is_renewed_at_most_once_per_call(client: ProbeClient) -> None:
    """If the new token is rejected too, the call fails with UNAUTHENTICATED."""
    issuer = Issuer("bad", "worse", "worst")
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    for _ in range(5):
        with pytest.raises(UnauthenticatedError) as error:
            await known.run("k", GO)
    assert error.value.remote
    assert issuer.asked == 2


@pytest.mark.parametrize("kept", ["text", "callable"])
async def test_uncached_tokens_are_not_renewed(client: ProbeClient, kept: str) -> None:
    """After a rejection no second token is requested from a string or a plain callable."""
    issuer = Issuer("bad", probe_token("good"))
    with pytest.raises(UnauthenticatedError):
        await client.with_token("bad" if kept == "text" else issuer).run("k", GO)
    assert issuer.asked == (kept == "callable")


async def test_other_errors_do_not_renew_the_token(client: ProbeClient, handlers: Probe) -> None:
    """Only UNAUTHENTICATED from the service renews a token."""
    issuer = Issuer(probe_token("a"), probe_token("b"))
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))

    async def unavailable(key: str, command: Run, context: RequestContext) -> Outcome:
        raise UnavailableError

    async def local(context: RequestContext, call_next: Any) -> Any:
        await call_next(context)
        raise UnauthenticatedError

    handlers.actions["fail"] = unavailable
    with pytest.raises(UnavailableError):
        await known.run("k", Run(action="fail"))
    with pytest.raises(UnauthenticatedError):
        await known.with_interceptor(local).run("k", GO)
    assert (issuer.asked, len(handlers.seen)) == (1, 2)


@pytest.mark.parametrize("where", ["handler", "nested call", "interceptor after", "nested before"])
async def test_executed_call_is_not_sent_again(
    nats_url: str, judge: FakeValidator, handlers: Probe, where: str
) -> None:
    """An UnauthenticatedError that does not refuse the caller's token renews nothing."""
    issuer = Issuer(probe_token("a"), probe_token("b"))
    began: list[str] = []
    other = Probe()
    other_transport = MemoryTransport()

    async def intercept(context: RequestContext, call_next: Any) -> Any:
        began.append(context.message_id)
        if where == "nested before":
            await nested.run("k", GO)
        response = await call_next(context)
        if where == "interceptor after":
            raise UnauthenticatedError
        return response

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        if where == "nested call":
            await nested.run("k", GO)
        if where == "handler":
            raise UnauthenticatedError
        return Outcome(text=key)

    handlers.actions["go"] = fail
    builder = NatsServiceBuilder(handlers, nats_url).with_interceptor(intercept)
    closed = NatsServiceBuilder(other, transport=other_transport).with_auth(validator=judge)
    async with (
        builder.with_auth(validator=judge).build(),
        closed.build(),
        ProbeClient(other_transport) as nested,
        ProbeClient.connect(nats_url) as client,
    ):
        known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
        with pytest.raises(UnauthenticatedError):
            await known.run("k", GO)
    assert len(began) == 1
    assert issuer.asked == 1


async def test_refusal_of_an_interceptor_renews_the_token(nats_url: str, handlers: Probe) -> None:
    """Authentication of a user's own, before the handler, is a refusal like ours."""
    issuer = Issuer("old", "new")

    async def authenticate(context: RequestContext, call_next: Any) -> Any:
        if context.token != "new":
            raise UnauthenticatedError
        return await call_next(context)

    service = NatsServiceBuilder(handlers, nats_url).with_interceptor(authenticate).build()
    async with service, ProbeClient.connect(nats_url) as client:
        known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
        assert (await known.run("k", GO)).text == "go"
    assert issuer.asked == 2


@pytest.mark.parametrize("executed", [True, False])
async def test_reply_says_whether_the_token_was_refused(
    nats_url: str, judge: FakeValidator, handlers: Probe, executed: bool
) -> None:
    """UNAUTHENTICATED replies have Wee-Token-Refused, other errors have not."""

    async def refuse(key: str, command: Run, context: RequestContext) -> Outcome:
        raise UnauthenticatedError if command.action == "unauthenticated" else UnavailableError

    handlers.actions |= {"unauthenticated": refuse, "unavailable": refuse}
    builder = NatsServiceBuilder(handlers, nats_url)
    builder = builder if executed else builder.with_auth(validator=judge)
    connection = await nats.connect(nats_url)
    async with builder.build():
        replies = [
            await connection.request(
                "probe.command.thing.run",
                b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"%b"}}' % action,
                timeout=30,
            )
            for action in (b"unauthenticated", b"unavailable")
        ]
    await connection.close()
    told = [(reply.headers or {}).get("Wee-Token-Refused") for reply in replies]
    assert told == (["false", None] if executed else ["true", "true"])


@pytest.mark.parametrize("header", [None, "true", "false", "maybe"])
@pytest.mark.parametrize("idempotent", [True, False])
async def test_call_to_a_service_of_another_version(
    nats_url: str, header: str | None, idempotent: bool
) -> None:
    """When a service does not say what it did, only idempotent operations are sent again."""
    received: list[str] = []
    body = b'{"success":false,"error":{"code":"UNAUTHENTICATED","message":"no"},"duration":1}'

    async def answer(message: Msg) -> None:
        received.append(json.loads(message.data)["metadata"]["authentication"]["token"])
        headers = {} if header is None else {"Wee-Token-Refused": header}
        await connection.publish(message.reply, body, headers=headers or None)

    connection = await nats.connect(nats_url)
    await connection.subscribe("probe.*.thing.*", cb=answer)
    await connection.flush()
    issuer = Issuer("one", "two")
    async with ProbeClient.connect(nats_url) as client:
        known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
        with pytest.raises(UnauthenticatedError):
            await (known.get("k") if idempotent else known.run("k", GO))
        again = header == "true" or (header != "false" and idempotent)
        assert received == (["one", "two"] if again else ["one"])
        received.clear()
        with pytest.raises(UnauthenticatedError):
            await known.run("k", GO)
        assert received == (["one"] if header == "false" else ["two"])
    await connection.close()


async def test_call_timeout_includes_waiting_for_a_token(
    client: ProbeClient, handlers: Probe
) -> None:
    """A token source that hangs ends in DEADLINE_EXCEEDED, and nothing is sent."""

    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    for source in (hang, CachedToken(hang)):
        with pytest.raises(
            DeadlineExceededError, match="before the token provider returned a token"
        ) as error:
            await client.with_token(source).run("k", GO, timeout=0.05)
        assert not error.value.remote
    assert handlers.seen == []


async def test_failing_token_source_fails_the_call(client: ProbeClient, handlers: Probe) -> None:
    """The call fails with UNAVAILABLE; the error of the token source is the cause."""

    def fail() -> str:
        raise OSError("password=hidden")

    with pytest.raises(UnavailableError, match="no token for the call") as error:
        await client.with_token(fail).run("k", GO)
    assert "hidden" not in str(error.value)
    assert isinstance(error.value.__cause__, OSError)
    with pytest.raises(UnavailableError, match="returned none"):
        await client.with_token(lambda: None).run("k", GO)  # type: ignore[arg-type, return-value]
    assert handlers.seen == []


@pytest.mark.parametrize("source", ["", 5, b"token"])
async def test_invalid_token_source_is_rejected(client: ProbeClient, source: Any) -> None:
    """An empty string or another type is rejected before anything is sent."""
    with pytest.raises(InvalidArgumentError):
        client.with_token(source)
    with pytest.raises(InvalidArgumentError):
        await client.run("k", GO, token=source)


async def test_nested_calls_do_not_inherit_the_token(client: ProbeClient, handlers: Probe) -> None:
    """A call inside a handler does not use the token of the request."""

    async def nest(key: str, command: Run, context: RequestContext) -> Outcome:
        return await client.run("inner", GO)

    handlers.actions["nest"] = nest
    with pytest.raises(UnauthenticatedError):
        await client.with_token(probe_token("outer")).run("outer", Run(action="nest"))
    assert callers(handlers) == ["outer"]


async def test_nested_call_for_the_caller(client: ProbeClient, handlers: Probe) -> None:
    """A handler that passes the token of the request on calls as its caller."""

    async def nest(key: str, command: Run, context: RequestContext) -> Outcome:
        return await client.run("inner", GO, token=context.token)

    handlers.actions["nest"] = nest
    await client.with_token(probe_token("outer")).run("outer", Run(action="nest"))
    assert callers(handlers) == ["outer", "outer"]


def non_loopback_address() -> str:
    """Return an address of this machine that is not loopback, or an empty string."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith(("127.", "0.")) else address


@pytest.fixture
def open_server() -> Iterator[NatsServer]:
    """A nats-server that listens on all addresses of this machine."""
    with NatsServer(arguments=["-a", "0.0.0.0"]) as server:  # noqa: S104 - that is the point
        yield server


async def count_tls_warnings(
    url: str,
    caplog: pytest.LogCaptureFixture,
    tls: Any = None,
    *,
    token: Any = "t",  # noqa: S107 - it is none
) -> int:
    """Make several calls over a new connection; return the number of warnings about TLS."""
    async with (
        NatsServiceBuilder(Probe(), url, connection=ConnectionOptions(tls=tls)).build(),
        ProbeClient.connect(url, connection=ConnectionOptions(tls=tls), token=token) as client,
    ):
        for _ in range(3):
            await client.run("k", GO)
            await client.with_timeout(4).run("k", GO)
    return sum("without TLS" in message for message in caplog.messages)


async def test_tokens_without_tls_warn_once(
    open_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning per connection to another address without TLS; none without a token."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    address = non_loopback_address()
    if not address:
        pytest.skip("this machine has the loopback only")
    url = f"nats://{address}:{open_server.port}"
    assert await count_tls_warnings(url, caplog, token=None) == 0
    assert await count_tls_warnings(url, caplog) == 1
    caplog.clear()
    assert await count_tls_warnings(url, caplog, token=lambda: "t") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_connections_do_not_warn(
    open_server: NatsServer, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    """Tokens sent over the loopback interface cause no warning."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    assert await count_tls_warnings(f"nats://{host}:{open_server.port}", caplog) == 0


async def test_tls_connections_do_not_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens sent over TLS cause no warning."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    address = non_loopback_address() or "127.0.0.1"
    certificate = self_signed(tmp_path, address)
    arguments = ["-a", "0.0.0.0", "--tls", "--tlscert", str(certificate.pem)]  # noqa: S104
    with NatsServer(arguments=[*arguments, "--tlskey", str(certificate.pem)]) as server:
        url = f"tls://{address}:{server.port}"
        assert await count_tls_warnings(url, caplog, certificate.trusting) == 0
