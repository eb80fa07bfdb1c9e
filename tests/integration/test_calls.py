"""Calls between a typed client and a service over a real server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from testkit.discovery import ExpectAnswers
from testkit.probe import (
    FindParameters,
    Happened,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Probe,
    ProbeClient,
    ProbeSyncClient,
    Run,
)
from testkit.waiting import LIMIT
from weenats import (
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    NoRespondersError,
    RequestContext,
    UnavailableError,
    new_message_id,
)

if TYPE_CHECKING:
    from weenats import NatsService


async def test_command_returns_its_typed_result(client: ProbeClient) -> None:
    """A command returns the result model that its contract declares."""
    assert await client.run("t-1", Run(action="hello")) == Outcome(text="hello")


async def test_command_without_result_returns_none(client: ProbeClient) -> None:
    """A command that has no result returns None."""
    assert await client.forget("t-1", Run(action="hello")) is None  # type: ignore[func-returns-value]


async def test_get_returns_the_entity(client: ProbeClient) -> None:
    """The query `get` returns identity, state and revision."""
    entity = await client.get("t-ä")
    assert (entity.id.type, entity.id.key, entity.state.text, entity.revision) == (
        "thing",
        "t-ä",
        "t-ä",
        7,
    )


async def test_query_with_parameters(client: ProbeClient) -> None:
    """Query parameters reach the handler as their typed model."""
    assert (await client.find("t-1", FindParameters(pattern="x*"))).text == "t-1 x*"


async def test_declared_errors_are_raised_as_their_class(
    client: ProbeClient, handlers: Probe
) -> None:
    """The caller gets the error class that the handler raised, with typed details."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise PartMissingError(details=MissingDetails(part="wheel"))

    async def refuse(key: str, command: Run, context: RequestContext) -> Outcome:
        raise NotReadyError("not before noon")

    handlers.actions |= {"fail": fail, "refuse": refuse}
    with pytest.raises(PartMissingError) as missing:
        await client.run("t-1", Run(action="fail"))
    assert (missing.value.details, missing.value.remote) == (MissingDetails(part="wheel"), True)
    assert missing.value.message == "A part is missing."
    with pytest.raises(NotReadyError, match="not before noon"):
        await client.run("t-1", Run(action="refuse"))


async def test_metadata_is_always_sent(client: ProbeClient, handlers: Probe) -> None:
    """A call without options has a new message id, correlates with itself and has no cause."""
    await client.run("t-1", Run(action="a"))
    await client.run("t-1", Run(action="b"))
    first, second = handlers.seen
    assert first.message_id != second.message_id
    assert first.correlation_id == first.message_id
    assert first.causation_id is None


async def test_message_id_of_a_repeated_call(client: ProbeClient, handlers: Probe) -> None:
    """A call with the id of an earlier one has it in the service, and correlates with it."""
    first = new_message_id()
    for _ in range(2):
        await client.run("t-1", Run(action="a"), message_id=first)
    assert [each.message_id for each in handlers.seen] == [first, first]
    assert handlers.seen[1].correlation_id == first


async def test_call_options_reach_the_handler(client: ProbeClient, handlers: Probe) -> None:
    """Correlation, causation, token, context, headers and timeout arrive as given."""
    await client.run(
        "t-1",
        Run(action="a"),
        correlation_id='order "1"',
        causation_id="cause-1",
        token="secret-token",
        context={"tenant": "acme", "depth": [1, None]},
        headers={"X-Region": "eu"},
        timeout=timedelta(seconds=3),
    )
    (seen,) = handlers.seen
    assert (seen.correlation_id, seen.causation_id) == ('order "1"', "cause-1")
    assert seen.token == "secret-token"
    assert seen.metadata_context == {"tenant": "acme", "depth": [1, None]}
    assert seen.headers["x-region"] == "eu"
    assert seen.remaining is not None
    assert 0 < seen.remaining <= 3


async def test_client_overlays_are_immutable_and_combine(
    client: ProbeClient, handlers: Probe
) -> None:
    """Each with_* returns a new client; options of a call override those of the client."""
    overlay = (
        client.with_header("X-A", "1")
        .with_header("X-B", "2")
        .with_context(a=1)
        .with_token("t")
        .with_timeout(9)
    )
    await overlay.run("t-1", Run(action="a"), headers={"X-B": "3"}, context={"b": 2})
    await client.run("t-1", Run(action="a"))
    with_all, bare = handlers.seen
    assert (with_all.headers["x-a"], with_all.headers["x-b"]) == ("1", "3")
    assert with_all.metadata_context == {"a": 1, "b": 2}
    assert bare.token is None
    assert "x-a" not in bare.headers
    assert not bare.metadata_context


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timeout": 0}, "timeout must be a positive"),
        ({"timeout": float("nan")}, "timeout must be a positive"),
        ({"timeout": "2"}, "timeout must be a positive"),
        ({"correlation_id": ""}, "correlation_id must be"),
        ({"causation_id": "a\nb"}, "causation_id must be"),
        ({"token": ""}, "token must not be empty"),
        ({"headers": {"Nats-Msg-Id": "1"}}, "Nats-Msg-Id is reserved for weenats and NATS"),
        ({"headers": {"traceparent": "1"}}, "traceparent is reserved for"),
        ({"headers": {"x y": "1"}}, "not a valid header name"),
        ({"headers": {"x": "a\r\nb"}}, "that is not printable"),
        ({"context": {"x": object()}}, "cannot be encoded"),
        ({"context": 5}, "context must be a mapping, not int"),
    ],
)
async def test_invalid_options_are_rejected_before_sending(
    client: ProbeClient, handlers: Probe, options: Any, text: str
) -> None:
    """An invalid option raises InvalidArgumentError, and nothing is sent."""
    with pytest.raises(InvalidArgumentError, match=text):
        await client.run("t-1", Run(action="a"), **options)
    assert handlers.seen == []


@pytest.mark.parametrize("key", ["\ud800", "a\ud800b"])
async def test_lone_surrogates_in_a_key_are_rejected(client: ProbeClient, key: str) -> None:
    """A key that is not valid Unicode is rejected before it is sent."""
    with pytest.raises(InvalidArgumentError, match="not valid Unicode"):
        await client.run(key, Run(action="a"))


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb"])
async def test_invalid_keys_are_rejected(client: ProbeClient, key: str) -> None:
    """A key that is empty, too long or has control characters is rejected."""
    with pytest.raises(InvalidArgumentError):
        await client.run(key, Run(action="a"))


async def test_payload_of_wrong_type_is_rejected(client: ProbeClient) -> None:
    """A dictionary instead of the payload model is rejected before it is sent."""
    with pytest.raises(InvalidArgumentError, match="expected Run, got dict"):
        await client.run("t-1", {"action": "a"})  # type: ignore[arg-type]


async def test_nested_calls_and_events_inherit_metadata(
    nats_url: str, client: ProbeClient, handlers: Probe
) -> None:
    """Calls and events of a handler inherit correlation, causation and trace context."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    events: asyncio.Queue[Any] = asyncio.Queue()

    async def nest(key: str, command: Run, context: RequestContext) -> Outcome:
        await handlers.publish_happened(key, Happened(text="nested"), revision=1)
        return await client.run("inner", Run(action="inner"))

    handlers.actions["nest"] = nest
    outer = client.with_interceptor(_with_trace(trace))
    async with await client.subscribe_happened(events.put):
        await outer.run("outer", Run(action="nest"), correlation_id="c-1")
        event = await asyncio.wait_for(events.get(), LIMIT)
    first, inner = handlers.seen
    assert (inner.correlation_id, inner.causation_id) == ("c-1", first.message_id)
    assert (event.correlation_id, event.causation_id) == ("c-1", first.message_id)
    assert inner.headers["traceparent"] == event.headers["traceparent"] == trace


def _with_trace(trace: str) -> Any:
    async def add(context: RequestContext, call_next: Any) -> Any:
        return await call_next(context.replace(headers={**context.headers, "traceparent": trace}))

    return add


async def test_interceptors_run_in_order_on_both_sides(nats_url: str) -> None:
    """The first interceptor added is the outermost, on client and server."""
    order: list[str] = []

    def note(name: str) -> Any:
        async def interceptor(context: RequestContext, call_next: Any) -> Any:
            order.append(f"{name} {context.side}")
            response = await call_next(context)
            order.append(f"{name} done")
            return response

        return interceptor

    builder = (
        NatsServiceBuilder(Probe(), nats_url)
        .with_interceptor(note("s1"))
        .with_interceptor(note("s2"))
    )
    async with (
        builder.build(),
        ProbeClient.connect(nats_url, interceptors=[note("c1"), note("c2")]) as client,
    ):
        await client.run("t-1", Run(action="a"))
    assert order == [
        *("c1 client", "c2 client", "s1 server", "s2 server"),
        *("s2 done", "s1 done", "c2 done", "c1 done"),
    ]


async def test_interceptors_run_before_payload_validation(nats_url: str, raw: Any) -> None:
    """A call that an interceptor rejects learns nothing about the validity of its payload."""
    from weenats import PermissionDeniedError

    async def refuse(context: RequestContext, call_next: Any) -> Any:
        raise PermissionDeniedError("not you")

    body = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":5}}'
    async with NatsServiceBuilder(Probe(), nats_url).with_interceptor(refuse).build():
        reply = await raw.request("probe.command.thing.run", body)
    assert b"PERMISSION_DENIED" in reply.data
    assert b"violations" not in reply.data


async def test_services_share_a_connection_and_leave_it_open(
    nats_url: str, expect_answers: ExpectAnswers
) -> None:
    """Services and clients do not close a transport that was passed to them."""
    expect_answers(2)
    transport = NatsTransport(nats_url)
    for _ in range(2):
        first = NatsServiceBuilder(Probe(), transport=transport).build()
        second = NatsServiceBuilder(Probe(), transport=transport).build()
        async with first, second, ProbeClient(transport) as client:
            assert len(await client.list_instances()) == 2
            assert (await client.run("t-1", Run(action="a"))).text == "a"
    await transport.close()


async def test_call_without_responders_fails_immediately(nats_url: str) -> None:
    """A call to a service that does not run raises NoRespondersError immediately."""
    async with ProbeClient.connect(nats_url, timeout=30) as client:
        with pytest.raises(
            NoRespondersError, match=r"no responders on probe\.command\.thing\.run"
        ) as error:
            await asyncio.wait_for(client.run("t-1", Run(action="a")), LIMIT)
    assert isinstance(error.value, UnavailableError)
    assert not error.value.remote


async def test_client_connects_on_first_call(nats_url: str, service: NatsService) -> None:
    """Without `async with` the first call opens the connection."""
    client = ProbeClient.connect(nats_url)
    assert (await client.run("t-1", Run(action="lazy"))).text == "lazy"
    await client.close()


async def test_derived_clients_close_with_the_last_block(
    nats_url: str, service: NatsService
) -> None:
    """The block of a derived client does not close the connection within that of another one."""
    async with ProbeClient.connect(nats_url) as client:
        async with client.with_timeout(LIMIT) as derived:
            assert (await derived.run("t-1", Run(action="a"))).text == "a"
        assert (await client.run("t-1", Run(action="b"))).text == "b"
    assert not client.transport.is_connected
    async with ProbeClient.connect(nats_url).with_timeout(LIMIT) as derived:
        assert derived.transport.is_connected
    assert not derived.transport.is_connected


async def test_leaving_a_block_that_was_not_entered() -> None:
    """`__aexit__` of a client, or `__exit__`, without its `__aenter__` says so."""
    client = ProbeClient.connect("nats://127.0.0.1:1")
    with pytest.raises(RuntimeError, match=r"in no block of `async with`"):
        await client.__aexit__()
    with pytest.raises(RuntimeError, match=r"in no block of `async with`"):
        ProbeSyncClient(client.transport).__exit__()


async def test_call_without_a_server_fails_in_bounded_time() -> None:
    """Without a server a call ends within its timeout, connecting within connect_timeout."""
    from weenats import ConnectionOptions

    client = ProbeClient.connect("nats://127.0.0.1:1", timeout=0.2)
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(client.run("t-1", Run(action="a")), LIMIT)
    with pytest.raises(UnavailableError, match=r"no connection to NATS at nats://127\.0\.0\.1:1"):
        await ProbeClient.connect(
            "nats://user:hidden@127.0.0.1:1", connection=ConnectionOptions(connect_timeout=0.2)
        ).__aenter__()


async def test_publishing_requires_a_running_service() -> None:
    """Publishing from handlers without a service raises UnavailableError."""
    with pytest.raises(UnavailableError, match="no running service serves these handlers"):
        await Probe().publish_happened("k", Happened(text="x"), revision=1)
