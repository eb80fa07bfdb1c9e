"""Where the tokens of calls come from: strings, callables, and CachedToken in particular."""

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
    """Return a JWT with claims; its signature is a name."""
    parts = (b'{"alg":"none"}', json.dumps(claims).encode(), name.encode())
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Issuer:
    """A provider that hands out tokens that live `lifetime` seconds, and counts them."""

    def __init__(self, clock: FakeClock, lifetime: float = 300) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.asked = 0

    async def __call__(self) -> str:
        """Return the next token."""
        self.asked += 1
        await asyncio.sleep(0)
        return token(str(self.asked), exp=self.clock.now + self.lifetime)


@pytest.fixture
def clock() -> FakeClock:
    """The time, which tests move."""
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    """A provider whose tokens live five minutes."""
    return Issuer(clock)


async def test_a_token_is_kept_until_shortly_before_it_expires(
    clock: FakeClock, issuer: Issuer
) -> None:
    """The provider is asked again 30 seconds before `exp`, not earlier."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    clock.now += 269.9
    assert await source() == first
    clock.now += 0.1
    assert await source() != first
    assert issuer.asked == 2


async def test_a_short_lived_token_is_kept_for_most_of_its_life(clock: FakeClock) -> None:
    """A token of ten seconds is kept for eight of them."""
    issuer = Issuer(clock, lifetime=10)
    source = CachedToken(issuer, clock=clock)
    await source()
    clock.now += 7.9
    await source()
    assert issuer.asked == 1
    clock.now += 0.1
    await source()
    assert issuer.asked == 2


async def test_an_expired_token_is_not_kept(clock: FakeClock) -> None:
    """What the provider returns is handed on, and asked for anew when it has expired already."""
    issuer = Issuer(clock, lifetime=-5)
    source = CachedToken(issuer, clock=clock)
    await source()
    await source()
    assert issuer.asked == 2


async def test_a_token_without_exp_is_kept_until_it_is_refused(clock: FakeClock) -> None:
    """An opaque token stays; only a refusal replaces it."""
    names = iter(["first", "second"])
    source = CachedToken(lambda: next(names), clock=clock)
    assert await source() == "first"
    clock.now += 1e9
    assert await source() == "first"
    assert await source.renew("first") == "second"


async def test_one_caller_at_a_time_asks_the_provider(clock: FakeClock, issuer: Issuer) -> None:
    """A hundred callers at once cost one token."""
    source = CachedToken(issuer, clock=clock)
    tokens = await asyncio.gather(*(source() for _ in range(100)))
    assert len(set(tokens)) == issuer.asked == 1


async def test_a_refused_token_is_renewed_once_for_all_callers(
    clock: FakeClock, issuer: Issuer
) -> None:
    """A hundred callers with one refused token get one new token."""
    source = CachedToken(issuer, clock=clock)
    refused = await source()
    renewed = await asyncio.gather(*(source.renew(refused) for _ in range(100)))
    assert set(renewed) == {await source()}
    assert issuer.asked == 2


async def test_renewing_is_bounded(clock: FakeClock, issuer: Issuer) -> None:
    """A service that refuses everybody causes one new token a second, no more."""
    source = CachedToken(issuer, clock=clock)
    for _ in range(50):
        await source.renew(await source())
    assert issuer.asked == 2
    clock.now += 1
    assert await source.renew(await source()) is not None
    assert issuer.asked == 3


async def test_the_same_token_again_is_no_other_token(clock: FakeClock) -> None:
    """A provider that returns what was refused gives nothing to try again with."""
    source = CachedToken(lambda: "always", clock=clock)
    assert await source.renew(await source()) is None


async def test_a_failing_provider_fails_its_callers_and_is_asked_again(clock: FakeClock) -> None:
    """Every waiting caller learns of the failure, the next one asks anew."""
    outcomes: list[Any] = [OSError("10.0.0.1 with password"), "good"]

    async def provider() -> str:
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    source = CachedToken(provider, clock=clock)
    failures = await asyncio.gather(source(), source(), return_exceptions=True)
    for failure in failures:
        assert isinstance(failure, UnavailableError)
        assert failure.message == "no token for the call: the token provider failed"
        assert isinstance(failure.__cause__, OSError)
    assert await source() == "good"


async def test_a_caller_that_gives_up_does_not_end_it_for_others(clock: FakeClock) -> None:
    """The provider runs on when the caller that set it off is cancelled."""
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


async def test_a_failure_that_nobody_waits_for_is_not_reported_as_lost(clock: FakeClock) -> None:
    """When all callers have gone, the failure of the provider goes with them."""
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


async def test_the_provider_inherits_nothing_of_the_message_at_hand(clock: FakeClock) -> None:
    """What the provider calls belongs to no request: neither its deadline nor its correlation."""
    seen: list[Any] = []

    def provider() -> str:
        seen.append(CURRENT.get())
        return "t"

    CURRENT.set(object())  # type: ignore[arg-type]
    await CachedToken(provider, clock=clock)()
    assert seen == [None]


def test_it_may_be_used_in_one_loop_after_another(clock: FakeClock, issuer: Issuer) -> None:
    """A source outlives the loop that asked first, even one that ended while it asked."""
    source = CachedToken(issuer, clock=clock)

    async def give_up() -> None:
        task = asyncio.create_task(source())
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    assert asyncio.run(source())  # type: ignore[arg-type]
    assert asyncio.run(source())  # type: ignore[arg-type]


async def test_invalidate_forgets_the_token(clock: FakeClock, issuer: Issuer) -> None:
    """Whoever knows better than `exp` forgets a token; another token's end is no matter."""
    source = CachedToken(issuer, clock=clock)
    first = await source()
    source.invalidate("another")
    assert await source() == first
    source.invalidate()
    assert await source() != first


async def test_repr_shows_no_token(clock: FakeClock) -> None:
    """Neither before nor after the first call does repr show a token."""
    source = CachedToken(lambda: "s3cret", clock=clock)
    assert repr(source) == "<CachedToken empty>"
    await source()
    assert repr(source) == "<CachedToken filled>"


@pytest.mark.parametrize("provided", [None, "", b"bytes", 5])
async def test_what_is_no_token_is_refused(provided: Any) -> None:
    """A provider that returns no text is a clear error that shows nothing of it."""
    text = r": no token for the call: the token provider returned none$"
    with pytest.raises(UnavailableError, match=text):
        await ask(lambda: provided)


async def test_errors_of_a_service_that_issues_tokens_stay_as_they_are() -> None:
    """A provider that calls a service hands on its refusal."""

    async def provider() -> str:
        raise PermissionDeniedError("not you")

    with pytest.raises(PermissionDeniedError, match="not you"):
        await ask(provider)


@pytest.mark.parametrize("source", ["", None, 5, b"token"])
def test_a_source_is_a_token_or_a_callable(source: Any) -> None:
    """Anything else is refused at once, without showing it."""
    with pytest.raises(InvalidArgumentError):
        check_source(source)


def test_a_source_stays_what_it_is() -> None:
    """A token is checked, a callable is asked later."""
    assert check_source("token") == "token"
    assert check_source(token) is token  # type: ignore[comparison-overlap]


def test_a_provider_must_be_callable() -> None:
    """A token in place of a provider is refused when the source is made."""
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
def test_expiry_reads_what_a_token_says(text: str, expected: float) -> None:
    """A number in `exp` is the time; anything else says nothing, and nothing makes it fail."""
    assert expiry(text) == expected


EXPOSED = (
    "tokens are sent to a remote NATS server without TLS: anyone on the network path can read and"
    " use them"
)


class Line:
    """A transport, as far as tokens are concerned."""

    def __init__(self, *, is_private: bool) -> None:
        self.is_private = is_private


def test_tokens_that_others_can_read_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """For each connection; one that nobody else can read is no matter."""
    private, first, second = Line(is_private=True), Line(is_private=False), Line(is_private=False)
    for line in (private, first, first, second, second):
        warn_if_exposed(line)  # type: ignore[arg-type]
    assert caplog.messages == [EXPOSED, EXPOSED]
