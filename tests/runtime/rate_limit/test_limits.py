"""Rate limits: admitted requests, errors, and which callers share a bucket."""

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
from weenats.errors import InternalError, ResourceExhaustedError, ServiceError, UnauthenticatedError
from weenats.interceptors import chain
from weenats.rate_limit import RateLimitInterceptor, RateLimits, RateLimitSettings
from weenats.rate_limit.buckets import Bucket, SharedLimiter
from weenats.telemetry import semconv

LIMITED = replace(RUN, rate_limit=RateLimit(max_requests_per_second=1, burst=2))


async def admit(_: RequestContext) -> Response:
    """Answer a request."""
    return Response(None)


def make_limited(operation: Any = RUN, **settings: Any) -> CallNext:
    """Return a handler behind the rate limit of an operation."""
    if settings:
        rate, burst = settings.pop("rate"), settings.pop("burst", None)
        settings["limit"] = RateLimit(max_requests_per_second=rate, burst=burst)
    return limited_by(RateLimits(RateLimitSettings(**settings), [operation]), operation)


def limited_by(limits: RateLimits, operation: Any = RUN) -> CallNext:
    """Return the limit of an operation, with what it lets through behind it."""
    interceptor = limits.interceptor(operation)
    assert interceptor is not None
    return chain([interceptor], admit)


def statistics(limits: RateLimits, operation: Any) -> Any:
    """Return what statistics show of an operation."""
    description = limits.describe(operation)
    assert description is not None
    return description.statistics["rateLimit"]()


def caller(name: str | None, issuer: str | None = None) -> RequestContext:
    """Return a request of this principal, or of an anonymous caller."""
    principal = None if name is None else Principal(id=name, issuer=issuer)
    return make_context(side="server", principal=principal)


async def count_admitted(call: CallNext, times: int, context: Callable[[], RequestContext]) -> int:
    """Return how many of this many requests are admitted."""
    through = 0
    for _ in range(times):
        try:
            await call(context())
        except ResourceExhaustedError:
            continue
        through += 1
    return through


def anonymous_request() -> RequestContext:
    """Return a request without a principal."""
    return caller(None)


async def test_burst_then_rate_is_admitted() -> None:
    """A burst of twenty is admitted, then ten per second."""
    clock, call = travel(), make_limited(rate=10, burst=20)
    assert await count_admitted(call, 100, anonymous_request) == 20
    for _ in range(5):
        clock.advance(1)
        assert await count_admitted(call, 100, anonymous_request) == 10
    clock.advance(60)
    assert await count_admitted(call, 100, anonymous_request) == 20


@pytest.mark.parametrize(("rate", "burst"), [(10, 20), (0.25, 1), (0.5, 1), (3.5, 7)])
async def test_default_burst_is_twice_the_rate(rate: float, burst: int) -> None:
    """The default burst is twice the rate, but at least one."""
    travel()
    assert await count_admitted(make_limited(rate=rate), 100, anonymous_request) == burst


async def time_to_wait(call: CallNext) -> float:
    """Use up the burst and return the retryAfter of the next request, in seconds."""
    try:
        while True:
            await call(anonymous_request())
    except ResourceExhaustedError as refused:
        assert refused.retry_after  # noqa: PT017 - after how many requests is not the question
        return refused.retry_after


@given(st.floats(0.01, 100), st.floats(1, 5), st.floats(0, 0.99))
async def test_retry_after_is_accurate(rate: float, factor: float, ahead: float) -> None:
    """A request after that time is admitted; one a tenth earlier is rejected."""
    clock = travel()
    call = make_limited(rate=rate, burst=max(rate, 1.0) * factor)
    await time_to_wait(call)
    clock.now += ahead / rate
    wait = await time_to_wait(call)
    assert round(wait * 1000, 6) == round(wait * 1000)
    early = wait * 0.9 - 0.001  # it is told in whole milliseconds, rounded up
    if early > 0:
        clock.now += early
        with pytest.raises(ResourceExhaustedError):
            await call(anonymous_request())
        clock.now += wait - early
    else:
        clock.now += wait
    await call(anonymous_request())


async def test_error_names_the_operation_and_retry_after() -> None:
    """The retryAfter is in whole milliseconds, and the message does not name the caller."""
    travel()
    call = make_limited(rate=2, burst=2, per_client=True)
    await count_admitted(call, 2, lambda: caller("ada-s3cret"))
    with pytest.raises(ResourceExhaustedError) as refused:
        await call(caller("ada-s3cret"))
    assert refused.value.details == {"retryAfter": 500}
    assert refused.value.message == "too many requests for run"


async def test_each_principal_has_its_own_bucket() -> None:
    """Principals with the same id of different issuers have different buckets."""
    travel()
    call = make_limited(rate=5, burst=5, per_client=True)
    assert await count_admitted(call, 9, lambda: caller("ada")) == 5
    assert await count_admitted(call, 9, lambda: caller("bob")) == 5
    assert await count_admitted(call, 9, lambda: caller("ada", "https://one.example")) == 5
    assert await count_admitted(call, 9, lambda: caller("ada", "https://two.example")) == 5
    assert await count_admitted(call, 9, lambda: caller("ada")) == 0


async def test_issuer_and_id_are_not_concatenated() -> None:
    """Different pairs of issuer and id never share a bucket."""
    travel()
    call = make_limited(rate=1, burst=1, per_client=True)
    for issuer, name in (("a", "bc"), ("ab", "c"), (None, "abc"), ("a\nb", "c"), ("a", "b\nc")):
        who = caller(name, issuer)
        assert await count_admitted(call, 2, lambda who=who: who) == 1  # type: ignore[misc]


async def test_anonymous_callers_share_one_bucket() -> None:
    """No key of a principal can collide with the shared bucket."""
    travel()
    call = make_limited(rate=5, burst=5, per_client=True)
    assert await count_admitted(call, 9, anonymous_request) == 5
    for name in ("", "\n", "k", "d", "shared", "None"):
        assert await count_admitted(call, 9, lambda name=name: caller(name)) == 5, name  # type: ignore[misc]


async def test_reject_refuses_anonymous_callers() -> None:
    """With on_missing_principal="reject" they get UNAUTHENTICATED and use no bucket."""
    travel()
    limit = RateLimit(max_requests_per_second=5, burst=5)
    settings = RateLimitSettings(limit=limit, per_client=True, on_missing_principal="reject")
    limits = RateLimits(settings, [RUN])
    call = limited_by(limits)
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            await call(anonymous_request())
    assert statistics(limits, RUN) == {"refused": 2}
    assert limits.refused == 2
    assert await count_admitted(call, 9, lambda: caller("ada")) == 5


async def test_key_extractor_selects_the_bucket() -> None:
    """The returned key replaces the principal; None selects the shared bucket."""
    travel()

    def tenant(context: RequestContext) -> str | None:
        return context.headers.get("x-tenant")

    call = make_limited(rate=2, burst=2, key_extractor=tenant)

    def of(name: str) -> Callable[[], RequestContext]:
        return lambda: make_context(
            side="server", headers={"x-tenant": name}, principal=Principal(id="ada")
        )

    assert await count_admitted(call, 5, of("north")) == 2
    assert await count_admitted(call, 5, of("south")) == 2
    assert await count_admitted(call, 5, lambda: caller("ada")) == 2
    assert await count_admitted(call, 5, lambda: caller("bob")) == 0


@pytest.mark.parametrize("answer", [5, b"k", ["k"], object()])
async def test_key_extractor_with_wrong_type_is_logged_once(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request whose key is neither text nor None gets INTERNAL; the log has its type once."""
    travel()
    limited = make_limited(rate=2, key_extractor=lambda _: answer)
    for _ in range(3):
        with pytest.raises(InternalError):
            await limited(anonymous_request())
    (record,) = caplog.records
    text = f"key_extractor must return str or None, not {type(answer).__name__}"
    assert record.getMessage().endswith(text)


async def test_key_extractor_exception_propagates() -> None:
    """An exception of key_extractor fails the request."""
    travel()

    def broken(_: RequestContext) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await make_limited(rate=2, key_extractor=broken)(anonymous_request())


async def test_long_and_unusual_keys_are_supported() -> None:
    """Keys differ to the last character, and lone surrogates cause no error."""
    travel()
    call = make_limited(rate=1, burst=1, key_extractor=lambda context: context.headers["x-key"])
    for key in ("x" * 5000, "x" * 4999 + "y", "\ud800" * 200, "\ud800", "é\n\0"):
        assert (
            await count_admitted(call, 3, lambda key=key: make_context(headers={"x-key": key})) == 1
        )  # type: ignore[misc]


async def test_stored_keys_are_bounded_in_length() -> None:
    """Short keys are kept as they are, long ones as a digest; the shared key is empty."""
    travel()
    kept: list[str] = []

    class RecordingLimiter(SharedLimiter):
        """A limiter that records the requested keys."""

        def bucket(self, key: str) -> Bucket:
            kept.append(key)
            return super().bucket(key)

    limit = RateLimit(max_requests_per_second=5)
    keys = iter(["x" * 128, "x" * 5000, None])
    settings = RateLimitSettings(limit=limit, key_extractor=lambda _: next(keys))
    call = chain([RateLimitInterceptor(RUN, (RecordingLimiter(limit),), settings)], admit)
    await count_admitted(call, 3, anonymous_request)
    assert "x" * 128 in kept[-3]
    assert len(kept[-2]) <= 128
    assert kept[-1] == ""


async def test_strictest_limit_decides_without_using_others() -> None:
    """A request that one limit rejects takes nothing from the other buckets."""
    clock = travel()
    call = make_limited(LIMITED, rate=10, burst=10)
    assert await count_admitted(call, 50, anonymous_request) == 2
    clock.advance(1)
    assert await count_admitted(call, 50, anonymous_request) == 1
    limits = RateLimits(
        RateLimitSettings(limit=RateLimit(max_requests_per_second=10, burst=10)), [LIMITED, RUN]
    )
    limited, free = limited_by(limits, LIMITED), limited_by(limits, RUN)
    assert await count_admitted(limited, 50, anonymous_request) == 2
    assert await count_admitted(free, 50, anonymous_request) == 8, (
        "48 refusals took from the service's bucket"
    )
    assert await count_admitted(limited, 50, anonymous_request) == 0


async def test_contract_limit_applies_per_client() -> None:
    """With per_client=True each client has the allowance of the contract."""
    travel()
    call = make_limited(LIMITED, rate=100, per_client=True)
    assert await count_admitted(call, 5, lambda: caller("ada")) == 2
    assert await count_admitted(call, 5, lambda: caller("bob")) == 2


async def test_contract_limit_alone_applies_to_all_callers() -> None:
    """Without service settings all callers share it, as the innermost interceptor."""
    travel()
    call = make_limited(LIMITED)
    assert await count_admitted(call, 5, lambda: caller("ada")) == 2
    assert await count_admitted(call, 5, lambda: caller("bob")) == 0


def test_contract_limit_alone_has_identity_all() -> None:
    """The span attributes of its requests have the rate limit identity "all"."""
    description = RateLimits(RateLimitSettings(), [LIMITED]).describe(LIMITED)
    assert description is not None
    told = description.span_attributes
    assert told == {semconv.FEATURE_RATE_LIMIT: False, semconv.RATE_LIMIT_IDENTITY: "all"}


async def test_rejections_are_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the operation and the time to wait."""
    travel()
    with caplog.at_level(logging.DEBUG, "weenats.rate_limit"):
        await count_admitted(make_limited(rate=2, burst=2), 3, anonymous_request)
    (line,) = caplog.messages
    assert RUN.subject in line
    assert "500 ms" in line


def test_operation_without_a_limit_has_no_interceptor() -> None:
    """There are no interceptors, statistics or attributes for it."""
    limits = RateLimits(RateLimitSettings(), [RUN])
    assert limits.interceptor(RUN) is None
    assert limits.describe(RUN) is None
    assert limits.gauges() == {}


async def test_rejections_are_counted_per_operation() -> None:
    """The statistics have the number of rejected requests."""
    travel()
    limits = RateLimits(RateLimitSettings(), [LIMITED])
    await count_admitted(limited_by(limits, LIMITED), 5, anonymous_request)
    assert statistics(limits, LIMITED) == {"refused": 3}
    assert limits.gauges() == {semconv.LIMIT_REFUSALS: 3}


def test_resource_exhausted_is_a_service_error() -> None:
    """Clients can catch the error as a ServiceError."""
    assert issubclass(ResourceExhaustedError, ServiceError)
