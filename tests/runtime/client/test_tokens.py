"""Token sources of calls: strings, callables, and CachedToken."""

from __future__ import annotations

import asyncio
import gc
import json
import math
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from testkit.clocks import FakeClock
from testkit.waiting import settle
from weenats.client.tokens import (
    CachedToken,
    ask,
    check_source,
    expiry,
    warn_if_exposed,
)
from weenats.context import CURRENT
from weenats.errors import InvalidArgumentError, PermissionDeniedError, UnavailableError


def token(name: str = "a", **claims: Any) -> str:
    """Return a string that looks like a JWT; nothing verifies it here."""
    parts = (b'{"alg":"none"}', json.dumps(claims).encode(), name.encode())
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Issuer:
    """A token provider whose tokens live `lifetime` seconds, and which counts its calls."""

    def __init__(self, clock: FakeClock, lifetime: float = 300) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.asked = 0
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> str:
        """Return the next token, or raise `failure`; wait until `gate` is set."""
        self.asked += 1
        await asyncio.sleep(0)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return token(str(self.asked), exp=self.clock.now + self.lifetime)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that tests advance."""
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    """A provider whose tokens live five minutes."""
    return Issuer(clock)


async def test_token_is_cached_until_shortly_before_exp(clock: FakeClock, issuer: Issuer) -> None:
    """The provider is called again 30 seconds before exp, not earlier, in the background."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    clock.now += 269.9
    assert await source() == first
    clock.now += 0.1
    assert await source() == first
    await settle()
    assert await source() != first
    assert issuer.asked == 2


async def test_valid_token_is_used_while_the_issuer_is_down(
    clock: FakeClock, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that is to be renewed is used until it expires, and the issuer asked each second."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    issuer.failure = OSError("https://user:s3cret@issuer.example is down")
    clock.now += 270
    for _ in range(29):
        for _ in range(10):
            assert await source() == first
            await settle()
        clock.now += 1
    assert issuer.asked == 30
    assert {record.getMessage() for record in caplog.records} == {
        "a token could not be renewed (OSError); the one before is used until it expires"
    }
    assert "s3cret" not in caplog.text
    issuer.failure = None
    assert await source() == first
    await settle()
    assert await source() != first


async def test_calls_do_not_wait_for_the_renewal_of_a_valid_token(clock: FakeClock) -> None:
    """An issuer that hangs delays nobody until the token has expired."""
    issuer = Issuer(clock)
    source = CachedToken(issuer, clock=clock)
    first = await source()
    issuer.gate.clear()
    clock.now += 299
    assert [await source() for _ in range(5)] == [first] * 5
    clock.now += 1
    late = asyncio.create_task(source())
    await settle()
    assert not late.done()
    issuer.gate.set()
    assert await late != first
    assert issuer.asked == 2


async def test_provider_that_hangs_is_given_up(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request without an answer does not keep all later calls from having a token."""
    monkeypatch.setattr("weenats.client.tokens._FETCH_TIMEOUT", 0.01)
    issuer = Issuer(clock)
    source = CachedToken(issuer, clock=clock)
    issuer.gate.clear()
    with pytest.raises(UnavailableError, match=r"returned none within 0\.01 s"):
        await source()
    issuer.gate.set()
    monkeypatch.undo()
    assert await source()
    assert issuer.asked == 2


async def test_expired_token_is_not_used(clock: FakeClock, issuer: Issuer) -> None:
    """When the issuer is down and the token has expired, calls fail."""
    source = CachedToken(issuer, clock=clock)
    await source()
    issuer.failure = OSError()
    clock.now += 300
    with pytest.raises(UnavailableError, match="the token provider failed"):
        await source()


async def test_short_lived_token_is_cached_for_most_of_its_life(clock: FakeClock) -> None:
    """A token of ten seconds is cached for eight of them."""
    issuer = Issuer(clock, lifetime=10)
    source = CachedToken(issuer, clock=clock)
    await source()
    clock.now += 7.9
    await source()
    await settle()
    assert issuer.asked == 1
    clock.now += 0.1
    await source()
    await settle()
    assert issuer.asked == 2


async def test_expired_token_is_kept_for_a_second(clock: FakeClock) -> None:
    """A clock that is ahead of the issuer's, so that all tokens have expired, floods no issuer."""
    issuer = Issuer(clock, lifetime=-3600)
    source = CachedToken(issuer, clock=clock)
    for _ in range(100):
        await source()
    assert issuer.asked == 1
    clock.now += 1
    await source()
    assert issuer.asked == 2


async def test_expired_token_does_not_replace_a_valid_one(
    clock: FakeClock, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """An issuer that returns an expired token is asked again after a second, as if it were down."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    issuer.lifetime = -1
    clock.now += 270
    for _ in range(3):
        assert await source() == first
        await settle()
        assert await source() == first
        clock.now += 1
    assert issuer.asked == 4
    assert {record.getMessage().partition("; ")[0] for record in caplog.records} == {
        "a token could not be renewed (the new one has expired already)"
    }
    issuer.lifetime = 300
    await source()
    await settle()
    assert await source() != first


async def test_expired_token_replaces_one_that_a_service_refused(
    clock: FakeClock, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused token is not used again, and no log calls it valid."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    issuer.lifetime = -1
    second = await source.renew(first)
    assert second not in {first, None}
    assert await source() == second
    issuer.failure = OSError()
    clock.now += 1
    with pytest.raises(UnavailableError):
        await source()
    assert caplog.records == []


async def test_token_without_exp_is_cached_until_renewed(clock: FakeClock) -> None:
    """An opaque token stays cached until a service rejects it."""
    names = iter(["first", "second"])
    source = CachedToken(lambda: next(names), clock=clock)
    assert await source() == "first"
    clock.now += 1e9
    assert await source() == "first"
    assert await source.renew("first") == "second"


async def test_concurrent_callers_share_one_provider_call(clock: FakeClock, issuer: Issuer) -> None:
    """A hundred concurrent callers cost one token."""
    source = CachedToken(issuer, clock=clock)
    tokens = await asyncio.gather(*(source() for _ in range(100)))
    assert len(set(tokens)) == issuer.asked == 1


async def test_rejected_token_is_renewed_once_for_all_callers(
    clock: FakeClock, issuer: Issuer
) -> None:
    """A hundred callers with one rejected token get one new token."""
    source = CachedToken(issuer, clock=clock)
    refused = await source()
    renewed = await asyncio.gather(*(source.renew(refused) for _ in range(100)))
    assert set(renewed) == {await source()}
    assert issuer.asked == 2


async def test_renewals_are_limited_to_one_per_second(clock: FakeClock, issuer: Issuer) -> None:
    """A service that rejects every token causes one new token per second."""
    source = CachedToken(issuer, clock=clock)
    for _ in range(50):
        await source.renew(await source())
    assert issuer.asked == 2
    clock.now += 1
    assert await source.renew(await source()) is not None
    assert issuer.asked == 3


async def test_renew_returns_none_for_the_same_token(clock: FakeClock) -> None:
    """A provider that returns the rejected token again gives no token to retry with."""
    source = CachedToken(lambda: "always", clock=clock)
    assert await source.renew(await source()) is None


@pytest.mark.parametrize(
    "error", [OSError("10.0.0.1 with password"), asyncio.CancelledError(), BaseException("a panic")]
)
async def test_provider_failure_reaches_all_waiting_callers(
    error: BaseException, clock: FakeClock
) -> None:
    """Every waiting caller gets the failure, and the next one calls the provider again."""
    outcomes: list[Any] = [error, "good"]

    async def provider() -> str:
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return str(outcome)

    source = CachedToken(provider, clock=clock)
    failures = await asyncio.gather(source(), source(), return_exceptions=True)
    for failure in failures:
        assert isinstance(failure, UnavailableError)
        assert failure.message == "no token for the call: the token provider failed"
        assert failure.__cause__ is error
    assert await source() == "good"


async def test_cancelled_caller_does_not_cancel_the_provider(clock: FakeClock) -> None:
    """The provider continues when the caller that started it is cancelled."""
    gate = asyncio.Event()

    async def provider() -> str:
        await gate.wait()
        return "late"

    source = CachedToken(provider, clock=clock)
    hasty, patient = asyncio.create_task(source()), asyncio.create_task(source())
    await settle()
    hasty.cancel()
    await settle()
    gate.set()
    assert await patient == "late"
    assert hasty.cancelled()


async def test_failure_without_waiting_callers_is_not_reported(clock: FakeClock) -> None:
    """When all callers were cancelled, asyncio reports no unretrieved exception."""
    gate = asyncio.Event()
    lost: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))

    async def provider() -> str:
        await gate.wait()
        raise OSError

    source = CachedToken(provider, clock=clock)
    caller = asyncio.create_task(source())
    await settle()
    caller.cancel()
    gate.set()
    await settle()
    del source, caller
    gc.collect()
    assert lost == []


async def test_provider_does_not_inherit_the_request_context(clock: FakeClock) -> None:
    """Calls of the provider have neither the deadline nor the correlation of a request."""
    seen: list[Any] = []

    def provider() -> str:
        seen.append(CURRENT.get())
        return "t"

    CURRENT.set(object())  # type: ignore[arg-type]
    await CachedToken(provider, clock=clock)()
    assert seen == [None]


def test_cached_token_works_in_several_event_loops(clock: FakeClock, issuer: Issuer) -> None:
    """A source outlives the loop that used it first, even one closed during a call."""
    source = CachedToken(issuer, clock=clock)

    async def give_up() -> None:
        task = asyncio.create_task(source())
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    assert asyncio.run(source())  # type: ignore[arg-type]
    assert asyncio.run(source())  # type: ignore[arg-type]


async def test_invalidate_drops_the_cached_token(clock: FakeClock, issuer: Issuer) -> None:
    """invalidate() with another token has no effect."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    source.invalidate("another")
    assert await source() == first
    source.invalidate()
    assert await source() != first


async def test_repr_hides_the_token(clock: FakeClock) -> None:
    """The repr shows whether there is a token, and never the token."""
    source = CachedToken(lambda: "s3cret", clock=clock)
    assert repr(source) == "<CachedToken empty>"
    await source()
    assert repr(source) == "<CachedToken filled>"


@pytest.mark.parametrize("in_thread", [False, True])
async def test_debug_mode_of_asyncio_shows_no_token(
    *, in_thread: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It logs the results of tasks and futures that take long."""
    monkeypatch.setattr("weenats.client.tokens.is_on_loop_thread", lambda: in_thread)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    assert await CachedToken(lambda: "s3cret")() == "s3cret"
    await settle()
    loop.set_debug(False)
    assert "CachedToken._fetch" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("provided", [None, "", b"bytes", 5])
async def test_invalid_token_of_a_provider_is_rejected(provided: Any) -> None:
    """A provider that returns something other than text is an error that does not show it."""
    text = r": no token for the call: the token provider returned none$"
    with pytest.raises(UnavailableError, match=text):
        await ask(lambda: provided)


async def test_service_errors_of_a_provider_pass_through() -> None:
    """A ServiceError raised by the provider is not changed."""

    async def provider() -> str:
        raise PermissionDeniedError("not you")

    with pytest.raises(PermissionDeniedError, match="not you"):
        await ask(provider)


@pytest.mark.parametrize("source", ["", None, 5, b"token"])
def test_invalid_token_source_is_rejected(source: Any) -> None:
    """Anything but a token or a callable is rejected without showing it."""
    with pytest.raises(InvalidArgumentError):
        check_source(source)


def test_valid_token_source_is_returned_unchanged() -> None:
    """A token is checked, a callable is called later."""
    assert check_source("token") == "token"
    assert check_source(token) is token  # type: ignore[comparison-overlap]


def test_cached_token_requires_a_callable() -> None:
    """A token in place of a provider is rejected by the constructor."""
    with pytest.raises(
        InvalidArgumentError, match=r": the provider of a CachedToken must be callable$"
    ):
        CachedToken("s3cret")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (token(exp=5), 5.0),
        (token(exp=5.5), 5.5),
        (token(), math.inf),
        (token(exp="5"), math.inf),
        (token(exp=True), math.inf),
        (token(exp=10**400), math.inf),
        (token(exp=math.inf), math.inf),
        (token(exp=math.nan), math.inf),
        ("opaque", math.inf),
        ("a.%%%.c", math.inf),
        ("a.ä.c", math.inf),
        ("a.W10.c", math.inf),
        ("a..c", math.inf),
        ("a." + "WzE" * 5 + ".c", math.inf),
        (f"a.{urlsafe_b64encode(b'[' * 100_000).decode()}.c", math.inf),
    ],
)
def test_expiry_is_read_from_the_exp_claim(text: str, expected: float) -> None:
    """A number in exp is the expiry; anything else means infinity and never raises."""
    assert expiry(text) == expected


EXPOSED = (
    "tokens are sent to a remote NATS server without TLS: anyone on the network path can read and"
    " use them"
)


class FakeTransport:
    """A transport with only the attribute that tokens need."""

    def __init__(self, *, is_private: bool) -> None:
        self.is_private = is_private


def test_tokens_without_tls_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """One warning is logged for each exposed connection, and none for private ones."""
    private, first, second = (
        FakeTransport(is_private=True),
        FakeTransport(is_private=False),
        FakeTransport(is_private=False),
    )
    for line in (private, first, first, second, second):
        warn_if_exposed(line)  # type: ignore[arg-type]
    assert caplog.messages == [EXPOSED, EXPOSED]
