"""Export to a real OTLP receiver, and to one that is down."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from testkit.otlp_receiver import Receiver, otlp_receiver
from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run
from testkit.processes import python_environment
from testkit.telemetry import EVERYTHING, Recording, probe_token, probe_validator
from testkit.waiting import LIMIT, wait_for
from weenats import (
    ConnectionOptions,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    ReceivedEvent,
    RequestContext,
    TelemetrySettings,
    UnauthenticatedError,
)
from weenats.telemetry import otlp
from weenats.testing import MemoryTransport

INTERNAL = 1  # the kinds as OTLP numbers them
SERVER = 2
CLIENT = 3
PRODUCER = 4
CONSUMER = 5


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
    monkeypatch.setattr(otlp, "_EXPORT_TIMEOUT", 0.2)
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


@pytest.mark.parametrize(
    ("variables", "given", "expected"),
    [
        ({}, {}, ("probe", "1.2.3", "development")),
        ({"OTEL_SERVICE_NAME": "probe-eu"}, {}, ("probe-eu", "1.2.3", "development")),
        ({"OTEL_SERVICE_NAME": ""}, {}, ("probe", "1.2.3", "development")),
        (
            {
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=eu,service.version=9,k8s.pod.name=p-1,"
                "deployment.environment.name=pro%20duction,service.instance.id=i-1"
            },
            {},
            ("eu", "9", "pro duction"),
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod,service.name="},
            {},
            ("probe", "1.2.3", "prod"),
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod"},
            {"environment": "staging"},
            ("probe", "1.2.3", "staging"),
        ),
    ],
)
async def test_variables_of_the_operator_win_over_defaults(
    nats_url: str,
    receiver: Receiver,
    handlers: Probe,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    given: dict[str, str],
    expected: tuple[str, str, str],
) -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win, except over what the program sets."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    level = {"attributes": "full"}
    async with exporting(nats_url, receiver.url, handlers, **level, **given) as (service, client):
        await client.run("k", Run(action="go"))
        instance_id = service.instance_id
    ((resource, span),) = receiver.resources_and_spans
    environment = "deployment.environment.name"
    named = (resource["service.name"], resource["service.version"], resource[environment])
    assert named == expected
    (of_span,) = [each.value.string_value for each in span.attributes if each.key == environment]
    assert of_span == expected[2]
    listed = "k8s.pod.name" in variables.get("OTEL_RESOURCE_ATTRIBUTES", "")
    assert resource.get("k8s.pod.name") == ("p-1" if listed else None)
    assert resource["service.instance.id"] == ("i-1" if listed else instance_id)


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


def spans_of(receiver: Receiver, kind: int) -> list[tuple[str, Any]]:
    """Return the spans of a kind, each with the name of the service that exported it."""
    return [
        (resource["service.name"], span)
        for resource, span in receiver.resources_and_spans
        if span.kind == kind
    ]


async def test_client_of_a_handler_is_exported(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """Calls, spans and metrics of a client that a handler uses are exported with its service."""
    async with ProbeClient.connect(nats_url) as bare:
        client = bare.with_telemetry(TelemetrySettings(sampling=EVERYTHING))

        async def call(key: str, command: Run, context: RequestContext) -> Outcome:
            with client.telemetry.with_span("own"):
                await client.run("nested", Run(action="go"))
            await client.list_instances()
            return Outcome(text=key)

        handlers.actions["call"] = call
        async with exporting(nats_url, receiver.url, handlers) as (_, outer):
            await outer.run("k", Run(action="call"))
    calls = {span.name: span for _, span in spans_of(receiver, CLIENT)}
    assert set(calls) == {"probe/run", "probe/$PING"}
    (own,) = [span for _, span in spans_of(receiver, INTERNAL)]
    inner, served = sorted(
        (span for _, span in spans_of(receiver, SERVER)),
        key=lambda span: span.start_time_unix_nano,
        reverse=True,
    )
    assert inner.parent_span_id == calls["probe/run"].span_id
    assert calls["probe/run"].parent_span_id == own.span_id
    assert own.parent_span_id == calls["probe/$PING"].parent_span_id == served.span_id
    assert {each["service.name"] for each, _ in receiver.resources_and_spans} == {"probe"}
    assert "rpc.client.call.duration" in receiver.metric_names


@pytest.mark.parametrize("where", ["program", "handler"])
async def test_subscription_is_exported(
    nats_url: str, receiver: Receiver, handlers: Probe, where: str
) -> None:
    """Events are exported with the service, and so are the calls of their handler."""
    arrived = asyncio.Event()
    subscriptions = []
    async with ProbeClient.connect(nats_url) as bare:
        client = bare.with_telemetry(TelemetrySettings(sampling=EVERYTHING))

        async def take(event: ReceivedEvent[Happened]) -> None:
            await client.get(event.key)
            arrived.set()

        async def subscribe(key: str, command: Run, context: RequestContext) -> Outcome:
            subscriptions.append(await client.subscribe_happened(take))
            return Outcome(text=key)

        async def publish(key: str, command: Run, context: RequestContext) -> Outcome:
            await handlers.publish_happened(key, Happened(whatText="x"), revision=1)
            return Outcome(text=key)

        handlers.actions |= {"subscribe": subscribe, "publish": publish}
        async with exporting(nats_url, receiver.url, handlers) as (_, outer):
            if where == "program":
                subscriptions.append(await client.subscribe_happened(take))
            else:
                await outer.run("k", Run(action="subscribe"))
            await outer.run("k", Run(action="publish"))
            await arrived.wait()
            await subscriptions[0].unsubscribe()
    ((_, produced),) = spans_of(receiver, PRODUCER)
    ((service, consumed),) = spans_of(receiver, CONSUMER)
    ((_, called),) = spans_of(receiver, CLIENT)
    assert service == "probe"
    assert consumed.parent_span_id == produced.span_id
    assert called.parent_span_id == consumed.span_id
    assert {"messaging.client.consumed.messages", "messaging.process.duration"} <= (
        receiver.metric_names
    )


async def test_client_is_exported_by_no_other_service(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """Calls in the handlers of a service without exporter are not exported by another one."""
    other, entered = Probe(), asyncio.Event()
    async with ProbeClient.connect(nats_url) as bare:
        client = bare.with_telemetry(TelemetrySettings(sampling=EVERYTHING))

        async def call(key: str, command: Run, context: RequestContext) -> Outcome:
            await client.get(key)
            entered.set()
            return Outcome(text=key)

        other.actions["call"] = call
        other_transport = MemoryTransport()
        async with (
            exporting(nats_url, receiver.url, handlers),
            NatsServiceBuilder(other, transport=other_transport).build(),
            ProbeClient(other_transport) as caller,
        ):
            await caller.run("k", Run(action="call"))
            assert entered.is_set()
    assert not spans_of(receiver, CLIENT)
    assert len(spans_of(receiver, SERVER)) == 1


async def test_client_of_the_program_keeps_the_application_providers(
    nats_url: str, receiver: Receiver, handlers: Probe, observed: Recording
) -> None:
    """Outside of handlers the providers of the application come first, within them the exporter."""
    async with ProbeClient.connect(nats_url) as bare:
        client = bare.with_telemetry(TelemetrySettings(sampling=EVERYTHING))

        async def call(key: str, command: Run, context: RequestContext) -> Outcome:
            await client.get("inner")
            return Outcome(text=key)

        handlers.actions["call"] = call
        async with exporting(nats_url, receiver.url, handlers):
            await client.run("k", Run(action="call"))
    assert observed.one(SpanKind.CLIENT).name == "probe/run"
    ((_, nested),) = spans_of(receiver, CLIENT)
    assert nested.name == "probe/thing.get"
    assert "rpc.client.call.duration" in receiver.metric_names
    assert len(observed.points("rpc.client.call.duration")) == 1


async def test_stopped_service_exports_for_no_client(
    nats_url: str, receiver: Receiver, handlers: Probe
) -> None:
    """After the stop, tasks that its handlers began record nothing and log nothing."""
    later, tasks = asyncio.Event(), []
    async with ProbeClient.connect(nats_url) as bare:
        client = bare.with_telemetry(TelemetrySettings(sampling=EVERYTHING))

        async def linger() -> None:
            await later.wait()
            with client.telemetry.with_span("late"):
                pass

        async def start(key: str, command: Run, context: RequestContext) -> Outcome:
            tasks.append(asyncio.create_task(linger()))
            return Outcome(text=key)

        handlers.actions["start"] = start
        async with exporting(nats_url, receiver.url, handlers) as (_, outer):
            await outer.run("k", Run(action="start"))
        later.set()
        await asyncio.gather(*tasks)
    assert [span.name for span in receiver.spans] == ["probe/run"]


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "some"),
    ],
)
async def test_invalid_variable_of_the_sdk_is_named(
    receiver: Receiver, handlers: Probe, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A variable that the SDK does not accept fails the start with a typed error."""
    monkeypatch.setenv(name, value)
    builder = NatsServiceBuilder(handlers, transport=MemoryTransport())
    with pytest.raises(InvalidArgumentError, match="does not accept an environment variable"):
        await builder.with_telemetry(exporter_url=receiver.url).build().start()


@pytest.mark.parametrize("kind", ["TRACER", "METER"])
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1"])
async def test_unknown_provider_of_the_environment(
    handlers: Probe, monkeypatch: pytest.MonkeyPatch, kind: str, url: str | None
) -> None:
    """A provider that is not installed fails the start, whether the service exports or not."""
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", None)
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", None)
    monkeypatch.setenv(f"OTEL_PYTHON_{kind}_PROVIDER", "unknown")
    builder = NatsServiceBuilder(handlers, transport=MemoryTransport())
    with pytest.raises(InvalidArgumentError) as raised:
        await builder.with_telemetry(exporter_url=url).build().start()
    assert raised.value.message == (
        f"OTEL_PYTHON_{kind}_PROVIDER names the provider 'unknown' of OpenTelemetry, which is not"
        " installed; unset it, or use another one"
    )


@pytest.mark.parametrize("part", ["", "TRACES_", "METRICS_"])
@pytest.mark.parametrize(
    "headers",
    [
        *("authorization: Bearer s3cret", "api-key=k,s3cret", "a b=s3cret", "a=s3cret;b"),
        *("a=s3crét", "a=s3cret%0A0", "b=,a=s3cret%0d0"),
    ],
)
async def test_malformed_headers_of_the_exporter_are_not_shown(
    receiver: Receiver,
    handlers: Probe,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: str,
    headers: str,
) -> None:
    """Headers that the SDK cannot send fail the start; nothing shows their values."""
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{part}HEADERS", headers)
    builder = NatsServiceBuilder(handlers, transport=MemoryTransport())
    with pytest.raises(InvalidArgumentError, match=f"OTLP_{part}HEADERS (is|has) ") as error:
        await builder.with_telemetry(exporter_url=receiver.url).build().start()
    assert "s3cr" not in f"{error.value!r} {caplog.text}"


@pytest.mark.parametrize(
    "headers",
    [
        *("", " a=b ,, c = d=e ,", "authorization=Bearer%20s3cret", "authorization=Bearer s3cret"),
        "api-key=s3cret%0A",
    ],
)
async def test_headers_of_the_exporter(
    nats_url: str,
    receiver: Receiver,
    handlers: Probe,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    headers: str,
) -> None:
    """What the SDK accepts is accepted, encoded or not."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    async with exporting(nats_url, receiver.url, handlers) as (_, client):
        await client.run("k", Run(action="go"))
    assert len(receiver.spans) == 1
    assert "s3cret" not in caplog.text


@pytest.mark.slow
def test_invalid_variable_that_the_sdk_reads_when_it_is_imported() -> None:
    """The start fails with the same error when the import of the SDK fails."""
    code = """
import asyncio
from testkit.probe import Probe
from weenats import InvalidArgumentError, NatsServiceBuilder
from weenats.testing import MemoryTransport

async def start():
    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    await builder.with_telemetry(exporter_url="http://127.0.0.1:1").build().start()

try:
    asyncio.run(start())
except InvalidArgumentError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=python_environment(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="-1"),
    )
    assert "does not accept an environment variable OTEL_*" in done.stdout
