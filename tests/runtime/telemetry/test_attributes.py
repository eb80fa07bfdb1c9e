"""Span attributes by level and by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from opentelemetry.trace import SpanKind

from testkit.probe import Happened, Outcome, Probe, Run
from testkit.telemetry import Recording, calling, probe_token, probe_validator, serving
from weenats import ReceivedEvent

LEVELS: Final = ("minimal", "standard", "full")
RPC: Final = "client server"
EVENTS: Final = "producer consumer"
ALL: Final = f"{RPC} {EVENTS}"
RUN: Final = "probe.command.thing.run"
HAPPENED: Final = "probe.events.thing.happened"

# Attribute, its value (in {braces}: of the message at hand), the level from which on it is there,
# the sides that have it.
TABLE: Final = [
    ("rpc.system.name", "nats", "minimal", RPC),
    ("rpc.method", "probe/run", "minimal", RPC),
    ("rpc.response.status_code", "OK", "minimal", RPC),
    ("server.address", "{host}", "minimal", "client"),
    ("server.port", "{port}", "minimal", "client"),
    ("messaging.system", "nats", "standard", RPC),
    ("messaging.system", "nats", "minimal", EVENTS),
    ("messaging.operation.name", "request", "standard", "client"),
    ("messaging.operation.type", "send", "standard", "client"),
    ("messaging.operation.name", "process", "standard", "server"),
    ("messaging.operation.type", "process", "standard", "server"),
    ("messaging.operation.name", "publish", "minimal", "producer"),
    ("messaging.operation.type", "send", "minimal", "producer"),
    ("messaging.operation.name", "process", "minimal", "consumer"),
    ("messaging.operation.type", "process", "minimal", "consumer"),
    ("messaging.destination.name", RUN, "standard", RPC),
    ("messaging.destination.name", HAPPENED, "minimal", EVENTS),
    ("messaging.consumer.group.name", "workers", "standard", "server"),
    ("messaging.consumer.group.name", "listeners", "standard", "consumer"),
    ("messaging.message.id", "{message_id}", "standard", ALL),
    ("messaging.message.conversation_id", "{correlation_id}", "standard", ALL),
    ("messaging.message.body.size", "{size}", "full", "server producer"),
    ("messaging.message_id", "{message_id}", "full", ALL),
    ("messaging.correlation_id", "{correlation_id}", "full", ALL),
    ("messaging.causation_id", "{causation_id}", "full", ALL),
    ("messaging.nats.subject", RUN, "full", RPC),
    ("messaging.nats.subject", HAPPENED, "full", EVENTS),
    ("messaging.nats.queue_group", "workers", "full", "server"),
    ("deployment.environment.name", "tests", "full", ALL),
    ("nats.feature.auth.status", "enabled", "standard", "server"),
    ("auth.message.method", "jwt", "standard", "server"),
    ("auth.message.status", "success", "standard", "server"),
    ("auth.message.principal_id", "ada", "standard", "server"),
]


def expected(side: str, level: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that the table lists."""
    return {
        name: facts[value[1:-1]] if value.startswith("{") else value
        for name, value, lowest, sides in TABLE
        if side in sides.split() and LEVELS.index(level) >= LEVELS.index(lowest)
    }


@pytest.mark.parametrize("level", LEVELS)
async def test_call_spans_have_the_attributes_of_their_level(
    nats_url: str, observed: Recording, handlers: Probe, level: str
) -> None:
    """Client and server spans have exactly the attributes of the table."""
    settings = {"attributes": level, "environment": "tests"}
    async with (
        serving(nats_url, handlers, auth=probe_validator(), **settings),
        calling(nats_url, **settings) as client,
    ):
        await client.run(
            "secret-key", Run(action="go"), token=probe_token(), causation_id="cause-1"
        )
    (seen,) = handlers.seen
    facts = {
        "message_id": seen.message_id,
        "correlation_id": seen.correlation_id,
        "causation_id": "cause-1",
        "size": seen.size,
        "host": urlsplit(nats_url).hostname,
        "port": urlsplit(nats_url).port,
    }
    assert seen.size > 100
    for kind in (SpanKind.CLIENT, SpanKind.SERVER):
        span = observed.one(kind)
        assert dict(span.attributes or {}) == expected(kind.name.lower(), level, facts)
        assert span.name == "probe/run"


@pytest.mark.parametrize("level", LEVELS)
async def test_event_spans_have_the_attributes_of_their_level(
    nats_url: str, observed: Recording, handlers: Probe, level: str
) -> None:
    """Producer and consumer spans have exactly the attributes of the table."""
    settings = {"attributes": level, "environment": "tests"}
    arrived: asyncio.Queue[ReceivedEvent[Happened]] = asyncio.Queue()
    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def publishing(key: str, command: Run, context: Any) -> Any:
        await handlers.publish_happened("secret-key", Happened(whatText="x"), revision=1)
        return Outcome(text=key)

    handlers.actions["publish"] = publishing
    async with serving(nats_url, handlers, **settings), calling(nats_url, **settings) as client:
        client.transport.subscribe(HAPPENED, lambda got: bodies.put_nowait(got.payload))
        async with await client.subscribe_happened(arrived.put, queue_group="listeners"):
            await client.run("k", Run(action="publish"))
            event = await arrived.get()
        size = len(await bodies.get())
    facts = {
        "message_id": event.message_id,
        "correlation_id": event.correlation_id,
        "causation_id": handlers.seen[0].message_id,
        "size": size,
    }
    producer, consumer = observed.one(SpanKind.PRODUCER), observed.one(SpanKind.CONSUMER)
    assert dict(producer.attributes or {}) == expected("producer", level, facts)
    assert dict(consumer.attributes or {}) == expected("consumer", level, facts)
    assert (producer.name, consumer.name) == (f"publish {HAPPENED}", f"process {HAPPENED}")


async def test_attributes_of_unused_features_are_absent(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Without authentication, causation and queue group their attributes are absent."""
    async with (
        serving(nats_url, handlers, attributes="full"),
        calling(nats_url, attributes="full") as client,
        await client.subscribe_happened(_ignore),
    ):
        await client.run("k", Run(action="go"), token="some.jwt.text")
        await client.publish_happened("k", Happened(whatText="x"), revision=1)
    for span in observed.spans:
        attributes = span.attributes or {}
        assert not [name for name in attributes if name.startswith("auth.")]
        assert "messaging.causation_id" not in attributes
        assert "error.type" not in attributes
    server = observed.one(SpanKind.SERVER).attributes or {}
    assert server["nats.feature.auth.status"] == "disabled"
    assert "messaging.consumer.group.name" not in (observed.one(SpanKind.CONSUMER).attributes or {})


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("plain", "ada"),
        ("hashed", "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029"),
        ("none", None),
    ],
)
async def test_principal_attribute_follows_settings(
    nats_url: str, observed: Recording, handlers: Probe, mode: str, shown: str | None
) -> None:
    """The principal is plain text, a SHA-256 digest, or absent."""
    async with (
        serving(nats_url, handlers, auth=probe_validator(), principal=mode),
        calling(nats_url) as client,
    ):
        await client.run("k", Run(action="go"), token=probe_token())
    attributes = observed.one(SpanKind.SERVER).attributes or {}
    assert attributes["auth.message.status"] == "success"
    assert attributes.get("auth.message.principal_id") == shown
    assert mode == "plain" or '"ada"' not in observed.text()


@pytest.mark.parametrize("level", LEVELS)
async def test_span_names_come_from_the_contract(
    nats_url: str, observed: Recording, handlers: Probe, level: str
) -> None:
    """Keys, callers, inboxes and tokens never appear in names or attributes."""
    async with (
        serving(nats_url, handlers, auth=probe_validator(), attributes=level),
        calling(nats_url, attributes=level) as client,
        await client.subscribe_happened(_ignore),
    ):
        for number in range(10):
            key, text = f"key-of-{number}", probe_token(f"caller-{number}")
            await client.run(key, Run(action="go"), token=text)
            await client.get(key, token=text)
            await client.publish_happened(key, Happened(whatText="x"), revision=1)
    assert {span.name for span in observed.spans} == {
        *("probe/run", "probe/thing.get", f"publish {HAPPENED}", f"process {HAPPENED}"),
    }
    assert len(observed.spans) == 60
    told = observed.text()
    assert "_INBOX" not in told
    assert "key-of-" not in told
    assert "eyJ" not in told


async def _ignore(_: ReceivedEvent[Happened]) -> None:
    """Ignore an event."""
