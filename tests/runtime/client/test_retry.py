"""RetryInterceptor: which calls are retried, with which backoff, and until when."""

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
    ConnectionClosedError,
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
    """A declared error of a contract."""

    name = "shop-closed"


def too_busy(milliseconds: float | None = None) -> ResourceExhaustedError:
    """Return RESOURCE_EXHAUSTED with this retryAfter."""
    return ResourceExhaustedError(
        details=None if milliseconds is None else {"retryAfter": milliseconds}
    )


@pytest.fixture
def time() -> SleepClock:
    """A fake time in which pauses take no real time."""
    return SleepClock()


@pytest.mark.parametrize(
    ("operation", "attempts"),
    [(RUN, 1), (COSTLY, 1), (GET, 2), (FIND, 2), (idempotent_call().operation, 2)],
    ids=lambda value: getattr(value, "name", None),
)
async def test_only_idempotent_operations_are_retried(
    time: SleepClock, operation: Any, attempts: int
) -> None:
    """Queries are retried by default, commands only if the contract allows it."""
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
        NoRespondersError(), ConnectionClosedError(), ConnectionLostError(), MessageTooLargeError(),
        ShopClosedError(),
        ValueError("a defect"), asyncio.CancelledError(), TimeoutError(), KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_only_transient_errors_are_retried(time: SleepClock, error: BaseException) -> None:
    """UNAVAILABLE and RESOURCE_EXHAUSTED are, except large messages and closed clients."""
    again = isinstance(error, UnavailableError | ResourceExhaustedError) and not isinstance(
        error, ConnectionClosedError | MessageTooLargeError
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


async def test_synchronous_exceptions_are_retried(
    time: SleepClock,
) -> None:
    """An error raised by a plain `__call__` of an interceptor is retried too."""
    refused: list[RequestContext] = []

    def refuse(context: RequestContext) -> Any:
        refused.append(context)
        raise UnavailableError

    with pytest.raises(UnavailableError):
        await make_retry(time)(idempotent_call(), refuse)
    assert len(refused) == 3


async def test_last_error_is_raised_unchanged(time: SleepClock) -> None:
    """When all attempts fail, the last error is raised without notes or context."""
    errors: list[ServiceError] = [UnavailableError("a"), too_busy(5), ShopClosedError("c")]
    errors[2].remote = True
    with pytest.raises(UnavailableError) as raised:
        await make_retry(time)(idempotent_call(), Backend(*errors))
    assert raised.value is errors[2]
    assert raised.value.__context__ is None
    assert not hasattr(raised.value, "__notes__")
    assert (raised.value.message, raised.value.remote) == ("c", True)


async def test_later_permanent_error_ends_the_call(time: SleepClock) -> None:
    """Each attempt is retried or not according to its own error."""
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
async def test_backoff_doubles_up_to_the_maximum(
    attempts: int, initial: float, factor: float, draws: list[float], after: float | None
) -> None:
    """Pause n is drawn between 0 and the smaller of initial * 2**n and max_backoff.

    It is added to the retryAfter of the service: no attempt is earlier.
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


async def test_default_backoff_is_random() -> None:
    """The default pauses have jitter, and the default sleep is asyncio.sleep."""
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
async def test_no_attempt_starts_at_or_after_the_deadline(
    time: SleepClock, left: float, after: float | None, attempts: int
) -> None:
    """If the next attempt would be too late, the call fails at once with its last error."""
    backend = Backend(*(too_busy(after) for _ in range(9)))
    with pytest.raises(ResourceExhaustedError):
        await make_retry(time)(idempotent_call(deadline=time.now + left), backend)
    assert len(backend.seen) == attempts
    assert len(time.pauses) == attempts - 1


async def test_calls_without_time_for_a_retry_use_no_budget(time: SleepClock) -> None:
    """The budget is checked last, so only retries that are made use it."""
    retry = make_retry(time)
    for _ in range(50):
        with pytest.raises(UnavailableError):
            await retry(idempotent_call(deadline=time.now + 0.01), Backend(UnavailableError()))
    assert retry._budget._retries_in_window == 0


async def test_calls_beyond_the_budget_are_not_retried(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that is down gets a tenth more calls, and one warning is logged."""
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


async def test_exhausted_budget_is_logged_every_ten_seconds(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A lasting failure is logged once in ten seconds."""
    retry = make_retry(time, draw=0.0)
    for _ in range(31):
        for _ in range(100):
            with pytest.raises(UnavailableError):
                await retry(idempotent_call(), Backend(*(UnavailableError() for _ in range(9))))
        time.now += 1
    assert len(caplog.records) == 4


async def test_retry_log_has_code_and_pause_but_no_message(
    time: SleepClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The DEBUG log has the error code and the pause, but not the text of the service."""
    caplog.set_level(logging.DEBUG, "weenats.retry")
    await make_retry(time)(idempotent_call(), Backend(ShopClosedError("secret"), too_busy(1000)))
    assert [record.getMessage() for record in caplog.records] == [
        "probe.command.thing.run failed with UNAVAILABLE shop-closed: attempt 2 starts in 0.050 s",
        "probe.command.thing.run failed with RESOURCE_EXHAUSTED: attempt 3 starts in 1.100 s",
    ]


async def test_calls_that_cannot_be_retried_count_for_the_budget(time: SleepClock) -> None:
    """The budget is a share of all calls of the client."""
    retry = make_retry(time)
    for _ in range(200):
        await retry(idempotent_call(operation=RUN), Backend())
    assert retry._budget._calls_in_window == 200


async def test_attempts_carry_their_number_and_the_same_message(time: SleepClock) -> None:
    """From the second attempt on weeAttempt is set; the context of the call is unchanged.

    Message id, correlation, headers, token and deadline are the same for all attempts.
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


async def test_context_changes_do_not_reach_the_next_attempt(time: SleepClock) -> None:
    """Each attempt starts with the context as it was before the first one."""

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
    """One interceptor serves all concurrent calls of a client."""
    retry = make_retry(time, budget=1)
    backends = [Backend(*(UnavailableError() for _ in range(n % 3))) for n in range(10)]
    results = await asyncio.gather(*(retry(idempotent_call(), backend) for backend in backends))
    assert [response.result for response in results] == [n % 3 + 1 for n in range(10)]


async def test_cancellation_during_a_pause_ends_the_call(time: SleepClock) -> None:
    """The call stays cancelled, and there is no further attempt."""
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
def test_invalid_attempts_are_rejected(attempts: Any) -> None:
    """The number of attempts must be from 2 to 10."""
    with pytest.raises(ValueError, match="from 2 to 10, the first one included, not"):
        RetryInterceptor(attempts)


@pytest.mark.parametrize("name", ["initial_backoff", "max_backoff"])
@pytest.mark.parametrize("duration", [0, -1, float("nan"), float("inf"), True, "1", timedelta(0)])
def test_invalid_backoff_is_rejected(name: str, duration: Any) -> None:
    """The error names the option."""
    with pytest.raises(InvalidArgumentError, match=f"{name} must be a positive"):
        RetryInterceptor(**{name: duration})


def test_backoff_accepts_seconds_and_timedeltas() -> None:
    """max_backoff must not be shorter than initial_backoff."""
    retry = RetryInterceptor(
        4, initial_backoff=timedelta(milliseconds=10), max_backoff=timedelta(milliseconds=25)
    )
    assert retry._backoffs == [0.01, 0.02, 0.025]
    with pytest.raises(ValueError, match=r"initial_backoff 3 is greater than max_backoff 2\.0"):
        RetryInterceptor(initial_backoff=3)
