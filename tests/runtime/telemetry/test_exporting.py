"""Export to a real OTLP receiver, and to one that is down."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry import trace

from testkit.otlp_receiver import Receiver, otlp_receiver
from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from testkit.telemetry import EVERYTHING, probe_token, probe_validator
from testkit.waiting import LIMIT, wait_for
from weenats import (
    ConnectionOptions,
    InternalError,
    NatsServiceBuilder,
    RequestContext,
    UnauthenticatedError,
)
from weenats.telemetry import otlp

SERVER = 2  # the kinds as OTLP numbers them
PRODUCER = 4


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers."""
    with otlp_receiver() as running:
        yield running


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The URL of a port without a listener."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def impatient_exporters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exporters that give up soon; their threads have ended when the test has."""
    monkeypatch.setattr(otlp, "_EXPORT_TIMEOUT", 1)
    monkeypatch.setattr(otlp, "_SHUT_DOWN_TIMEOUT", 0.2)
    before = set(threading.enumerate())
    yield
    wait_for(lambda: not [each for each in threading.enumerate() if each not in before])


@asynccontextmanager
async def exporting(nats_url: str, url: str, handlers: Probe, **telemetry: Any) -> Any:
    """Run a service with an exporter; yield it and a client without telemetry."""
    builder = NatsServiceBuilder(handlers, nats_url).with_auth(
        validator=probe_validator(), required=False
    )
    settings = {"sampling": EVERYTHING, "exporter_url": url, **telemetry}
    service = builder.with_telemetry(**settings).build()
    async with service, ProbeClient.connect(nats_url) as client:
        yield service, client


async def test_stop_exports_pending_telemetry(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """Spans and metrics arrive with a resource that names service, version and instance."""

    async def publish(key: str, command: Run, context: RequestContext) -> Outcome:
        await handlers.publish_happened(key, Happened(whatText="x"), revision=1)
        return Outcome(text=key)

    handlers.actions["publish"] = publish
    url = f"{receiver.url}/base/"
    async with exporting(nats_url, url, handlers, environment="staging") as (service, client):
        for _ in range(20):
            await client.run("k", Run(action="publish"), token=probe_token())
        instance_id = service.instance_id
    kinds = [span.kind for span in receiver.spans]
    assert (kinds.count(SERVER), kinds.count(PRODUCER)) == (20, 20)
    servers = {span.span_id for span in receiver.spans if span.kind == SERVER}
    assert {span.parent_span_id for span in receiver.spans if span.kind == PRODUCER} == servers
    for resource, span in receiver.resources_and_spans:
        assert resource["service.name"] == "probe"
        assert resource["service.version"] == "1.2.3"
        assert resource["service.instance.id"] == instance_id
        assert resource["deployment.environment.name"] == "staging"
        assert span.name in {"probe/run", "publish probe.events.thing.happened"}
    assert {"rpc.server.call.duration", "messaging.client.sent.messages"} <= receiver.metric_names


async def test_services_use_their_own_providers(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """Two services export separately, and the global provider is unchanged."""
    before = type(trace.get_tracer_provider())
    async with (
        exporting(nats_url, receiver.url, handlers) as (one, client),
        exporting(nats_url, receiver.url, Probe()) as (two, _),
    ):
        for _ in range(40):
            await client.run("k", Run(action="go"))
        assert type(trace.get_tracer_provider()) is before
    instances = [resource["service.instance.id"] for resource, _ in receiver.resources_and_spans]
    assert set(instances) == {one.instance_id, two.instance_id}
    assert len(instances) == 40


async def test_exported_data_contains_no_secrets(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """Tokens, claims, keys, payloads, results and errors are never exported."""

    async def crash(*_: Any) -> Outcome:
        raise ValueError("hunter2")

    handlers.actions["hunter2 crash"] = crash
    token = probe_token("ada-lovelace", password="hunter2", scope="hunter2")
    level = {"attributes": "full", "principal": "hashed"}
    async with exporting(nats_url, receiver.url, handlers, **level) as (_, client):
        await client.run("hunter2", Run(action="hunter2"), token=token)
        with pytest.raises(InternalError):
            await client.run("k", Run(action="hunter2 crash"), token=token)
        with pytest.raises(UnauthenticatedError):
            await client.run("k", Run(action="hunter2"), token="hunter2.a.b")
    assert len(receiver.spans) == 3
    exported = b"".join(receiver.bodies)
    assert b"probe/run" in exported
    for secret in (b"hunter2", b"ada-lovelace", token.encode(), *token.encode().split(b".")):
        assert secret not in exported


@contextmanager
def assert_no_threads_left() -> Iterator[None]:
    """Check that no exporter thread is left."""
    before = set(threading.enumerate())
    yield
    left = [each for each in set(threading.enumerate()) - before if "Otel" in each.name]
    assert not left


async def test_unstarted_service_exports_nothing(receiver: Receiver, handlers: Probe) -> None:
    """Building a service starts no thread and sends nothing."""
    with assert_no_threads_left():
        service = NatsServiceBuilder(handlers).with_telemetry(exporter_url=receiver.url).build()
        del service
        gc.collect()
    assert not receiver.bodies


async def test_failed_start_stops_the_exporters(
    receiver: Receiver, handlers: Probe, closed_port: str
) -> None:
    """No exporter thread is left after a failed start."""
    servers = closed_port.replace("http", "nats")
    options = ConnectionOptions(connect_timeout=0.2)
    builder = NatsServiceBuilder(handlers, servers, connection=options)
    builder = builder.with_telemetry(exporter_url=receiver.url)
    with assert_no_threads_left(), pytest.raises(Exception, match="NATS"):
        await builder.build().start()


@pytest.mark.usefixtures("impatient_exporters")
@pytest.mark.parametrize("how", ["refuses", "does not answer"])
async def test_unavailable_receiver_does_not_block_the_service(
    nats_url: str, receiver: Receiver, closed_port: str, handlers: Probe, how: str
) -> None:
    """Calls succeed, the queue is bounded, and the stop ends in bounded time."""
    url = closed_port if how == "refuses" else receiver.url
    receiver.answers.clear()
    async with exporting(nats_url, url, handlers) as (service, client):
        for _ in range(6):
            answers = await asyncio.gather(
                *(client.run("k", Run(action="go"), timeout=30) for _ in range(100))
            )
            assert len(answers) == 100
        tracer: Any = service._assembly.telemetry._tracers
        (processor,) = tracer._active_span_processor._span_processors
        queue = processor._batch_processor._queue
        assert queue.maxlen is not None
        assert queue.maxlen <= 2048
        async with asyncio.timeout(LIMIT):
            await service.stop()
