"""Whatever the code of users raises or returns, wherever it is called.

Each function with `@place` is such a place: a new one gets a function here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import pytest
from nats.aio.client import Client as RawClient
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, StaticSampler
from pydantic import field_validator

from testkit import probe
from testkit.accounts import Accounts, accounts, store_old_commits
from testkit.accounts import Recorder as AccountsRecorder
from testkit.parcels import Delivered, ParcelsClient, Recorder, parcel_streams
from testkit.probe import Happened, Outcome, Probe, ProbeClient, ProbeSyncClient, Run
from testkit.projections import COUNTS, Counting, remove_projection
from testkit.telemetry import EVERYTHING, recording
from testkit.waiting import LIMIT, ask_until, until
from testkit.wallets import Wallets, wallets
from testkit.wallets import builder as of_wallets
from weenats import (
    ConnectionOptions,
    Endpoint,
    InternalError,
    NatsServiceBuilder,
    NatsTransport,
    RequestContext,
    UnavailableError,
)
from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.state_codec import StoredAggregate
from weenats.auth import Principal
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.client import CachedToken
from weenats.contract import EventVersion
from weenats.discovery import list_instances
from weenats.events import consume, subscribe
from weenats.events.consumer_base import EventRoute
from weenats.logging import TextFormatter
from weenats.projections import KeyValueView, running
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.partitions import partition_of
from weenats.service.monitoring.custom_metrics import CustomMetrics, check_metrics
from weenats.streams.store import store
from weenats.telemetry.manager import SILENT
from weenats.testing import clean_streams
from weenats.transport.jetstream import JetStream

SECRET: Final = "payload-7c1e"
"""A value of the payload, which no log shows."""


class Panic(BaseException):
    """As extensions in Rust raise."""


class UnreadableError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__


class UntrueError(Exception):
    """Has no truth value, as an exception that compares arrays."""

    def __bool__(self) -> bool:
        raise LookupError


class EmptyError(Exception):
    """Is false, as an exception that is an empty container."""

    def __len__(self) -> int:
        return 0


class IncompleteError(Exception):
    """Its attributes raise."""

    @property
    def args(self) -> Any:  # type: ignore[override]
        """Raise."""
        raise LookupError

    @args.setter
    def args(self, _: Any) -> None: ...


class UnequalError(Exception):
    """Cannot be compared or be a key."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, _: object) -> bool:
        raise LookupError


def raising(make: Callable[[], BaseException]) -> Callable[[], Any]:
    """Return what raises a new exception."""

    def act() -> Any:
        raise make()

    return act


RAISED: Final[dict[str, Callable[[], Any]]] = {
    "Exception": raising(lambda: Exception("x")),
    "unreadable": raising(UnreadableError),
    "untrue": raising(UntrueError),
    "false": raising(EmptyError),
    "incomplete": raising(IncompleteError),
    "unequal": raising(UnequalError),
    "group": raising(lambda: ExceptionGroup("x", [ValueError(), UntrueError()])),
    "group with CancelledError": raising(
        lambda: BaseExceptionGroup("x", [asyncio.CancelledError(), Panic()])
    ),
    "panic": raising(Panic),
    "CancelledError": raising(asyncio.CancelledError),
    "GeneratorExit": raising(GeneratorExit),
    "StopIteration": raising(StopIteration),
    "StopAsyncIteration": raising(StopAsyncIteration),
    "TimeoutError": raising(TimeoutError),
    "RecursionError": raising(RecursionError),
    "MemoryError": raising(MemoryError),
    "InvalidStateError": raising(asyncio.InvalidStateError),
}


class Never:
    """An awaitable that never ends."""

    def __await__(self) -> Any:
        return asyncio.Event().wait().__await__()


class Spiteful:
    """A value that cannot be shown, compared, or have a class or a truth value."""

    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__
    __bool__ = __len__ = __str__  # type: ignore[assignment]

    def __eq__(self, _: object) -> bool:
        raise LookupError

    __hash__ = None  # type: ignore[assignment]

    @property
    def __class__(self) -> Any:
        raise LookupError


RETURNED: Final[dict[str, Callable[[], Any]]] = {
    "object": object,
    "spiteful": Spiteful,
    "awaitable": Never,
    "class": lambda: Outcome,
    "exception": lambda: ValueError("x"),
    "number": lambda: 10**400,
}
NONE: Final[dict[str, Callable[[], Any]]] = {"None": lambda: None}


class User:
    """The code of the user: it does something odd, then it works.

    Attributes:
        odd: what it does next; None for nothing odd.
        times: how often it does that.
        calls: how often it was called.
    """

    def __init__(self) -> None:
        self.odd: Callable[[], Any] | None = None
        self.times = 1
        self.calls = 0

    def act(self, right: Any = None) -> Any:
        """Do it; return `right` when there is nothing odd to do."""
        self.calls += 1
        odd = self.odd
        if self.calls >= self.times:
            self.odd = None
        return right if odd is None else odd()

    async def act_later(self, right: Any = None) -> Any:
        """Do it in a coroutine."""
        return self.act(right)

    def failing(self, error: type[Exception], right: Any = None) -> Callable[..., Awaitable[Any]]:
        """Return a handler that raises an error while there is something odd to do elsewhere."""

        async def act(*_: Any) -> Any:
            if self.odd is not None:
                raise error
            return right

        return act


Ask = Callable[[], Awaitable[Any]]
Place = Callable[[str, User], Any]
PLACES: Final[dict[str, tuple[Place, type[Exception] | None, str, dict[str, Any]]]] = {}
"""Each place: how to call it, what its caller gets, what the log has, what it may do."""


def place(
    answer: type[Exception] | None, told: str, odd: dict[str, Any]
) -> Callable[[Callable[[str, User], AsyncGenerator[Ask]]], Place]:
    """Register a place."""

    def register(function: Callable[[str, User], AsyncGenerator[Ask]]) -> Place:
        opened = asynccontextmanager(function)
        PLACES[function.__name__.replace("_", " ")] = (opened, answer, told, odd)
        return opened

    return register


@asynccontextmanager
async def serving(
    url: str,
    act: Any = probe.echo,
    *,
    handlers: Callable[..., Probe] = Probe,
    configure: Callable[[NatsServiceBuilder], NatsServiceBuilder] = lambda builder: builder,
    change: Callable[[ProbeClient], ProbeClient] = lambda client: client,
) -> AsyncGenerator[Ask]:
    """Serve the probe, and return what calls it."""
    service = configure(NatsServiceBuilder(handlers(**{SECRET: act}), url)).build()
    async with service, ProbeClient.connect(url, verify="off") as client:
        caller = change(client)
        yield lambda: caller.run("k", Run(action=SECRET), timeout=LIMIT)


SUBJECT: Final = "probe.command.thing.run"
ANY: Final = RAISED | RETURNED
EVERY: Final = ANY | NONE
TOKENS: Final = {name: odd for name, odd in EVERY.items() if name != "awaitable"}
"""An awaitable of a token provider is awaited."""


@place(InternalError, SUBJECT, EVERY)
async def handler(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a command."""

    async def act(*_: Any) -> Any:
        return await user.act_later(Outcome(text="x"))

    async with serving(url, act=act) as ask:
        yield ask


@place(InternalError, SUBJECT, RAISED)
async def handler_with_everything(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a command, with all features around it."""

    async def act(*_: Any) -> Any:
        return await user.act_later(Outcome(text="x"))

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return (
            builder.with_circuit_breaker(failure_threshold=1000)
            .with_rate_limit(10_000)
            .with_telemetry()
            .with_monitoring()
        )

    async with serving(url, act=act, configure=configure) as ask:
        yield ask


@place(InternalError, SUBJECT, EVERY)
async def interceptor(url: str, user: User) -> AsyncGenerator[Ask]:
    """An interceptor of the service, before the handler."""

    async def intercept(context: Any, call_next: Any) -> Any:
        return await (call_next(context) if user.odd is None else user.act_later())

    async with serving(url, configure=lambda each: each.with_interceptor(intercept)) as ask:
        yield ask


@place(InternalError, SUBJECT, RAISED)
async def interceptor_after_the_handler(url: str, user: User) -> AsyncGenerator[Ask]:
    """An interceptor of the service, after the handler."""

    async def intercept(context: Any, call_next: Any) -> Any:
        response = await call_next(context)
        await user.act_later()
        return response

    async with serving(url, configure=lambda each: each.with_interceptor(intercept)) as ask:
        yield ask


@place(InternalError, SUBJECT, EVERY)
async def what_an_interceptor_passes_on(url: str, user: User) -> AsyncGenerator[Ask]:
    """The context that an interceptor passes on."""

    async def intercept(context: Any, call_next: Any) -> Any:
        return await call_next(user.act(context))

    async with serving(url, configure=lambda each: each.with_interceptor(intercept)) as ask:
        yield ask


@place(InternalError, f"is_failure raised for {SUBJECT}", RAISED)
async def is_failure(url: str, user: User) -> AsyncGenerator[Ask]:
    """What decides about failures of a handler."""
    act = user.failing(LookupError, Outcome(text="x"))

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_circuit_breaker(is_failure=lambda _: user.act(0))

    async with serving(url, act=act, configure=configure) as ask:
        yield ask


@place(InternalError, "the listener of the circuit breakers failed", RAISED)
async def listener(url: str, user: User) -> AsyncGenerator[Ask]:
    """What is called when a circuit breaker opens."""
    act = user.failing(OSError, Outcome(text="x"))

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_circuit_breaker(
            failure_threshold=1, recovery_timeout=1e-9, listener=lambda _: user.act()
        )

    async with serving(url, act=act, configure=configure) as ask:
        yield ask


@place(InternalError, SUBJECT, ANY)
async def key_extractor(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns whose limit applies."""

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_rate_limit(10_000, key_extractor=lambda _: user.act("key"))

    async with serving(url, configure=configure) as ask:
        yield ask


@place(InternalError, SUBJECT, EVERY)
async def validator(url: str, user: User) -> AsyncGenerator[Ask]:
    """What validates tokens."""

    class Validator:
        async def validate(self, token: str) -> Any:
            del token
            return await user.act_later(Principal(id="ann"))

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_auth(validator=Validator())

    async with serving(
        url, configure=configure, change=lambda client: client.with_token("t")
    ) as ask:
        yield ask


@place(None, f"an on_answer callback of {SUBJECT} failed", RAISED)
async def on_answer(url: str, user: User) -> AsyncGenerator[Ask]:
    """What is called once a request has been answered."""

    async def act(key: str, command: Run, context: RequestContext) -> Outcome:
        context.on_answer(lambda *_: user.act())
        return Outcome(text=key)

    async with serving(url, act=act) as ask:
        yield ask


@place(None, f"an on_answer callback of {SUBJECT} failed", NONE)
async def async_on_answer(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns a coroutine once a request has been answered, as an async function does."""

    def call(*_: Any) -> Any:
        return user.act() if user.odd is None else (user.act(), user.act_later())[1]

    async def act(key: str, command: Run, context: RequestContext) -> Outcome:
        context.on_answer(call)
        return Outcome(text=key)

    async with serving(url, act=act) as ask:
        yield ask


@place(InternalError, SUBJECT, RAISED)
async def validator_of_a_model(url: str, user: User) -> AsyncGenerator[Ask]:
    """A validator of pydantic, of the payload of a command."""
    user.times = sys.maxsize  # a payload that is not valid is read twice

    class Strict(Run):
        @field_validator("action")
        @classmethod
        def check(cls, value: str) -> str:
            user.act()
            return value

    own = replace(probe.RUN, payload=Strict)

    class Handlers(Probe):
        def endpoints(self) -> tuple[Endpoint, ...]:
            return (Endpoint.command(own, self.run),)

    async with serving(url, handlers=Handlers) as ask:
        yield ask


@asynccontextmanager
async def tracing(url: str, **hooks: Any) -> AsyncGenerator[Ask]:
    """Serve the probe with spans, for which functions of the application are called."""

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_telemetry(sampling=EVERYTHING)

    with recording(counts=False) as observed:
        processor: Any = SpanProcessor()
        vars(processor).update(hooks)
        observed.tracer_provider.add_span_processor(processor)
        async with serving(url, configure=configure) as ask:
            yield ask


SPAN: Final = "a span was not recorded: its "


@place(None, SPAN, RAISED)
async def span_processor_at_the_start(url: str, user: User) -> AsyncGenerator[Ask]:
    """What OpenTelemetry calls when a span starts."""
    async with tracing(url, on_start=lambda *_, **__: user.act()) as ask:
        yield ask


@place(None, SPAN, RAISED)
async def span_processor_at_the_end(url: str, user: User) -> AsyncGenerator[Ask]:
    """What OpenTelemetry calls when a span ends."""
    async with tracing(url, on_end=lambda _: user.act()) as ask:
        yield ask


@place(None, f"{SPAN}sampler", ANY)
async def sampler(url: str, user: User) -> AsyncGenerator[Ask]:
    """What decides for OpenTelemetry whether a span is recorded."""

    class Odd(StaticSampler):
        def should_sample(self, *args: Any, **options: Any) -> Any:
            return user.act(super().should_sample(*args, **options))

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_telemetry(sampling=EVERYTHING)

    with recording(counts=False) as observed:
        observed.tracer_provider.sampler = Odd(Decision.RECORD_AND_SAMPLE)
        async with serving(url, configure=configure) as ask:
            yield ask


@asynccontextmanager
async def hearing(url: str, user: User, listen: Any) -> AsyncGenerator[Ask]:
    """Publish an event, and wait until it was handled."""
    async with ProbeClient.connect(url, verify="off") as client, AsyncExitStack() as stack:
        await listen(client, stack)

        async def ask() -> None:
            calls = user.calls
            await client.publish_happened("k", Happened.model_validate({"whatText": SECRET}))
            await until(lambda: user.calls > calls)

        yield ask


@place(None, "the handler of probe.events.thing.happened failed", RAISED)
async def event_handler(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a subscription, one event after the other."""

    async def handle(_: Any) -> None:
        await user.act_later()

    async def listen(client: ProbeClient, stack: AsyncExitStack) -> None:
        traced = client.with_telemetry()
        subscription = await traced.subscribe_happened(handle, max_concurrency=1)
        await stack.enter_async_context(subscription)

    async with hearing(url, user, listen) as ask:
        yield ask


@place(None, "the handler of probe.events.thing.happened failed", RAISED)
async def event_handler_of_a_synchronous_client(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a subscription, in a thread."""

    async def listen(_: ProbeClient, stack: AsyncExitStack) -> None:
        client = ProbeSyncClient.connect(url, verify="off")
        stack.push_async_callback(asyncio.to_thread, client.close)
        subscription = await asyncio.to_thread(
            client.subscribe_happened, lambda _: user.act(), max_concurrency=1
        )
        stack.push_async_callback(asyncio.to_thread, subscription.unsubscribe)

    async with hearing(url, user, listen) as ask:
        yield ask


@asynccontextmanager
async def consuming(url: str, user: User, act: Any, **options: Any) -> AsyncGenerator[Ask]:
    """Publish a durable event, and wait until it was handled."""
    async with parcel_streams(url) as transport:
        parcels, recorder = ParcelsClient(transport), Recorder(act)
        async with await consume(transport, recorder, "odd", backoff=[0.001], **options):

            async def ask() -> None:
                seen = len(recorder.seen)
                await parcels.publish_delivered(SECRET, Delivered(count=1))
                await until(lambda: len(recorder.seen) > seen)

            yield ask


CONSUMER: Final = "the handler of parcels.stream.0.parcel.delivered in the consumer odd failed"


@place(None, CONSUMER, RAISED)
async def handler_of_a_consumer(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a durable event, which is delivered again."""

    async def act(_: Any) -> None:
        await user.act_later()

    async with consuming(url, user, act) as ask:
        yield ask


@place(None, CONSUMER, RAISED)
async def interceptor_of_a_consumer(url: str, user: User) -> AsyncGenerator[Ask]:
    """An interceptor of a durable consumer."""

    async def intercept(context: Any, call_next: Any) -> Any:
        await user.act_later()
        return await call_next(context)

    async with consuming(url, user, None, interceptors=[intercept]) as ask:
        yield ask


@place(None, "is_failure raised for the consumer odd", RAISED)
async def is_failure_of_a_consumer(url: str, user: User) -> AsyncGenerator[Ask]:
    """What decides about failures of the handlers of a consumer."""
    act = user.failing(LookupError)
    policy = CircuitBreakerPolicy(is_failure=lambda _: user.act(0))
    async with consuming(url, user, act, circuit_breaker=policy) as ask:
        yield ask


@place(None, "the listener of the circuit breakers failed", RAISED)
async def listener_of_a_consumer(url: str, user: User) -> AsyncGenerator[Ask]:
    """What is called when the circuit breaker of a consumer opens."""
    act = user.failing(OSError)
    policy = CircuitBreakerPolicy(
        failure_threshold=1, recovery_timeout=1e-9, listener=lambda _: user.act()
    )
    async with consuming(url, user, act, circuit_breaker=policy) as ask:
        yield ask


@asynccontextmanager
async def projecting(url: str, projection: Any) -> AsyncGenerator[Ask]:
    """Publish a durable event, and wait until the view has it."""
    await remove_projection(url)
    async with parcel_streams(url) as transport, projection.run(transport) as counts:
        parcels = ParcelsClient(transport)

        async def ask() -> None:
            await parcels.publish_delivered(SECRET, Delivered(count=1))
            await counts.caught_up()

        yield ask
    await remove_projection(url)


@place(None, "projection parcel-counts failed, retrying", RAISED)
async def handler_of_a_projection(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler of a projection, which is called again."""
    user.times = 2  # once more alone, after a transaction of several events

    class Odd(Counting):
        async def delivered(self, event: Any) -> None:
            await user.act_later()
            await super().delivered(event)

    async with projecting(url, replace(COUNTS, handlers=Odd)) as ask:
        yield ask


@place(None, "projection parcel-counts failed, retrying", RAISED)
async def view_of_a_projection(url: str, user: User) -> AsyncGenerator[Ask]:
    """The transaction of a view, which is tried again."""
    user.times = 2

    class OddView(KeyValueView[int]):
        @asynccontextmanager
        async def transaction(self, checkpoint: Any) -> AsyncGenerator[None]:
            await user.act_later()
            async with super().transaction(checkpoint):
                yield

    view: Any = lambda generation: OddView(generation, int)  # noqa: E731
    async with projecting(url, replace(COUNTS, view=view)) as ask:
        yield ask


@asynccontextmanager
async def paying(url: str, user: User, handlers: Wallets) -> AsyncGenerator[Ask]:
    """Deposit money in a stored wallet."""
    del user
    async with (
        of_wallets(url, handlers).build(),
        wallets.WalletsClient.connect(url, verify="off") as client,
    ):
        key, deposit = f"{SECRET}-{uuid4()}", wallets.Amount(cents=5)
        yield lambda: client.deposit(key, deposit, timeout=LIMIT)


DEPOSIT: Final = "wallets.command.wallet.deposit"


@place(InternalError, DEPOSIT, EVERY)
async def handler_of_an_aggregate(url: str, user: User) -> AsyncGenerator[Ask]:
    """The handler that decides about a command."""

    class Odd(Wallets):
        async def deposit(self, state: Any, command: Any, context: Any) -> Any:
            return await user.act_later(await super().deposit(state, command, context))

    async with paying(url, user, Odd()) as ask:
        yield ask


@place(InternalError, DEPOSIT, EVERY)
async def method_that_applies_an_event(url: str, user: User) -> AsyncGenerator[Ask]:
    """The method that makes the next state of an aggregate."""

    class Odd(Wallets):
        def deposited(self, state: Any, event: Any) -> Any:
            return user.act(super().deposited(state, event))

    async with paying(url, user, Odd()) as ask:
        yield ask


def upcasting(user: User) -> Any:
    """Return an event whose first version is read by the user's code."""
    old = EventVersion(upcaster=lambda data: user.act({"amount": data["euros"] * 100}))
    return replace(accounts.DEPOSITED, previous=(old, *accounts.DEPOSITED.previous[1:]))


@place(InternalError, "accounts.query.account.get", EVERY)
async def upcaster_of_an_aggregate(url: str, user: User) -> AsyncGenerator[Ask]:
    """What makes the data of a stored event one of the present version."""
    deposited = upcasting(user)

    class Odd(Accounts):
        def stored_aggregates(self) -> Any:
            aggregate = accounts.ACCOUNT_AGGREGATE
            return (StoredAggregate(aggregate, {deposited: self.deposited}),)

    builder = NatsServiceBuilder(Odd(), url).with_aggregates(cache_size=0)
    async with builder.build(), accounts.AccountsClient.connect(url, verify="off") as client:
        key = str(uuid4())
        await store_old_commits(client.transport, key)
        yield lambda: client.get_account(key, timeout=LIMIT)


async def publish_old(transport: NatsTransport) -> None:
    """Publish an event as the first version of the contract."""
    message_id, timestamp = STAMPER.stamp()
    members = {
        "id": message_id,
        "type": "deposited",
        "aggregate": {"type": "account", "key": SECRET},
        "timestamp": timestamp,
        "data": {"euros": 2},
    }
    partition = partition_of(SECRET, accounts.ACCOUNTS_EVENTS_STREAM.partitions)
    subject = f"accounts.stream.{partition}.account.deposited"
    payload = json.dumps(members).encode()
    await store(transport, accounts.ACCOUNTS_EVENTS_STREAM, subject, payload, b"", message_id="")


@asynccontextmanager
async def account_streams(url: str) -> AsyncGenerator[NatsTransport]:
    """Create the streams of accounts, connect, and remove them afterwards."""
    transport = NatsTransport(url)
    await clean_streams.renew_streams(transport, accounts.CONTRACT)
    yield transport
    for stream in accounts.CONTRACT.streams:
        await JetStream(transport).delete_stream(stream.name)
        await JetStream(transport).delete_stream(stream.dead_letters)
    await transport.close()


MISMATCH: Final = "accounts.events.account.deposited does not match the contract"


@place(None, MISMATCH, EVERY)
async def upcaster_of_a_consumer(url: str, user: User) -> AsyncGenerator[Ask]:
    """What makes the data of an old event one of the present version, for a durable consumer."""
    handled: list[Any] = []
    deposited = upcasting(user)

    class Odd(AccountsRecorder):
        def routes(self) -> Any:
            return (EventRoute.of(deposited, self.deposited), *super().routes()[1:])

        async def deposited(self, event: Any) -> None:
            handled.append(event)

    async with account_streams(url) as transport, await consume(transport, Odd(), "odd"):
        jetstream, published = JetStream(transport), 0

        async def letters() -> int:
            stream = accounts.ACCOUNTS_EVENTS_STREAM.dead_letters
            return (await jetstream.stream_info(stream)).last_sequence

        async def ask() -> None:
            nonlocal published
            published += 1
            await publish_old(transport)
            await ask_until(lambda dead: dead + len(handled) == published, letters)

        yield ask


@place(None, MISMATCH, EVERY)
async def upcaster_of_a_subscription(url: str, user: User) -> AsyncGenerator[Ask]:
    """What makes the data of an old event one of the present version, for a subscriber."""
    heard: list[Any] = []

    async def hear(event: Any) -> None:
        heard.append(event)

    async with (
        account_streams(url) as transport,
        await subscribe(transport, upcasting(user), hear, SILENT),
    ):

        async def ask() -> None:
            expected, calls = len(heard) + (user.odd is None), user.calls
            await publish_old(transport)
            await until(lambda: user.calls > calls and len(heard) == expected)

        yield ask


@place(UnavailableError, "", TOKENS)
async def token_provider(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns the token of a call."""
    async with serving(url, change=lambda client: client.with_token(lambda: user.act("t"))) as ask:
        yield ask


@place(UnavailableError, "", TOKENS)
async def token_provider_of_a_synchronous_client(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns the token of a call, in a thread."""
    async with serving(url):
        client = ProbeSyncClient.connect(url, verify="off").with_token(lambda: user.act("t"))
        yield lambda: asyncio.to_thread(client.run, "k", Run(action=SECRET), timeout=LIMIT)
        await asyncio.to_thread(client.close)


@place(UnavailableError, "", EVERY)
async def async_token_provider(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns the token of several calls."""

    async def provide() -> Any:
        return await user.act_later("t")

    provider = CachedToken(provide)

    def change(client: ProbeClient) -> ProbeClient:
        return client.with_token(provider)

    async with serving(url, change=change) as ask:

        async def ask_anew() -> Any:
            provider.invalidate()
            return await ask()

        yield ask_anew


@place(UnavailableError, "", EVERY)
async def function_tls(url: str, user: User) -> AsyncGenerator[Ask]:
    """What returns the context of TLS."""
    user.times = sys.maxsize

    async def ask() -> None:
        if user.odd is None:
            return
        options = ConnectionOptions(
            tls=lambda: user.act(ssl.create_default_context()),
            tls_handshake_first=True,
            connect_timeout=0.001,
        )
        transport = NatsTransport(url, options)
        try:
            await transport.connect()
        finally:
            await transport.close()

    yield ask


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projections try again at once."""
    monkeypatch.setattr(running, "CHECK", 0.02)
    monkeypatch.setattr(running, "_PAUSES", (0.001,))


class Records(logging.Handler):
    """What was logged, as text too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(TextFormatter())
        self.taken: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        self.taken.append((record.getMessage(), self.format(record)))

    def take(self) -> list[tuple[str, str]]:
        """Return the records since the last time."""
        taken, self.taken = self.taken, []
        return taken


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    """The records of this test, which pytest does not format: it cannot show all exceptions."""
    monkeypatch.setattr(LimitedLogger, "_take", lambda *_: 0)
    records, loggers = Records(), [logging.getLogger(name) for name in ("weenats", "asyncio")]
    for each in loggers:
        monkeypatch.setattr(each, "propagate", False)
        each.addHandler(records)
    yield records
    for each in loggers:
        each.removeHandler(records)


async def outcome(ask: Ask) -> Any:
    """Return the exception of a call, or None."""
    call = asyncio.ensure_future(ask())
    await asyncio.wait([call], timeout=LIMIT)
    if not call.done():
        call.cancel()
        return "no answer"
    return "cancelled" if call.cancelled() else call.exception()


def judge(logged: list[tuple[str, str]], told: str) -> dict[str, bool]:
    """Return what may be wrong with the records of a call, and whether it is."""
    messages = [message for message, _ in logged]
    return {
        f"{messages} do not name the place once": [told in each for each in messages].count(True)
        != bool(told),
        f"{messages} are of others": any(
            other in each for each in messages for other in ("unexpected", "never retrieved")
        ),
        f"{logged} show the payload": any(SECRET in text for _, text in logged),
    }


@pytest.mark.parametrize("name", PLACES)
async def test_what_users_code_does(nats_url: str, name: str, records: Records) -> None:
    """The caller gets an answer of the right kind, the log names the place once, and it goes on."""
    opened, answer, told, odd = PLACES[name]
    user = User()
    found: dict[str, list[str]] = {}
    async with opened(nats_url, user) as ask:
        await ask()
        for what, misbehave in odd.items():
            records.take()
            user.odd, user.calls = misbehave, 0
            got = await outcome(ask)
            assert user.calls, what
            user.odd = None
            after = await outcome(ask)
            problems = {
                f"answer {got!r}": (None if got is None else type(got)) is not answer,
                f"next {after!r}": after is not None,
                **judge(records.take(), told),
            }
            if wrong := [problem for problem, is_wrong in problems.items() if is_wrong]:
                found[what] = wrong
    assert found == {}
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})  # no task is left


async def test_interceptor_of_a_client(nats_url: str) -> None:
    """The caller gets what its own interceptor raises, and the client works on."""
    user = User()

    async def intercept(context: Any, call_next: Any) -> Any:
        await user.act_later()
        return await call_next(context)

    async with serving(nats_url, change=lambda client: client.with_interceptor(intercept)) as ask:
        for odd in RAISED.values():
            user.odd, user.calls = odd, 0
            assert type(await outcome(ask)) is type(await outcome(later(odd)))
            assert await outcome(ask) is None


@pytest.mark.usefixtures("single_instance")
async def test_on_invalid(raw: RawClient, nats_url: str) -> None:
    """Who lists instances gets what its own function raises; one that is async is refused."""
    user = User()
    transport = NatsTransport(nats_url)

    async def answer(message: Any) -> None:
        await raw.publish(message.reply, b"{}")

    async def list_them(function: Any = lambda _: user.act()) -> None:
        await list_instances(transport, "odd", timeout=LIMIT, on_invalid=function)

    await raw.subscribe("$SRV.PING.odd", cb=answer)
    await raw.flush()
    await raw.flush()
    for odd in RAISED.values():
        user.odd, user.calls = odd, 0
        assert type(await outcome(list_them)) is type(await outcome(later(odd)))
        assert user.calls
        assert await outcome(list_them) is None
    with pytest.raises(TypeError, match="on_invalid must be a plain function"):
        await list_them(user.act_later)
    await transport.close()


def test_metrics(records: Records) -> None:
    """A metric that cannot be read is left out of snapshots, and logged once."""
    odd = [*EVERY.values(), lambda: True, lambda: float("nan")]
    metrics: list[Any] = [
        {"name": f"m{number}", "type": "gauge", "help": "", "read": read}
        for number, read in enumerate([*odd, lambda: 5])
    ]
    custom = CustomMetrics(check_metrics(metrics))
    for _ in range(2):
        assert [*custom.read()] == [f"m{len(odd)}"]
    logged = [message for message, _ in records.take()]
    assert logged == [f"the metric m{number} cannot be read" for number in range(len(odd))]


def later(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Return an async function that does the same."""

    async def act() -> Any:
        return function()

    return act


@pytest.mark.parametrize("how", [later, lambda function: function], ids=["async", "thread"])
async def test_health_checks(nats_url: str, how: Any, records: Records) -> None:
    """Whatever a check raises or returns, it has failed, and the service starts."""
    odd = {**RAISED, **RETURNED, "SystemExit": raising(SystemExit)}
    if how is later:
        del odd["SystemExit"]
    else:
        del odd["awaitable"]
    names = {f"c{number}": each for number, each in enumerate([*odd.values(), lambda: True])}
    checks: list[Any] = [{"name": name, "check": how(each)} for name, each in names.items()]

    def configure(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_health(custom_checks=checks)

    async with (
        serving(nats_url, configure=configure) as ask,
        ProbeClient.connect(nats_url, verify="off") as client,
    ):
        assert await outcome(ask) is None
        health = await client.check_health()
    assert health.data is not None
    entries = {each.name: each.status for each in health.data.checks}
    assert entries == dict.fromkeys([*names][:-1], "error") | {[*names][-1]: "ok"}
    logged = [message.partition(" failed: ")[0] for message, _ in records.take()]
    assert logged == [f"the health check {name}" for name in [*names][:-1]]


@pytest.mark.parametrize("at_end", [False, True])
async def test_lifespan(nats_url: str, at_end: bool, records: Records) -> None:
    """What a lifespan raises is logged; start() raises it, if it is raised before the `yield`."""
    user = User()

    class Lived(Probe):
        @asynccontextmanager
        async def lifespan(self) -> AsyncGenerator[None]:
            if not at_end:
                user.act()
            yield
            user.act()

    for name, user.odd in RAISED.items():
        user.calls = 0
        records.take()
        service = NatsServiceBuilder(Lived(), nats_url).build()
        started = await outcome(service.start)
        assert at_end == (started is None), name
        assert started is None or isinstance(started, Exception), name
        await service.stop()
        assert user.odd is None
        messages = [message for message, _ in records.take()]
        assert len(messages) == 1, (name, messages)
        assert "probe" in messages[0]
        assert "its lifespan failed" in messages[0] or "the lifespan of" in messages[0]


EXITS: Final = [
    ("handler", KeyboardInterrupt),
    *(
        (name, SystemExit)
        for name in (
            "handler",
            "interceptor",
            "is failure",
            "listener",
            "key extractor",
            "validator",
            "on answer",
            "validator of a model",
            "event handler",
            "handler of a consumer",
            "handler of a projection",
            "handler of an aggregate",
            "token provider",
        )
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), EXITS)
def test_exit_of_the_process(
    nats_url: str, name: str, kind: type[BaseException], records: Records
) -> None:
    """SystemExit and KeyboardInterrupt end `asyncio.run`, as in any program, without a log."""
    user = User()
    opened = PLACES[name][0]

    async def main() -> None:
        async with opened(nats_url, user) as ask:
            await ask()
            user.odd = raising(kind)
            await ask()
            await asyncio.Event().wait()

    with pytest.raises(kind):
        asyncio.run(main())
    gc.collect()
    assert not any("never retrieved" in message for message, _ in records.take())
