"""Plans of streams: what differs, what is dangerous, what is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from weenats import FailedPreconditionError, NatsTransport
from weenats.contract import Stream
from weenats.streams import apply_streams, check_streams, plan_streams
from weenats.streams.plan import _with_more
from weenats.streams.settings import stream_config
from weenats.transport.jetstream import JetStream, JetStreamRefusedError, StreamConfig


def stream(name: str, **settings: Any) -> Stream:
    """Return a stream of the service that has the name of the stream."""
    settings = {"events": ("order.placed",), "storage": "memory", **settings}
    return Stream(name=name, service=name, **settings)


@pytest.fixture
async def transport(nats_url: str) -> Any:
    """A connection to the shared server."""
    transport = NatsTransport(nats_url)
    yield transport
    await transport.close()


@pytest.fixture
async def name(transport: NatsTransport) -> Any:
    """The name of a service, whose streams are removed."""
    name = f"s{uuid4().hex}"
    yield name
    for each in (name, f"{name}-dead-letters"):
        await JetStream(transport).delete_stream(each)


async def applied(transport: NatsTransport, *streams: Stream, force: bool = False) -> list[str]:
    """Apply a plan and return what it said; afterwards there is nothing left to do."""
    plans = await plan_streams(transport, streams)
    await apply_streams(transport, plans, force=force)
    check_streams(await plan_streams(transport, streams), "orders")
    return [str(each) for each in plans]


async def test_streams_are_created_once(transport: NatsTransport, name: str) -> None:
    """The second plan has nothing to do; dead letters have a stream of their own."""
    with pytest.raises(FailedPreconditionError, match=r"run `weenats streams apply CONTRACT`"):
        check_streams(await plan_streams(transport, [stream(name)]), name)
    said = await applied(transport, stream(name, max_age=60, max_bytes=10**6, max_messages=10))
    assert said == [f"{name}: create", f"{name}-dead-letters: create"]
    info = await JetStream(transport).stream_info(name)
    assert info.config.subjects == (f"{name}.stream.*.order.placed", f"{name}.retry.{name}.*.*")
    assert (info.config.max_age, info.config.max_bytes) == (60.0, 10**6)
    assert (info.config.max_messages, info.config.discard) == (10, "new")


async def test_harmless_changes_are_applied(transport: NatsTransport, name: str) -> None:
    """New events and higher limits need no force; settings of operators stay."""
    jetstream = JetStream(transport)
    await applied(transport, stream(name, max_age=60, max_messages=10))
    info = await jetstream.stream_info(name)
    await jetstream.update_stream(replace(info.config, description="Mine."))
    wider = stream(name, max_age=3600, events=("order.placed", "order.sent"))
    first, second = await applied(transport, wider)
    assert "max_age: 60.0 -> 3600" in first
    assert "max_messages: 10 -> none" in first
    assert "subjects: " in first
    assert second == f"{name}-dead-letters: none"
    assert (await jetstream.stream_info(name)).config.description == "Mine."


@pytest.mark.parametrize(
    ("has", "demands", "kept", "changed"),
    [
        ({"max_age": 60}, {"max_age": 5}, "max_age: 60.0 -> 5", ""),
        ({}, {"max_bytes": 5000}, "max_bytes: none -> 5000", ""),
        ({"max_messages": 9}, {"max_messages": 8}, "max_messages: 9 -> 8", ""),
        ({"max_messages": 8}, {"max_messages": 9}, "", "max_messages: 8 -> 9"),
        ({"max_messages": 8}, {}, "", "max_messages: 8 -> none"),
        ({"storage": "file"}, {}, "storage: file -> memory", ""),
        ({}, {"storage": "file"}, "", "storage: memory -> file (the stream is deleted, with all"),
        ({"events": ("a.b",)}, {"events": ("a.c",)}, ".a.b -> none", "subjects: "),
        ({"partitions": 5}, {}, "", "partitions: 5 -> 16"),
    ],
)
async def test_services_keep_what_streams_have_more_of(
    transport: NatsTransport,
    name: str,
    has: dict[str, Any],
    demands: dict[str, Any],
    kept: str,
    changed: str,
) -> None:
    """Nothing is taken away from a stream of another version, and what is missing is added."""
    await applied(transport, stream(name, **has))
    plan, _ = await plan_streams(transport, [stream(name, **demands)], keep_more=True)
    for said, expected in (plan.kept, kept), (plan.changes, changed):
        assert expected in "; ".join(map(str, said))
        assert bool(said) == bool(expected)


def test_more_replicas_are_kept() -> None:
    """An older version, which demands one replica, lets the others be."""
    one, three = (stream_config(stream("orders", replicas=each)) for each in (1, 3))
    assert _with_more(one, three).replicas == 3
    assert _with_more(three, one).replicas == 3


async def test_a_longer_duplicate_window_stays(transport: NatsTransport, name: str) -> None:
    """An operator's is not lost by an update, unless `max_age` is shorter."""
    jetstream = JetStream(transport)
    await applied(transport, stream(name, max_age=1000))
    config = (await jetstream.stream_info(name)).config
    assert config.duplicate_window == 120
    await jetstream.update_stream(replace(config, duplicate_window=600.0))
    await applied(transport, stream(name, max_age=900), force=True)
    assert (await jetstream.stream_info(name)).config.duplicate_window == 600
    await applied(transport, stream(name, max_age=60), force=True)
    assert (await jetstream.stream_info(name)).config.duplicate_window == 60
    await applied(transport, stream(name, max_age=900))
    assert (await jetstream.stream_info(name)).config.duplicate_window == 120


@pytest.mark.parametrize(
    "other", [{"no_ack": True}, {"subject_transform": {"src": ">", "dest": "elsewhere.>"}}]
)
async def test_settings_that_keep_events_out_are_found(
    transport: NatsTransport, name: str, other: dict[str, Any]
) -> None:
    """Without acknowledgements, or under other subjects, events do not get to consumers."""
    jetstream = JetStream(transport)
    await applied(transport, stream(name))
    config = (await jetstream.stream_info(name)).config
    await jetstream.update_stream(replace(config, other={**config.other, **other}))
    [setting] = other
    said, _ = await applied(transport, stream(name))
    assert f"{setting}: {'true' if setting == 'no_ack' else '{'}" in said


async def test_a_sealed_stream_is_found(transport: NatsTransport, name: str) -> None:
    """A plan shows it; the server does not unseal it."""
    jetstream = JetStream(transport)
    await applied(transport, stream(name))
    config = (await jetstream.stream_info(name)).config
    await jetstream.update_stream(replace(config, other={**config.other, "sealed": True}))
    plans = await plan_streams(transport, [stream(name)])
    assert "sealed: true -> none" in str(plans[0])
    with pytest.raises(JetStreamRefusedError):
        await apply_streams(transport, plans)


@pytest.mark.parametrize(
    ("settings", "danger"),
    [
        ({"max_age": 5}, "max_age: none -> 5 .may remove stored events"),
        ({"max_bytes": 5000}, "max_bytes: none -> 5000 .may remove stored events"),
        ({"max_messages": 1}, "max_messages: none -> 1 .may remove stored events"),
        ({"storage": "file"}, "storage: memory -> file .the stream is deleted, with all its"),
        ({"partitions": 5}, "partitions: 16 -> 5 .keys move to other partitions"),
    ],
)
async def test_dangerous_changes_need_force(
    transport: NatsTransport, name: str, settings: dict[str, Any], danger: str
) -> None:
    """Without force nothing is changed, and the error says what would be lost."""
    await applied(transport, stream(name))
    await JetStream(transport).publish(f"{name}.stream.0.order.placed", b"{}")
    changed = stream(name, **settings)
    plans = await plan_streams(transport, [changed])
    with pytest.raises(FailedPreconditionError, match=danger) as raised:
        await apply_streams(transport, plans)
    assert "--force" in raised.value.message
    assert [each.action for each in await plan_streams(transport, [stream(name)])] == ["none"] * 2
    await applied(transport, changed, force=True)


async def test_a_stream_of_others_is_not_taken(transport: NatsTransport, name: str) -> None:
    """A stream that was made for something else is changed by force alone."""
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig(name, (f"{name}.other.>",), storage="memory"))
    with pytest.raises(FailedPreconditionError, match="made for something else"):
        await applied(transport, stream(name))
    assert (await jetstream.stream_info(name)).config.subjects == (f"{name}.other.>",)
    await applied(transport, stream(name), force=True)


async def test_impossible_settings_are_refused(transport: NatsTransport) -> None:
    """A server alone has no replicas, and says so."""
    with pytest.raises(JetStreamRefusedError, match="replicas > 1 not supported"):
        await applied(transport, stream("replicated", replicas=3))
