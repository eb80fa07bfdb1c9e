"""`with_retry` of clients: its place in the chain, whose budget it is, what each attempt sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.retries import IDEMPOTENT_RUN, SleepClock, make_retry
from weenats import (
    CachedToken,
    CallNext,
    ConnectionLostError,
    DeadlineExceededError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NoRespondersError,
    RequestContext,
    Response,
    UnauthenticatedError,
    UnavailableError,
)
from weenats.client.retry import RetryInterceptor
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

GO = Run(action="go")


class Failing:
    """An action of the probe, and an interceptor: fails as often as it is told, then goes on."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times = 0

    async def __call__(self, *_: Any) -> Outcome:
        """Fail or answer."""
        self.times += 1
        if self.errors:
            raise self.errors.pop(0)
        return Outcome(text="done")

    async def intercept(self, context: RequestContext, call_next: CallNext) -> Response:
        """Fail or go on."""
        await self()
        return await call_next(context)


@pytest.fixture
def time() -> SleepClock:
    """The time, in which pauses pass at once."""
    return SleepClock()


@pytest.fixture
def handlers() -> Probe:
    """The handlers of the running probe."""
    return Probe()


@pytest.fixture
async def transport(handlers: Probe) -> AsyncIterator[MemoryTransport]:
    """A connection on which the probe serves."""
    transport = MemoryTransport()
    async with NatsServiceBuilder(handlers, transport=transport).build():
        yield transport


@pytest.fixture
def sent(transport: MemoryTransport) -> list[dict[str, Any]]:
    """Every request to the probe's command, with its `Wee-Timeout` under `timeout`."""
    requests: list[dict[str, Any]] = []

    def note(delivery: Delivery) -> None:
        requests.append({**json.loads(delivery.payload), "timeout": delivery.timeout})

    transport.subscribe("probe.command.thing.run", note)
    return requests


async def run(client: ProbeClient, **options: Any) -> Outcome:
    """Call the command as one that may be tried again."""
    return await client.execute(IDEMPOTENT_RUN, "k", Run(action="fail"), **options)


async def test_a_call_survives_failures_and_the_service_sees_which_attempt_it_is(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The handler finds `weeAttempt` beside what the caller sent."""
    handlers.actions["fail"] = Failing(UnavailableError(), UnavailableError())
    client = ProbeClient(transport).with_context(tenant="acme")
    assert (await run(client.with_retry(initial_backoff=0.001))).text == "done"
    assert [context.metadata_context for context in handlers.seen] == [
        {"tenant": "acme"},
        {"tenant": "acme", "weeAttempt": 2},
        {"tenant": "acme", "weeAttempt": 3},
    ]
    assert client._defaults.context == {"tenant": "acme"}


async def test_nothing_is_tried_again_unless_it_is_asked_for(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """Neither by a client without retries, nor a command that its contract does not let."""
    failing = handlers.actions["fail"] = Failing(*(UnavailableError() for _ in range(9)))
    with pytest.raises(UnavailableError):
        await run(ProbeClient(transport))
    with pytest.raises(UnavailableError):
        await ProbeClient(transport).with_retry().run("k", Run(action="fail"))
    assert failing.times == 2


async def test_attempts_are_one_message_with_less_and_less_time(
    handlers: Probe, transport: MemoryTransport, sent: list[dict[str, Any]]
) -> None:
    """The same messageId and correlation; `Wee-Timeout` is what is left of the call's time."""
    handlers.actions["fail"] = Failing(UnavailableError(), UnavailableError())
    retry = RetryInterceptor(initial_backoff=0.02, uniform=lambda _, high: high)
    await run(ProbeClient(transport).with_interceptor(retry), timeout=9)
    assert len({request["metadata"]["messageId"] for request in sent}) == 1
    assert len({str(request["metadata"]["correlation"]) for request in sent}) == 1
    first, second, third = (int(request["timeout"]) for request in sent)
    assert 9000 >= first >= second + 20 >= third + 60


async def test_outer_interceptors_see_the_call_and_inner_ones_each_attempt(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The place of `with_retry` among the interceptors decides."""
    seen: list[tuple[str, Any]] = []

    def noting(name: str) -> Any:
        async def note(context: RequestContext, call_next: CallNext) -> Response:
            seen.append((name, context.metadata_context.get("weeAttempt")))
            return await call_next(context)

        return note

    handlers.actions["fail"] = Failing(UnavailableError())
    client = ProbeClient(transport).with_interceptor(noting("outer"))
    await run(client.with_retry(initial_backoff=0.001).with_interceptor(noting("inner")))
    assert seen == [("outer", None), ("inner", None), ("inner", 2)]


async def test_an_interceptor_may_fail_and_may_replace_the_context(
    handlers: Probe, transport: MemoryTransport, time: SleepClock, sent: list[dict[str, Any]]
) -> None:
    """What an inner one raises counts as the service's word; what an outer one set goes along."""
    failing = Failing(UnavailableError())

    async def stamp(context: RequestContext, call_next: CallNext) -> Response:
        members = {**context.metadata_context, "by": "inner"}
        return await call_next(context.replace(metadata_context=members))

    async def rename(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context.replace(key="renamed"))

    handlers.actions["fail"] = Failing(UnavailableError())
    client = ProbeClient(transport).with_interceptor(rename).with_interceptor(make_retry(time))
    await run(client.with_interceptor(stamp).with_interceptor(failing.intercept))
    assert failing.times == 3
    assert [request["metadata"]["context"] for request in sent] == [
        {"by": "inner", "weeAttempt": 2},
        {"by": "inner", "weeAttempt": 3},
    ]
    assert {request["aggregateId"]["key"] for request in sent} == {"renamed"}


async def test_overlays_share_the_budget_and_other_clients_have_their_own(time: SleepClock) -> None:
    """A client's retries are bounded whatever overlays its calls are made with."""
    nobody = MemoryTransport()

    async def attempts(*clients: ProbeClient) -> int:
        counted = Failing()
        for number in range(60):
            client = clients[number % len(clients)].with_interceptor(counted.intercept)
            with pytest.raises(NoRespondersError):
                await client.get("k")
        return counted.times

    first = ProbeClient(nobody).with_interceptor(make_retry(time))
    overlays = [first, first.with_timeout(9), first.with_token("t"), first.with_header("X", "1")]
    assert await attempts(*overlays) == 70
    assert await attempts(first.with_context(a=1)) == 62  # 12 of 120 calls, 10 of them above
    assert await attempts(ProbeClient(nobody).with_interceptor(make_retry(time))) == 70


async def test_with_retry_shares_one_budget_among_its_overlays() -> None:
    """Two clients that were given retries apart do not bound each other."""
    client = ProbeClient(MemoryTransport())
    first, second = client.with_retry(), client.with_retry()
    assert first.with_timeout(1)._interceptors[0] is first._interceptors[0]
    assert second._interceptors[0] is not first._interceptors[0]
    assert client._interceptors == ()


async def test_a_token_is_asked_for_again_and_renewing_it_is_no_attempt(
    handlers: Probe, time: SleepClock, sent: list[dict[str, Any]], transport: MemoryTransport
) -> None:
    """UNAUTHENTICATED renews a CachedToken within an attempt; what fails then is tried again."""
    tokens = iter(["old", "new", "newer"])
    handlers.actions["fail"] = Failing(UnavailableError(), UnauthenticatedError(), too_late())
    client = ProbeClient(transport).with_interceptor(make_retry(time))
    await run(client.with_token(CachedToken(lambda: next(tokens))))
    assert [
        (request["metadata"]["authentication"]["token"], attempt_of(request)) for request in sent
    ] == [("old", 1), ("old", 2), ("new", 2), ("new", 3)]
    assert len({request["metadata"]["messageId"] for request in sent}) == 1


def too_late() -> UnavailableError:
    """Return what an instance says that is about to stop."""
    return UnavailableError("the service is stopping")


def attempt_of(request: dict[str, Any]) -> int:
    """Return the number of the attempt that a request says it is."""
    number: int = request["metadata"].get("context", {}).get("weeAttempt", 1)
    return number


async def test_a_provider_that_is_asked_for_each_call_is_asked_for_each_attempt(
    handlers: Probe, transport: MemoryTransport, time: SleepClock, sent: list[dict[str, Any]]
) -> None:
    """A token that expired while the call paused is not sent; a source that fails may recover."""
    outcomes: list[Any] = [OSError("no issuer"), "a", "b"]

    def provider() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    handlers.actions["fail"] = Failing(UnavailableError())
    await run(ProbeClient(transport).with_interceptor(make_retry(time)).with_token(provider))
    assert [request["metadata"]["authentication"]["token"] for request in sent] == ["a", "b"]


async def test_a_call_ends_in_its_error_when_the_service_asks_for_more_time_than_is_left(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """It does not wait in vain until the deadline, and keeps what the service said."""
    asked = UnavailableError("closed", details={"retryAfter": 60_000})
    failing = handlers.actions["fail"] = Failing(asked, asked)
    with pytest.raises(UnavailableError) as raised:
        await run(ProbeClient(transport).with_retry(), timeout=30)
    assert (raised.value.message, raised.value.retry_after) == ("closed", 60)
    assert raised.value.remote
    assert failing.times == 1


async def test_a_hostile_time_to_wait_is_no_defect(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """Whatever a service writes there, the caller gets the error or a second attempt."""
    client = ProbeClient(transport).with_retry(2, initial_backoff=0.001)
    for value in (10**400, -1, "soon", None, True, [], 1e308, {}):
        handlers.actions["fail"] = Failing(UnavailableError(details={"retryAfter": value}))
        assert (await run(client)).text == "done"


async def test_nested_calls_try_again_within_what_is_left_and_start_from_one(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The attempt of a caller is not that of what its handler calls."""
    client = ProbeClient(transport).with_retry(initial_backoff=0.001)
    inner = handlers.actions["inner"] = Failing(UnavailableError())

    async def outer(key: str, command: Run, context: RequestContext) -> Outcome:
        if context.metadata_context.get("weeAttempt") is None:
            raise UnavailableError
        return await client.execute(IDEMPOTENT_RUN, key, Run(action="inner"), timeout=60)

    handlers.actions["fail"] = outer
    assert (await run(client, timeout=30)).text == "done"
    assert [context.metadata_context for context in handlers.seen] == [
        {}, {"weeAttempt": 2}, {}, {"weeAttempt": 2}
    ]  # fmt: skip
    assert inner.times == 2
    deadlines = [context.deadline for context in handlers.seen]
    assert all(each is not None and each <= (deadlines[0] or 0) + 5 for each in deadlines)


async def test_a_closed_connection_does_not_hold_calls_for_long() -> None:
    """A client that was closed tells so after its attempts, long before the deadline."""
    transport = MemoryTransport()
    await transport.close()
    counted = Failing()
    client = ProbeClient(transport).with_retry(initial_backoff=0.001)
    with pytest.raises(ConnectionLostError):
        await client.with_interceptor(counted.intercept).get("k")
    assert counted.times == 3


async def test_a_call_whose_time_ran_out_is_not_tried_again(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """DEADLINE_EXCEEDED is the end, wherever it was found out."""
    failing = handlers.actions["fail"] = Failing(DeadlineExceededError())
    with pytest.raises(DeadlineExceededError):
        await run(ProbeClient(transport).with_retry())
    assert failing.times == 1


def test_retries_are_asked_for_once() -> None:
    """Two would multiply, however they came there."""
    client = ProbeClient(MemoryTransport())
    for retrying in (client.with_retry(), client.with_interceptor(RetryInterceptor())):
        with pytest.raises(ValueError, match=r"with_retry\(\) was already called"):
            retrying.with_timeout(1).with_retry()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"attempts": 1}, ValueError), ({"attempts": 2.0}, ValueError),
        ({"initial_backoff": 0}, InvalidArgumentError), ({"max_backoff": -1}, InvalidArgumentError),
        ({"initial_backoff": 3}, ValueError), ({"budget": 0}, ValueError),
        ({"budget": 1.5}, ValueError), ({"budget": float("nan")}, ValueError),
    ],
)  # fmt: skip
def test_bad_values_are_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    """Before any call is made."""
    with pytest.raises(error):
        ProbeClient(MemoryTransport()).with_retry(**options)
