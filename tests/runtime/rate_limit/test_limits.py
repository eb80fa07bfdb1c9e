"""How many requests pass, what the others are told, and who shares a bucket with whom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.clocks import travel
from testkit.contexts import make_context
from testkit.probe import RUN
from weenats import CallNext, Principal, RequestContext, Response
from weenats.contract import RateLimit
from weenats.errors import ResourceExhaustedError, ServiceError, UnauthenticatedError
from weenats.interceptors import chain
from weenats.rate_limit import RateLimitInterceptor, RateLimits, RateLimitSettings
from weenats.rate_limit.buckets import Bucket, SharedLimiter
from weenats.telemetry import semconv

LIMITED = replace(RUN, rate_limit=RateLimit(max_requests_per_second=1, burst=2))


async def passed(_: RequestContext) -> Response:
    """Let a request through."""
    return Response(None)


def gate(operation: Any = RUN, **settings: Any) -> CallNext:
    """Return the limit of an operation, with what it lets through behind it."""
    if settings:
        rate, burst = settings.pop("rate"), settings.pop("burst", None)
        settings["limit"] = RateLimit(max_requests_per_second=rate, burst=burst)
    return limited_by(RateLimits(RateLimitSettings(**settings), [operation]), operation)


def limited_by(limits: RateLimits, operation: Any = RUN) -> CallNext:
    """Return the limit of an operation, with what it lets through behind it."""
    interceptor = limits.interceptor(operation)
    assert interceptor is not None
    return chain([interceptor], passed)


def statistics(limits: RateLimits, operation: Any) -> Any:
    """Return what statistics show of an operation."""
    description = limits.describe(operation)
    assert description is not None
    return description.statistics["rateLimit"]()


def caller(name: str | None, issuer: str | None = None) -> RequestContext:
    """Return a request of somebody, or of nobody that is known."""
    principal = None if name is None else Principal(id=name, issuer=issuer)
    return make_context(side="server", principal=principal)


async def count(call: CallNext, times: int, context: Callable[[], RequestContext]) -> int:
    """Return how many of so many requests pass."""
    through = 0
    for _ in range(times):
        try:
            await call(context())
        except ResourceExhaustedError:
            continue
        through += 1
    return through


def anybody() -> RequestContext:
    """Return a request of nobody that is known."""
    return caller(None)


async def test_a_burst_passes_and_then_the_rate() -> None:
    """Twenty at once, then ten a second, for as long as they come."""
    clock, call = travel(), gate(rate=10, burst=20)
    assert await count(call, 100, anybody) == 20
    for _ in range(5):
        clock.advance(1)
        assert await count(call, 100, anybody) == 10
    clock.advance(60)
    assert await count(call, 100, anybody) == 20


@pytest.mark.parametrize(("rate", "burst"), [(10, 20), (0.25, 1), (0.5, 1), (3.5, 7)])
async def test_the_burst_is_twice_the_rate_and_one_at_least(rate: float, burst: int) -> None:
    """Nobody has to say it."""
    travel()
    assert await count(gate(rate=rate), 100, anybody) == burst


async def waits(call: CallNext) -> float:
    """Use the burst up; return how long the next request is told to wait, in seconds."""
    try:
        while True:
            await call(anybody())
    except ResourceExhaustedError as refused:
        assert refused.retry_after  # noqa: PT017 - after how many requests is not the question
        return refused.retry_after


@given(st.floats(0.01, 100), st.floats(1, 5), st.floats(0, 0.99))
async def test_retry_after_is_true(rate: float, factor: float, ahead: float) -> None:
    """Who waits that long passes, who comes a tenth earlier (and a millisecond) does not."""
    clock = travel()
    call = gate(rate=rate, burst=max(rate, 1.0) * factor)
    await waits(call)
    clock.now += ahead / rate
    wait = await waits(call)
    assert round(wait * 1000, 6) == round(wait * 1000)
    early = wait * 0.9 - 0.001  # it is told in whole milliseconds, rounded up
    if early > 0:
        clock.now += early
        with pytest.raises(ResourceExhaustedError):
            await call(anybody())
        clock.now += wait - early
    else:
        clock.now += wait
    await call(anybody())


async def test_a_refusal_names_the_operation_and_says_when() -> None:
    """Details have whole milliseconds; the text has nothing of the caller."""
    travel()
    call = gate(rate=2, burst=2, per_client=True)
    await count(call, 2, lambda: caller("ada-s3cret"))
    with pytest.raises(ResourceExhaustedError) as refused:
        await call(caller("ada-s3cret"))
    assert refused.value.details == {"retryAfter": 500}
    assert refused.value.message == "too many requests for run"


async def test_each_caller_has_a_bucket() -> None:
    """One that is used up takes nothing from another; issuers are part of who it is."""
    travel()
    call = gate(rate=5, burst=5, per_client=True)
    assert await count(call, 9, lambda: caller("ada")) == 5
    assert await count(call, 9, lambda: caller("bob")) == 5
    assert await count(call, 9, lambda: caller("ada", "https://one.example")) == 5
    assert await count(call, 9, lambda: caller("ada", "https://two.example")) == 5
    assert await count(call, 9, lambda: caller("ada")) == 0


async def test_issuer_and_id_do_not_run_into_each_other() -> None:
    """Whatever a validator of the user's calls an issuer, no two callers become one."""
    travel()
    call = gate(rate=1, burst=1, per_client=True)
    for issuer, name in (("a", "bc"), ("ab", "c"), (None, "abc"), ("a\nb", "c"), ("a", "b\nc")):
        who = caller(name, issuer)
        assert await count(call, 2, lambda who=who: who) == 1  # type: ignore[misc]


async def test_those_that_cannot_be_told_apart_share_one() -> None:
    """And no name that anybody may choose is that of the shared bucket."""
    travel()
    call = gate(rate=5, burst=5, per_client=True)
    assert await count(call, 9, anybody) == 5
    for name in ("", "\n", "k", "d", "shared", "None"):
        assert await count(call, 9, lambda name=name: caller(name)) == 5, name  # type: ignore[misc]


async def test_they_are_refused_when_that_is_wanted() -> None:
    """`reject`: who is nobody is told so, and takes from nobody's bucket."""
    travel()
    limit = RateLimit(max_requests_per_second=5, burst=5)
    settings = RateLimitSettings(limit=limit, per_client=True, on_missing_principal="reject")
    limits = RateLimits(settings, [RUN])
    call = limited_by(limits)
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            await call(anybody())
    assert statistics(limits, RUN) == {"refused": 2}
    assert limits.refused == 2
    assert await count(call, 9, lambda: caller("ada")) == 5


async def test_a_function_may_tell_callers_apart() -> None:
    """None is one that it cannot tell; what it says wins over the principal."""
    travel()

    def tenant(context: RequestContext) -> str | None:
        return context.headers.get("x-tenant")

    call = gate(rate=2, burst=2, key_extractor=tenant)

    def of(name: str) -> Callable[[], RequestContext]:
        return lambda: make_context(
            side="server", headers={"x-tenant": name}, principal=Principal(id="ada")
        )

    assert await count(call, 5, of("north")) == 2
    assert await count(call, 5, of("south")) == 2
    assert await count(call, 5, lambda: caller("ada")) == 2
    assert await count(call, 5, lambda: caller("bob")) == 0


@pytest.mark.parametrize("answer", [5, b"k", ["k"], object()])
async def test_a_function_that_returns_no_text_lets_nobody_through(answer: Any) -> None:
    """It is a defect, and told as one."""
    travel()
    text = f"^key_extractor must return str or None, not {type(answer).__name__}$"
    with pytest.raises(TypeError, match=text):
        await gate(rate=2, key_extractor=lambda _: answer)(anybody())


async def test_a_function_that_raises_lets_nobody_through() -> None:
    """Its exception goes the way of any defect."""
    travel()

    def broken(_: RequestContext) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await gate(rate=2, key_extractor=broken)(anybody())


async def test_long_and_odd_keys_are_keys_like_any_other() -> None:
    """They are told apart to the last character, and no half of a pair breaks them."""
    travel()
    call = gate(rate=1, burst=1, key_extractor=lambda context: context.headers["x-key"])
    for key in ("x" * 5000, "x" * 4999 + "y", "\ud800" * 200, "\ud800", "é\n\0"):
        assert await count(call, 3, lambda key=key: make_context(headers={"x-key": key})) == 1  # type: ignore[misc]


async def test_who_chooses_keys_does_not_choose_how_much_is_kept() -> None:
    """Short ones are kept as they are, long ones as something shorter; the shared one is empty."""
    travel()
    kept: list[str] = []

    class Noting(SharedLimiter):
        """Notes the keys that it is asked for."""

        def bucket(self, key: str) -> Bucket:
            kept.append(key)
            return super().bucket(key)

    limit = RateLimit(max_requests_per_second=5)
    keys = iter(["x" * 128, "x" * 5000, None])
    settings = RateLimitSettings(limit=limit, key_extractor=lambda _: next(keys))
    call = chain([RateLimitInterceptor(RUN, (Noting(limit),), settings)], passed)
    await count(call, 3, anybody)
    assert "x" * 128 in kept[-3]
    assert len(kept[-2]) <= 128
    assert kept[-1] == kept[0] == ""


async def test_the_strictest_decides_and_nothing_is_taken_in_vain() -> None:
    """What one limit refuses takes nothing from the other."""
    clock = travel()
    call = gate(LIMITED, rate=10, burst=10)
    assert await count(call, 50, anybody) == 2
    clock.advance(1)
    assert await count(call, 50, anybody) == 1
    limits = RateLimits(
        RateLimitSettings(limit=RateLimit(max_requests_per_second=10, burst=10)), [LIMITED, RUN]
    )
    limited, free = limited_by(limits, LIMITED), limited_by(limits, RUN)
    assert await count(limited, 50, anybody) == 2
    assert await count(free, 50, anybody) == 8, "48 refusals took from the service's bucket"
    assert await count(limited, 50, anybody) == 0


async def test_a_limit_of_the_contract_is_by_the_keys_of_the_service() -> None:
    """With a limit per client each client has the contract's allowance."""
    travel()
    call = gate(LIMITED, rate=100, per_client=True)
    assert await count(call, 5, lambda: caller("ada")) == 2
    assert await count(call, 5, lambda: caller("bob")) == 2


async def test_a_limit_of_the_contract_alone_is_for_all() -> None:
    """Without a limit of the service it holds for all callers together."""
    travel()
    call = gate(LIMITED)
    assert await count(call, 5, lambda: caller("ada")) == 2
    assert await count(call, 5, lambda: caller("bob")) == 0


def test_a_limit_of_the_contract_alone_tells_nobody_apart() -> None:
    """So the spans of its requests say."""
    description = RateLimits(RateLimitSettings(), [LIMITED]).describe(LIMITED)
    assert description is not None
    told = description.span_attributes
    assert told == {semconv.FEATURE_RATE_LIMIT: False, semconv.RATE_LIMIT_IDENTITY: "all"}


async def test_who_debugs_reads_what_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    """The operation, and by how much it came too early."""
    travel()
    with caplog.at_level(logging.DEBUG, "weenats.rate_limit"):
        await count(gate(rate=2, burst=2), 3, anybody)
    (line,) = caplog.messages
    assert RUN.subject in line
    assert "500 ms" in line


def test_an_operation_without_a_limit_has_nothing_before_it() -> None:
    """No interceptor, no description, no gauge."""
    limits = RateLimits(RateLimitSettings(), [RUN])
    assert limits.interceptor(RUN) is None
    assert limits.describe(RUN) is None
    assert limits.gauges() == {}


async def test_refusals_are_counted() -> None:
    """By operation, for statistics."""
    travel()
    limits = RateLimits(RateLimitSettings(), [LIMITED])
    await count(limited_by(limits, LIMITED), 5, anybody)
    assert statistics(limits, LIMITED) == {"refused": 3}
    assert limits.gauges() == {semconv.LIMIT_REFUSALS: 3}


def test_a_refusal_is_a_service_error() -> None:
    """It is one of the tree, so that clients catch it by its class."""
    assert issubclass(ResourceExhaustedError, ServiceError)
