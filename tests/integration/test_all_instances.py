"""Calls of one instance and of all instances, in spite of the queue group."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import NoneType
from typing import Any, cast

import pytest
from nats.aio.client import Client as RawClient
from nats.aio.msg import Msg
from opentelemetry.trace import SpanKind
from pydantic_core import to_json

from testkit.clocks import shift_time
from testkit.discovery import ExpectAnswers
from testkit.probe import FindParameters, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, recording
from testkit.tokens import FakeValidator, good_claims, token
from testkit.waiting import LIMIT, until
from weenats import (
    Code,
    DeadlineExceededError,
    Entity,
    InvalidArgumentError,
    NatsService,
    NatsServiceBuilder,
    NoRespondersError,
    RequestContext,
    TelemetrySettings,
)
from weenats.discovery import list_infos
from weenats.service.assembly import Assembly
from weenats.testing import MemoryTransport

GO = Run(action="go")


class Numbered(Probe):
    """Handlers that answer their own number, and block when they are told to."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get(self, key: str, context: RequestContext) -> Entity[Any]:
        """Answer the number as the revision; block for the key of this number."""
        if key == f"block {self.number}":
            self.entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        entity = await super().get(key, context)
        return entity.model_copy(update={"revision": self.number})


@asynccontextmanager
async def fleet(
    url: str, size: int, **features: Any
) -> AsyncIterator[tuple[ProbeClient, list[Numbered], list[NatsService]]]:
    """Run several instances, with features of the builder; yield a client and the instances."""
    handlers = [Numbered(number) for number in range(size)]
    services = []
    async with AsyncExitStack() as stack:
        for each in handlers:
            builder = NatsServiceBuilder(each, url)
            for name, arguments in features.items():
                builder = getattr(builder, name)(**arguments)
            services.append(await stack.enter_async_context(builder.build()))
        client = await stack.enter_async_context(ProbeClient.connect(url))
        yield client, handlers, services


async def test_every_instance_answers_once(nats_url: str, expect_answers: ExpectAnswers) -> None:
    """Each instance gets the call once and answers with its own result."""
    expect_answers(3)
    async with fleet(nats_url, 3) as (client, handlers, services):
        replies = await client.on_all(lambda one: one.get("k"))
        assert [reply.instance.id for reply in replies] == sorted(s.instance_id for s in services)
        assert sorted(reply.result().revision for reply in replies) == [0, 1, 2]
        assert [len(each.seen) for each in handlers] == [1, 1, 1]
        found = await client.on_all(lambda one: one.find("k", FindParameters(pattern="x")))
        assert {reply.result().text for reply in found} == {"k x"}


async def test_no_instance_means_no_reply(nats_url: str) -> None:
    """Without an instance the list is empty."""
    async with ProbeClient.connect(nats_url) as client:
        assert await client.on_all(lambda one: one.get("k")) == []


async def test_late_instance_is_an_error(nats_url: str, expect_answers: ExpectAnswers) -> None:
    """An instance that is late has DEADLINE_EXCEEDED, its work is cancelled, others answer."""
    expect_answers(3)
    time, answered = shift_time(), list[Entity[Any]]()

    async def call(one: ProbeClient) -> Entity[Any]:
        answered.append(await one.get("block 1", timeout=10 * LIMIT))
        return answered[-1]

    async with fleet(nats_url, 3) as (client, handlers, _):
        calling = asyncio.create_task(client.on_all(call, max_wait=LIMIT))
        await until(lambda: handlers[1].entered.is_set() and len(answered) == 2)
        time.advance(LIMIT)
        replies = await calling
        errors = [reply.error for reply in replies if reply.error is not None]
        assert [type(error) for error in errors] == [DeadlineExceededError]
        assert sorted(reply.result().revision for reply in replies if not reply.error) == [0, 2]
        (late,) = [reply for reply in replies if reply.error]
        with pytest.raises(DeadlineExceededError):
            late.result()
        async with asyncio.timeout(LIMIT):
            await handlers[1].cancelled.wait()


async def test_number_of_instances_is_bounded(nats_url: str, expect_answers: ExpectAnswers) -> None:
    """At most `max_replies` instances are called."""
    expect_answers(3)
    async with fleet(nats_url, 3) as (client, handlers, _):
        assert len(await client.on_all(lambda one: one.get("k"), max_replies=2)) == 2
        assert sum(len(each.seen) for each in handlers) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_replies": 0}, "max_replies is an integer of at least 1"),
        ({"max_replies": True}, "max_replies is an integer of at least 1"),
        ({"max_wait": -1}, "a duration"),
        ({"max_wait": "soon"}, "a duration"),
    ],
)
async def test_bounds_must_be_valid(options: dict[str, Any], message: str) -> None:
    """Bounds that are not valid are refused before anything is sent."""
    client = ProbeClient(MemoryTransport())
    with pytest.raises(InvalidArgumentError) as error:
        await client.on_all(lambda one: one.get("k"), **options)
    assert message in error.value.message or "timeout" in error.value.message


async def test_commands_that_are_not_idempotent_are_refused(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """Such a command is not sent to any instance, and an instance refuses it too."""
    expect_answers(2)
    async with fleet(nats_url, 2) as (client, handlers, services):
        with pytest.raises(InvalidArgumentError, match="neither a query nor idempotent"):
            await client.on_all(lambda one: one.run("k", GO))
        with pytest.raises(InvalidArgumentError):
            await client.on_instance(services[0].instance_id).run("k", GO)
        assert [each.seen for each in handlers] == [[], []]


async def test_invalid_argument_is_raised_at_once(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """An argument that cannot be sent raises; one that instances refuse is their reply."""
    expect_answers(2)
    async with fleet(nats_url, 2) as (client, _, _services):
        with pytest.raises(InvalidArgumentError):
            await client.on_all(lambda one: one.get("k", correlation_id=""))
        refused = await client.on_all(lambda one: one.get(""))
        codes = [reply.error and reply.error.code for reply in refused]
        assert codes == [Code.INVALID_ARGUMENT] * 2
        with pytest.raises(TypeError, match="timout"):
            await client.on_all(lambda one: one.get("k", timout=1))  # type: ignore[call-arg]


async def test_one_instance_by_id(nats_url: str) -> None:
    """`on_instance` calls exactly the instance that is named."""
    async with fleet(nats_url, 3) as (client, handlers, services):
        for handler, service in zip(handlers, services, strict=True):
            entity = await client.on_instance(service.instance_id).get("k")
            assert entity.revision == handler.number
        assert [len(each.seen) for each in handlers] == [1, 1, 1]
        with pytest.raises(NoRespondersError):
            await client.on_instance("01JD8Q3X7B9Z6M0N4R5S8T2VWY").get("k")


@pytest.mark.parametrize("instance_id", ["", "*", ">", "a.b", "a b"])
async def test_id_of_instance_must_be_one_token(instance_id: str) -> None:
    """An id that would lead to other subjects is refused."""
    with pytest.raises(InvalidArgumentError):
        ProbeClient(MemoryTransport()).on_instance(instance_id)


async def test_authentication_holds_for_each_instance(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """Without a token each instance refuses; with one each answers."""
    expect_answers(2)
    auth = {"with_auth": {"validator": FakeValidator()}}
    async with fleet(nats_url, 2, **auth) as (client, handlers, _):
        refused = await client.on_all(lambda one: one.get("k"))
        assert [reply.error and reply.error.code for reply in refused] == [Code.UNAUTHENTICATED] * 2
        assert [each.seen for each in handlers] == [[], []]
        known = client.with_token(token(good_claims()))
        assert all(reply.error is None for reply in await known.on_all(lambda one: one.get("k")))


async def test_rate_limit_holds_for_each_instance(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """Each instance counts the calls against its own limit."""
    expect_answers(2)
    limit = {"with_rate_limit": {"max_requests_per_second": 0.01, "burst": 1}}
    async with fleet(nats_url, 2, **limit) as (client, _, _services):
        first = await client.on_all(lambda one: one.get("k"))
        second = await client.on_all(lambda one: one.get("k"))
    assert [reply.error for reply in first] == [None, None]
    codes = [reply.error and reply.error.code for reply in second]
    assert codes == [Code.RESOURCE_EXHAUSTED] * 2


async def test_telemetry_has_span_of_each_instance(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """The client and each instance record a span for each call."""
    expect_answers(2)
    with recording() as observed:
        async with fleet(nats_url, 2, with_telemetry={"sampling": EVERYTHING}) as (
            plain,
            _,
            _services,
        ):
            client = plain.with_telemetry(TelemetrySettings(sampling=EVERYTHING))
            await client.on_all(lambda one: one.get("k"))
        servers = [span for span in observed.of(SpanKind.SERVER) if "get" in span.name]
        callers = [span for span in observed.of(SpanKind.CLIENT) if "get" in span.name]
    assert len(servers) == len(callers) == 2
    parents = {span.parent.span_id for span in servers if span.parent is not None}
    assert parents == {span.context.span_id for span in callers if span.context is not None}


async def test_instance_outside_its_queue_group_answers(nats_url: str) -> None:
    """An instance that is not ready gets no calls of the group, but those of its own."""

    async def check() -> None:
        raise ConnectionRefusedError

    builder = NatsServiceBuilder(Numbered(5), nats_url).with_queue_group("probe", self_eject=True)
    async with (
        builder.with_health(
            custom_checks=[{"name": "database", "check": check}]
        ).build() as service,
        ProbeClient.connect(nats_url) as client,
    ):
        assert not service.is_member
        with pytest.raises(NoRespondersError):
            await client.get("k")
        (reply,) = await client.on_all(lambda one: one.get("k"))
        assert reply.result().revision == 5


async def test_discovery_has_subject_of_instance(nats_url: str) -> None:
    """INFO has the subject of each operation that can be called on the instance."""
    async with fleet(nats_url, 1) as (client, _, (service,)):
        (info,) = await list_infos(client.transport, "probe")
    found = {each.name: each.metadata.get("instanceSubject") for each in info.endpoints}
    prefix = f"probe.instance.{service.instance_id}.query.thing"
    assert found == {"run": None, "forget": None, "get": f"{prefix}.get", "find": f"{prefix}.find"}


async def test_made_up_instances_change_nothing(nats_url: str, raw: RawClient) -> None:
    """Ids in answers to discovery that are repeated or no part of a subject are left out."""
    async with fleet(nats_url, 1) as (client, handlers, (service,)):

        async def pretend(message: Msg) -> None:
            for instance_id in (service.instance_id, "a.>", "*", "with space", "01NOBODY"):
                answer = cast("Assembly", service._assembly).instance.ping()
                answer = answer.model_copy(update={"id": instance_id})
                await message.respond(to_json(answer, by_alias=True))

        await raw.subscribe("$SRV.PING.probe", cb=pretend)
        await raw.flush()
        replies = await client.on_all(lambda one: one.get("k"))
        errors = {reply.instance.id: type(reply.error) for reply in replies}
        assert errors == {"01NOBODY": NoRespondersError, service.instance_id: NoneType}
        assert len(handlers[0].seen) == 1


async def test_id_that_is_too_long_costs_only_its_own_reply(nats_url: str, raw: RawClient) -> None:
    """An id that fits into no protocol line, which others can make up, fails no other calls."""
    async with fleet(nats_url, 1) as (client, _, (service,)):

        async def pretend(message: Msg) -> None:
            answer = cast("Assembly", service._assembly).instance.ping()
            answer = answer.model_copy(update={"id": "x" * 5000})
            await message.respond(to_json(answer, by_alias=True))

        await raw.subscribe("$SRV.PING.probe", cb=pretend)
        await raw.flush()
        replies = await client.on_all(lambda one: one.get("k"))
        errors = {reply.instance.id[:5]: type(reply.error) for reply in replies}
        assert errors == {"xxxxx": InvalidArgumentError, service.instance_id[:5]: NoneType}


@pytest.mark.parametrize("name", ["command.thing.run", "query.thing.unknown"])
async def test_unknown_subject_of_instance(nats_url: str, raw: RawClient, name: str) -> None:
    """An operation that an instance does not serve alone is UNIMPLEMENTED, not a timeout."""
    async with fleet(nats_url, 1) as (_, handlers, (service,)):
        subject = f"probe.instance.{service.instance_id}.{name}"
        reply = await raw.request(subject, b"{}")
        assert json.loads(reply.data)["error"]["code"] == "UNIMPLEMENTED"
        assert reply.headers is not None
        assert "Nats-Service-Error" in reply.headers
        assert handlers[0].seen == []


async def test_cancelling_ends_all_calls(nats_url: str) -> None:
    """When its task is cancelled, the calls of all instances are cancelled."""
    async with fleet(nats_url, 1) as (client, (handler,), _):
        calling = asyncio.create_task(client.on_all(lambda one: one.get("block 0"), max_wait=60))
        async with asyncio.timeout(LIMIT):
            await handler.entered.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        async with asyncio.timeout(LIMIT):
            await handler.cancelled.wait()
