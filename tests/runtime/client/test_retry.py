"""Which calls are made again, after how long, and when no more; in fake time."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from types import NoneType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.probe import CONTRACT, FIND, GET, RUN
from testkit.retries import Backend, SleepClock, idempotent_call, make_retry
from testkit.waiting import until
from weenats.client.retry import ATTEMPT, RetryInterceptor
from weenats.context import Key, RequestContext, Response
from weenats.contract import Query
from weenats.errors import (
    CLASS_OF_CODE,
    CancelledError,
    ConnectionLostError,
    InvalidArgumentError,
    MessageTooLargeError,
    NoRespondersError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)

COSTLY = Query(
    name="costly",
    contract=CONTRACT,
    parameters=NoneType,
    result=NoneType,
    idempotent=False,
    description="Counts how often it is asked.",
)
NOTE = Key[str]("note")


class ShopClosedError(UnavailableError):
    """An error that a contract declares."""

    name = "shop-closed"


def too_busy(milliseconds: float | None = None) -> ResourceExhaustedError:
    """Return what a service says that has too much to do, and for how long."""
    return ResourceExhaustedError(
        details=None if milliseconds is None else {"retryAfter": milliseconds}
    )


@pytest.fixture
def time() -> SleepClock:
    """The time, in which pauses pass at once."""
    return SleepClock()


@pytest.mark.parametrize(
    ("operation", "attempts"),
    [(RUN, 1), (COSTLY, 1), (GET, 2), (FIND, 2), (idempotent_call().operation, 2)],
    ids=lambda value: getattr(value, "name", None),
)
async def test_only_idempotent_operations_are_tried_again(
    time: SleepClock, operation: Any, attempts: int
) -> None:
    """Queries by default, commands when the contract says so; all others fail as they did."""
    backend = Backend(UnavailableError())
    call = make_retry(time)(idempotent_call(operation=operation), backend)
    if attempts == 1:
        with pytest.raises(UnavailableError):
            await call
    else:
        assert (await call).result == 2
    assert len(backend.seen) == attempts


@pytest.mark.parametrize(
    "error",
    [
        *(kind() for kind in CLASS_OF_CODE.values()),
        NoRespondersError(), ConnectionLostError(), MessageTooLargeError(), ShopClosedError(),
        ValueError("a defect"), asyncio.CancelledError(), TimeoutError(), KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_only_what_may_pass_is_tried_again(time: SleepClock, error: BaseException) -> None:
    """UNAVAILABLE and RESOURCE_EXHAUSTED of whatever class, but nothing that is too large."""
    again = isinstance(error, UnavailableError | ResourceExhaustedError) and not isinstance(
        error, MessageTooLargeError
    )
    backend = Backend(error)
    if again:
        await make_retry(time)(idempotent_call(), backend)
    else:
        with pytest.raises(type(error)) as raised:
            await make_retry(time)(idempotent_call(), backend)
        assert raised.value is error
        assert not time.pauses
    assert len(backend.seen) == 1 + again


async def test_what_is_raised_before_there_is_anything_to_await_counts_too(
    time: SleepClock,
) -> None:
    """An interceptor may refuse in its plain `__call__`."""
    refused: list[RequestContext] = []

    def refuse(context: RequestContext) -> Any:
        refused.append(context)
        raise UnavailableError

    with pytest.raises(UnavailableError):
        await make_retry(time)(idempotent_call(), refuse)
    assert len(refused) == 3


async def test_when_all_attempts_fail_the_last_error_is_raised_as_it_is(time: SleepClock) -> None:
    """Same object, nothing added to it, and no trace of the earlier ones."""
    errors: list[ServiceError] = [UnavailableError("a"), too_busy(5), ShopClosedError("c")]
    errors[2].remote = True
    with pytest.raises(UnavailableError) as raised:
        await make_retry(time)(idempotent_call(), Backend(*errors))
    assert raised.value is errors[2]
    assert raised.value.__context__ is None
    assert not hasattr(raised.value, "__notes__")
    assert (raised.value.message, raised.value.remote) == ("c", True)


async def test_a_later_error_that_does_not_pass_ends_the_call(time: SleepClock) -> None:
    """Each attempt is judged by its own error."""
    backend = Backend(UnavailableError(), CancelledError(), UnavailableError())
    with pytest.raises(CancelledError):
        await make_retry(time, attempts=5)(idempotent_call(), backend)
    assert len(backend.seen) == 2


@given(
    attempts=st.integers(2, 10),
    initial=st.floats(0.001, 10),
    factor=st.floats(1, 100),
    draws=st.lists(st.floats(0, 1), min_size=9, max_size=9),
    after=st.none() | st.floats(0, 60_000),
)
async def test_pauses_are_within_bounds_that_double(
    attempts: int, initial: float, factor: float, draws: list[float], after: float | None
) -> None:
    """The nth pause is drawn between 0 and the smaller of initial * 2**n and the longest one.

    What the service asked for comes first: no attempt is earlier.
    """
    time = SleepClock()
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return low + (high - low) * draws[len(bounds) - 1]

    retry = RetryInterceptor(
        attempts,
        initial_backoff=initial,
        max_backoff=initial * factor,
        clock=time,
        sleep=time.sleep,
        uniform=uniform,
    )
    backend = Backend(*(too_busy(after) for _ in range(attempts)))
    with pytest.raises(ResourceExhaustedError):
        await retry(idempotent_call(), backend)
    expected = [(0.0, min(initial * factor, initial * 2**n)) for n in range(attempts - 1)]
    assert bounds == expected
    assert len(backend.seen) == attempts
    asked = (after or 0) / 1000
    for pause, (_, high), draw in zip(time.pauses, expected, draws, strict=False):
        assert pause == asked + high * draw
        assert asked <= pause <= asked + high


async def test_pauses_are_random_and_sleep_is_real_by_default() -> None:
    """Callers that failed at one time do not come back at one time."""
    retry = RetryInterceptor(initial_backoff=0.001, max_backoff=0.001)
    assert (await retry(idempotent_call(), Backend(UnavailableError()))).result == 2
    original = idempotent_call()
    assert len({retry._delay(original, UnavailableError(), 1.0) for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("left", "after", "attempts"),
    [
        (0.05, None, 1),  # the attempt would begin at the deadline
        (0.051, None, 2),  # the second would begin 0.1 s after that
        (0.151, None, 3),
        (1.0, 949, 2),
        (1.0, 951, 1),
        (1.0, 1e15, 1),
    ],
)
async def test_no_attempt_begins_at_the_deadline(
    time: SleepClock, left: float, after: float | None, attempts: int
) -> None:
    """When the next attempt would be too late, the call ends at once in the error that it has."""
    backend = Backend(*(too_busy(after) for _ in range(9)))
    with pytest.raises(ResourceExhaustedError):
        await make_retry(time)(idempotent_call(deadline=time.now + left), backend)
    assert len(backend.seen) == attempts
    assert len(time.pauses) == attempts - 1


async def test_what_cannot_be_tried_again_costs_no_budget(time: SleepClock) -> None:
    """The budget is asked last, and granted retries are made."""
    retry = make_retry(time)
    for _ in range(50):
        with pytest.raises(UnavailableError):
            await retry(idempotent_call(deadline=time.now + 0.01), Backend(UnavailableError()))
    assert retry._budget._retries_in_window == 0


async def test_calls_beyond_the_budget_fail_at_once(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that is down for everybody gets a tenth more calls; the log says so once."""
    retry = make_retry(time, draw=0.0)
    seen = 0
    for _ in range(1000):
        backend = Backend(*(UnavailableError("secret") for _ in range(9)))
        with pytest.raises(UnavailableError):
            await retry(idempotent_call(), backend)
        seen += len(backend.seen)
    assert seen == 1100
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "calls to probe are not retried for now: the retry budget is used up"
    ]


async def test_the_log_tells_of_a_lasting_failure_every_ten_seconds(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a flood nor silence."""
    retry = make_retry(time, draw=0.0)
    for _ in range(31):
        for _ in range(100):
            with pytest.raises(UnavailableError):
                await retry(idempotent_call(), Backend(*(UnavailableError() for _ in range(9))))
        time.now += 1
    assert len(caplog.records) == 4


async def test_the_log_of_a_retry_says_what_happens_next_and_shows_no_text(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The code of the error and the pause, on DEBUG; what a service wrote may be anything."""
    caplog.set_level(logging.DEBUG, "weenats.retry")
    await make_retry(time)(idempotent_call(), Backend(ShopClosedError("secret"), too_busy(1000)))
    assert [record.getMessage() for record in caplog.records] == [
        "probe.command.thing.run failed with UNAVAILABLE shop-closed: attempt 2 starts in 0.050 s",
        "probe.command.thing.run failed with RESOURCE_EXHAUSTED: attempt 3 starts in 1.100 s",
    ]


async def test_calls_that_are_never_tried_again_count_as_calls(time: SleepClock) -> None:
    """The budget is a share of all calls of the client."""
    retry = make_retry(time)
    for _ in range(200):
        await retry(idempotent_call(operation=RUN), Backend())
    assert retry._budget._calls_in_window == 200


async def test_each_attempt_says_its_number_and_is_the_same_message(time: SleepClock) -> None:
    """From the second one on; members of the user stay, and the call's own context is left alone.

    Correlation, headers, token and deadline are the same too: the time of the call runs on.
    """
    backend = Backend(UnavailableError(), UnavailableError())
    context = idempotent_call(
        metadata_context={"tenant": "acme"},
        deadline=time.now + 60,
        headers={"X-A": "1"},
        token="t",
        causation_id="c",
    )
    context[NOTE] = "kept"
    await make_retry(time)(context, backend)
    assert backend.seen[0] is context
    assert [each.metadata_context for each in backend.seen] == [
        {"tenant": "acme"},
        {"tenant": "acme", "weeAttempt": 2},
        {"tenant": "acme", "weeAttempt": 3},
    ]
    assert ATTEMPT not in context
    assert [each[ATTEMPT] for each in backend.seen[1:]] == [2, 3]
    assert {each[NOTE] for each in backend.seen} == {"kept"}
    for slot in ("message_id", "correlation_id", "causation_id", "deadline", "headers", "token",
                 "operation", "key", "payload", "side"):  # fmt: skip
        assert len({id(getattr(each, slot)) for each in backend.seen}) == 1, slot


async def test_what_an_attempt_does_to_its_context_the_next_does_not_see(time: SleepClock) -> None:
    """Each attempt begins with the context as it was before the first one."""

    def spoil(context: RequestContext) -> None:
        context[NOTE] = "spoiled"
        context.message_id = "spoiled"
        context.headers = {"X-A": "spoiled"}
        context.metadata_context = {"spoiled": True}
        context.token = "spoiled"
        context.deadline = 0.0
        raise UnavailableError

    backend = Backend(spoil, spoil)
    deadline = time.now + 60
    context = idempotent_call(deadline=deadline)
    context[NOTE] = "kept"
    message_id = context.message_id
    assert (await make_retry(time)(context, backend)).result == 3
    last = backend.seen[2]
    assert (last[NOTE], last.message_id, last.token) == ("kept", message_id, None)
    assert (last.headers, last.metadata_context) == ({}, {"weeAttempt": 3})
    assert last.deadline == deadline


async def test_concurrent_calls_do_not_share_attempts(time: SleepClock) -> None:
    """One interceptor serves all calls of a client at once."""
    retry = make_retry(time, budget=1)
    backends = [Backend(*(UnavailableError() for _ in range(n % 3))) for n in range(10)]
    results = await asyncio.gather(*(retry(idempotent_call(), backend) for backend in backends))
    assert [response.result for response in results] == [n % 3 + 1 for n in range(10)]


async def test_a_call_that_is_cancelled_while_it_pauses_ends_at_once(time: SleepClock) -> None:
    """It stays cancelled, and there is no further attempt."""
    pausing = asyncio.Event()

    async def sleep(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    backend = Backend(UnavailableError())
    retry = RetryInterceptor(clock=time, sleep=sleep)

    async def make_call() -> Response:
        return await retry(idempotent_call(), backend)

    call = asyncio.create_task(make_call())
    await until(pausing.is_set)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelled()
    assert len(backend.seen) == 1


@pytest.mark.parametrize("attempts", [1, 0, -1, 11, 3.0, True, "3", None])
def test_a_number_of_attempts_out_of_bounds_is_refused(attempts: Any) -> None:
    """One attempt is no retry, and many help nobody."""
    with pytest.raises(ValueError, match="from 2 to 10, the first one included, not"):
        RetryInterceptor(attempts)


@pytest.mark.parametrize("name", ["initial_backoff", "max_backoff"])
@pytest.mark.parametrize("duration", [0, -1, float("nan"), float("inf"), True, "1", timedelta(0)])
def test_a_backoff_that_is_no_duration_is_refused(name: str, duration: Any) -> None:
    """The error names the option."""
    with pytest.raises(InvalidArgumentError, match=f"{name} must be a positive"):
        RetryInterceptor(**{name: duration})


def test_backoffs_are_seconds_or_timedelta_and_in_order() -> None:
    """The longest pause is no shorter than the first one."""
    retry = RetryInterceptor(
        4, initial_backoff=timedelta(milliseconds=10), max_backoff=timedelta(milliseconds=25)
    )
    assert retry._backoffs == [0.01, 0.02, 0.025]
    with pytest.raises(ValueError, match=r"initial_backoff 3 is greater than max_backoff 2\.0"):
        RetryInterceptor(initial_backoff=3)
