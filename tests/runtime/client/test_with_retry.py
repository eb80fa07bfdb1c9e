"""with_retry() of clients: its place in the chain, its budget, and what attempts send."""

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
    ConnectionClosedError,
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
    """A probe action and interceptor that raises the given errors, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times = 0

    async def __call__(self, *_: Any) -> Outcome:
        """Raise the next error, or answer."""
        self.times += 1
        if self.errors:
            raise self.errors.pop(0)
        return Outcome(text="done")

    async def intercept(self, context: RequestContext, call_next: CallNext) -> Response:
        """Raise the next error, or continue."""
        await self()
        return await call_next(context)


@pytest.fixture
def time() -> SleepClock:
    """A fake time in which pauses take no real time."""
    return SleepClock()


@pytest.fixture
def handlers() -> Probe:
    """The handlers of the running probe."""
    return Probe()


@pytest.fixture
async def transport(handlers: Probe) -> AsyncIterator[MemoryTransport]:
    """A transport on which the probe runs."""
    transport = MemoryTransport()
    async with NatsServiceBuilder(handlers, transport=transport).build():
        yield transport


@pytest.fixture
async def sent(transport: MemoryTransport) -> list[dict[str, Any]]:
    """All requests to the probe's command, with their Wee-Timeout under `timeout`."""
    return requests_on(transport)


def requests_on(transport: MemoryTransport) -> list[dict[str, Any]]:
    """Return the list of requests to the probe's command, which grows with each of them."""
    requests: list[dict[str, Any]] = []

    def note(delivery: Delivery) -> None:
        requests.append(
            {**json.loads(delivery.payload), "timeout": delivery.headers["Wee-Timeout"]}
        )

    transport.subscribe("probe.command.thing.run", note)
    return requests


async def run(client: ProbeClient, **options: Any) -> Outcome:
    """Call the command as an idempotent one."""
    return await client.execute(IDEMPOTENT_RUN, "k", Run(action="fail"), **options)


async def test_call_is_retried_and_service_sees_the_attempt(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The handler finds weeAttempt beside the context of the caller."""
    handlers.actions["fail"] = Failing(UnavailableError(), UnavailableError())
    client = ProbeClient(transport).with_context(tenant="acme")
    assert (await run(client.with_retry(initial_backoff=0.001))).text == "done"
    assert [context.metadata_context for context in handlers.seen] == [
        {"tenant": "acme"},
        {"tenant": "acme", "weeAttempt": 2},
        {"tenant": "acme", "weeAttempt": 3},
    ]
    assert client._defaults.context == {"tenant": "acme"}


async def test_no_retry_without_with_retry_or_idempotent(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """Neither a client without retries nor a command that is not idempotent retries."""
    failing = handlers.actions["fail"] = Failing(*(UnavailableError() for _ in range(9)))
    with pytest.raises(UnavailableError):
        await run(ProbeClient(transport))
    with pytest.raises(UnavailableError):
        await ProbeClient(transport).with_retry().run("k", Run(action="fail"))
    assert failing.times == 2


async def test_attempts_share_the_message_id_and_the_deadline(
    handlers: Probe, transport: MemoryTransport, sent: list[dict[str, Any]]
) -> None:
    """The messageId and correlation stay the same; Wee-Timeout is the remaining time."""
    handlers.actions["fail"] = Failing(UnavailableError(), UnavailableError())
    retry = RetryInterceptor(initial_backoff=0.02, uniform=lambda _, high: high)
    await run(ProbeClient(transport).with_interceptor(retry), timeout=9)
    assert len({request["metadata"]["messageId"] for request in sent}) == 1
    assert len({str(request["metadata"]["correlation"]) for request in sent}) == 1
    first, second, third = (int(request["timeout"]) for request in sent)
    assert 9000 >= first >= second + 20 >= third + 60


async def test_outer_interceptors_run_once_and_inner_per_attempt(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The position of with_retry() among the interceptors decides."""
    seen: list[tuple[str, Any]] = []

    def recording(name: str) -> Any:
        async def note(context: RequestContext, call_next: CallNext) -> Response:
            seen.append((name, context.metadata_context.get("weeAttempt")))
            return await call_next(context)

        return note

    handlers.actions["fail"] = Failing(UnavailableError())
    client = ProbeClient(transport).with_interceptor(recording("outer"))
    await run(client.with_retry(initial_backoff=0.001).with_interceptor(recording("inner")))
    assert seen == [("outer", None), ("inner", None), ("inner", 2)]


async def test_retry_works_with_failing_and_replacing_interceptors(
    handlers: Probe, transport: MemoryTransport, time: SleepClock, sent: list[dict[str, Any]]
) -> None:
    """Errors of inner interceptors are retried; changes of outer ones apply to all attempts."""
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


async def test_derived_clients_share_the_retry_budget(time: SleepClock) -> None:
    """Clients derived by with_* share one budget; other clients have their own."""
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


async def test_each_with_retry_creates_its_own_budget() -> None:
    """Two with_retry() calls create separate budgets; derived clients share one."""
    client = ProbeClient(MemoryTransport())
    first, second = client.with_retry(), client.with_retry()
    assert first.with_timeout(1)._interceptors[0] is first._interceptors[0]
    assert second._interceptors[0] is not first._interceptors[0]
    assert client._interceptors == ()


async def test_renewing_a_token_is_not_an_attempt(handlers: Probe, time: SleepClock) -> None:
    """A refused CachedToken is renewed within an attempt; later errors are retried."""
    tokens = iter(["old", "new", "newer"])
    failing = Failing(UnavailableError(), UnauthenticatedError(), stopping_error())
    transport = MemoryTransport()
    client = ProbeClient(transport).with_interceptor(make_retry(time))
    builder = NatsServiceBuilder(handlers, transport=transport)
    async with builder.with_interceptor(failing.intercept).build():
        sent = requests_on(transport)
        await run(client.with_token(CachedToken(lambda: next(tokens))))
    assert [
        (request["metadata"]["authentication"]["token"], attempt_of(request)) for request in sent
    ] == [("old", 1), ("old", 2), ("new", 2), ("new", 3)]
    assert len({request["metadata"]["messageId"] for request in sent}) == 1


def stopping_error() -> UnavailableError:
    """Return the error of an instance that is about to stop."""
    return UnavailableError("the service is stopping")


def attempt_of(request: dict[str, Any]) -> int:
    """Return the attempt number of a request."""
    number: int = request["metadata"].get("context", {}).get("weeAttempt", 1)
    return number


async def test_token_provider_is_called_for_each_attempt(
    handlers: Probe, transport: MemoryTransport, time: SleepClock, sent: list[dict[str, Any]]
) -> None:
    """An expired token is not sent again, and a provider that failed is called again."""
    outcomes: list[Any] = [OSError("no issuer"), "a", "b"]

    def provider() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    handlers.actions["fail"] = Failing(UnavailableError())
    await run(ProbeClient(transport).with_interceptor(make_retry(time)).with_token(provider))
    assert [request["metadata"]["authentication"]["token"] for request in sent] == ["a", "b"]


async def test_retry_after_beyond_the_deadline_ends_the_call(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """The call fails at once with the error of the service."""
    asked = UnavailableError("closed", details={"retryAfter": 60_000})
    failing = handlers.actions["fail"] = Failing(asked, asked)
    with pytest.raises(UnavailableError) as raised:
        await run(ProbeClient(transport).with_retry(), timeout=30)
    assert (raised.value.message, raised.value.retry_after) == ("closed", 60)
    assert raised.value.remote
    assert failing.times == 1


async def test_invalid_retry_after_is_ignored(handlers: Probe, transport: MemoryTransport) -> None:
    """Whatever a service sends as retryAfter, the call is retried or fails normally."""
    client = ProbeClient(transport).with_retry(2, initial_backoff=0.001)
    for value in (10**400, -1, "soon", None, True, [], 1e308, {}):
        handlers.actions["fail"] = Failing(UnavailableError(details={"retryAfter": value}))
        assert (await run(client)).text == "done"


async def test_nested_calls_count_their_own_attempts(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """Nested calls start at attempt one and keep to the remaining time of the outer call."""
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


async def test_closed_client_is_not_retried() -> None:
    """A call on a closed client fails at once: nothing was sent, and nothing ever will be."""
    transport = MemoryTransport()
    await transport.close()
    counted = Failing()
    client = ProbeClient(transport).with_retry(initial_backoff=0.001)
    with pytest.raises(ConnectionClosedError):
        await client.with_interceptor(counted.intercept).get("k")
    assert counted.times == 1


async def test_deadline_exceeded_is_not_retried(
    handlers: Probe, transport: MemoryTransport
) -> None:
    """DEADLINE_EXCEEDED ends the call, wherever it was raised."""
    failing = handlers.actions["fail"] = Failing(DeadlineExceededError())
    with pytest.raises(DeadlineExceededError):
        await run(ProbeClient(transport).with_retry())
    assert failing.times == 1


def test_with_retry_can_be_called_once() -> None:
    """A second with_retry() or RetryInterceptor would multiply the attempts."""
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
def test_invalid_options_are_rejected(options: dict[str, Any], error: type[Exception]) -> None:
    """with_retry() rejects invalid options before any call."""
    with pytest.raises(error):
        ProbeClient(MemoryTransport()).with_retry(**options)
