"""Where a client's tokens come from, and what it does when they are refused."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.certificates import self_signed
from testkit.clocks import FakeClock
from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.tokens import NOW, FakeValidator, good_claims, token
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
from weenats.testing import NatsServer

GO = Run(action="go")


def probe_token(name: str, **claims: Any) -> str:
    """Return a good token for the probe."""
    return token(good_claims(aud="probe", sub=name, **claims))


class Issuer:
    """Hands out tokens in turn, and counts."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens
        self.asked = 0

    async def __call__(self) -> str:
        """Return the next token, the last one again and again."""
        self.asked += 1
        return self.tokens[min(self.asked, len(self.tokens)) - 1]


@pytest.fixture
def judge() -> FakeValidator:
    """What judges tokens; its clock stands."""
    return FakeValidator(audience="probe")


@pytest.fixture
def handlers() -> Probe:
    """The handlers, which keep what they saw."""
    return Probe()


@pytest.fixture
async def client(
    nats_url: str, judge: FakeValidator, handlers: Probe
) -> AsyncIterator[ProbeClient]:
    """A client of a probe that wants to know who calls."""
    service = NatsServiceBuilder(handlers, nats_url).with_auth(validator=judge).build()
    async with service, ProbeClient.connect(nats_url) as connected:
        yield connected


def callers(handlers: Probe) -> list[str]:
    """Return who called."""
    return [seen.principal.id for seen in handlers.seen if seen.principal is not None]


async def test_a_token_may_be_text_or_a_callable(
    nats_url: str, client: ProbeClient, handlers: Probe
) -> None:
    """A string, a function and an async function, for a client or for one call."""

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


async def test_a_callable_is_asked_for_each_call(client: ProbeClient, handlers: Probe) -> None:
    """Without CachedToken nothing is kept."""
    issuer = Issuer(probe_token("first"), probe_token("second"))
    known = client.with_token(issuer)
    await known.run("k", GO)
    await known.run("k", GO)
    assert callers(handlers) == ["first", "second"]


async def test_an_interceptor_may_choose_the_token(client: ProbeClient, handlers: Probe) -> None:
    """What an interceptor puts on the call is what is sent."""

    async def choose(context: RequestContext, call_next: Any) -> Any:
        return await call_next(context.replace(token=probe_token("chosen")))

    await client.with_token(Issuer("never sent")).with_interceptor(choose).run("k", GO)
    assert callers(handlers) == ["chosen"]


async def test_a_cached_token_serves_many_calls(client: ProbeClient, handlers: Probe) -> None:
    """A hundred calls at once, and a hundred after them, cost one token."""
    issuer = Issuer(probe_token("ada"))
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    await asyncio.gather(*(known.run("k", GO) for _ in range(100)))
    for _ in range(100):
        await known.run("k", GO)
    assert issuer.asked == 1
    assert len(handlers.seen) == 200


async def test_a_refused_cached_token_is_renewed_and_the_call_sent_once_more(
    client: ProbeClient, handlers: Probe
) -> None:
    """The caller sees no refusal, the handler one call, both requests have one message id."""
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


async def test_many_callers_with_a_refused_token_renew_it_once(
    client: ProbeClient, handlers: Probe
) -> None:
    """A hundred calls whose token was withdrawn cost one new token and no failure."""
    issuer = Issuer("withdrawn", probe_token("new"))
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    await asyncio.gather(*(known.run("k", GO) for _ in range(100)))
    assert issuer.asked == 2
    assert len(handlers.seen) == 100


async def test_a_token_is_renewed_once_a_call(client: ProbeClient) -> None:
    """Whoever is refused with the new token as well learns of it."""
    issuer = Issuer("bad", "worse", "worst")
    known = client.with_token(CachedToken(issuer, clock=FakeClock(NOW)))
    for _ in range(5):
        with pytest.raises(UnauthenticatedError) as error:
            await known.run("k", GO)
    assert error.value.remote
    assert issuer.asked == 2


@pytest.mark.parametrize("kept", ["text", "callable"])
async def test_other_tokens_are_not_renewed(client: ProbeClient, kept: str) -> None:
    """A string has no successor, and a callable was just asked."""
    issuer = Issuer("bad", probe_token("good"))
    with pytest.raises(UnauthenticatedError):
        await client.with_token("bad" if kept == "text" else issuer).run("k", GO)
    assert issuer.asked == (kept == "callable")


async def test_other_refusals_renew_nothing(client: ProbeClient, handlers: Probe) -> None:
    """Only UNAUTHENTICATED renews, and only when the service says so."""
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


async def test_waiting_for_a_token_is_part_of_the_time_of_a_call(
    client: ProbeClient, handlers: Probe
) -> None:
    """A provider that hangs ends in DEADLINE_EXCEEDED; nothing was sent."""

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


async def test_a_failing_provider_fails_the_call(client: ProbeClient, handlers: Probe) -> None:
    """The caller learns that there was no token; what the provider said is the cause."""

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
async def test_what_is_no_source_is_refused(client: ProbeClient, source: Any) -> None:
    """Neither text nor a callable: refused before anything is sent."""
    with pytest.raises(InvalidArgumentError):
        client.with_token(source)
    with pytest.raises(InvalidArgumentError):
        await client.run("k", GO, token=source)


async def test_the_token_of_a_request_does_not_go_on_to_nested_calls(
    client: ProbeClient, handlers: Probe
) -> None:
    """A service that calls another one says who it is itself."""

    async def nest(key: str, command: Run, context: RequestContext) -> Outcome:
        return await client.run("inner", GO)

    handlers.actions["nest"] = nest
    with pytest.raises(UnauthenticatedError):
        await client.with_token(probe_token("outer")).run("outer", Run(action="nest"))
    assert callers(handlers) == ["outer"]


def address_of_this_machine() -> str:
    """Return an address of this machine that is not loopback, "" when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith(("127.", "0.")) else address


@pytest.fixture
def open_server() -> Iterator[NatsServer]:
    """A nats-server on every address of this machine."""
    with NatsServer(arguments=["-a", "0.0.0.0"]) as server:  # noqa: S104 - that is the point
        yield server


async def warnings_of(
    url: str,
    caplog: pytest.LogCaptureFixture,
    tls: Any = None,
    *,
    token: Any = "t",  # noqa: S107 - it is none
) -> int:
    """Call often with a token over a fresh connection; return how often it was warned of."""
    async with (
        NatsServiceBuilder(Probe(), url, connection=ConnectionOptions(tls=tls)).build(),
        ProbeClient.connect(url, connection=ConnectionOptions(tls=tls), token=token) as client,
    ):
        for _ in range(3):
            await client.run("k", GO)
            await client.with_timeout(4).run("k", GO)
    return sum("without TLS" in message for message in caplog.messages)


async def test_tokens_in_plain_sight_are_warned_of_once(
    open_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """To another address without TLS: one warning a connection; none without a token."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    address = address_of_this_machine()
    if not address:
        pytest.skip("this machine has the loopback only")
    url = f"nats://{address}:{open_server.port}"
    assert await warnings_of(url, caplog, token=None) == 0
    assert await warnings_of(url, caplog) == 1
    caplog.clear()
    assert await warnings_of(url, caplog, token=lambda: "t") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_no_reason_to_warn(
    open_server: NatsServer, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    """What stays on the loopback is read by nobody else."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    assert await warnings_of(f"nats://{host}:{open_server.port}", caplog) == 0


async def test_tls_is_no_reason_to_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Over TLS tokens may go anywhere."""
    caplog.set_level(logging.WARNING, "weenats.auth")
    address = address_of_this_machine() or "127.0.0.1"
    certificate = self_signed(tmp_path, address)
    arguments = ["-a", "0.0.0.0", "--tls", "--tlscert", str(certificate.pem)]  # noqa: S104
    with NatsServer(arguments=[*arguments, "--tlskey", str(certificate.pem)]) as server:
        url = f"tls://{address}:{server.port}"
        assert await warnings_of(url, caplog, certificate.trusting) == 0
