"""One part of a trace, in a process of its own until SIGTERM.

Role `front` serves the probe, calls `inner` and publishes; `inner` serves a second contract;
`listener` subscribes to the event. Mode `all` has telemetry everywhere, `bare-client` not on the
client of the front, `bare-service` not on the service of the front.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import ClassVar, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from testkit.probe import CONTRACT, RUN, Happened, Outcome, Probe, ProbeClient, Run
from weenats import (
    Endpoint,
    NatsService,
    NatsServiceBuilder,
    ReceivedEvent,
    RequestContext,
    ServiceClient,
    ServiceContract,
    TelemetrySettings,
)

INNER: Final = replace(CONTRACT, name="inner")
INNER_RUN: Final = replace(RUN, contract=INNER)
ALWAYS: Final = {"commands": 1.0, "queries": 1.0, "events": 1.0}
TRACER: Final = trace.get_tracer("handlers")


class Inner(Probe):
    """Handlers that return the traceparent of the request."""

    contract: ClassVar[ServiceContract] = INNER

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the one operation."""
        return (Endpoint.command(INNER_RUN, self.run),)

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Work, within a span of its own."""
        with TRACER.start_as_current_span("inner work"):
            return Outcome(text=context.headers.get("traceparent", "none"))


class InnerClient(ServiceClient):
    """A client of the inner service."""

    contract: ClassVar[ServiceContract] = INNER


class Front(Probe):
    """Handlers that call the inner service and publish an event."""

    def __init__(self, inner: InnerClient, *, spans: bool) -> None:
        super().__init__()
        self.inner = inner
        self.spans = spans

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Work, within a span of its own if the service has telemetry."""
        if not self.spans:
            return await self._work(key, command)
        with TRACER.start_as_current_span("front work"):
            return await self._work(key, command)

    async def _work(self, key: str, command: Run) -> Outcome:
        outcome = await self.inner.execute(INNER_RUN, key, command)
        await self.publish_happened(key, Happened(whatText=outcome.text), revision=1)
        return outcome


async def listen(client: ProbeClient, is_up: Callable[[], None]) -> None:
    """Take the event until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def take(_: ReceivedEvent[Happened]) -> None:
        with TRACER.start_as_current_span("listener work"):
            pass

    async with client, await client.subscribe_happened(take):
        is_up()
        await stopped.wait()


async def serve(service: NatsService, is_up: Callable[[], None]) -> None:
    """Serve until SIGTERM."""
    async with service:
        is_up()
        await service.wait_until_stopped()


async def play(role: str, url: str, mode: str, is_up: Callable[[], None]) -> None:
    """Play a role."""
    settings = TelemetrySettings(sampling=ALWAYS)
    if role == "listener":
        await listen(ProbeClient.connect(url).with_telemetry(settings), is_up)
    elif role == "inner":
        service = NatsServiceBuilder(Inner(), url).with_telemetry(sampling=ALWAYS).build()
        await serve(service, is_up)
    else:
        async with InnerClient.connect(url) as bare:
            inner = bare if mode == "bare-client" else bare.with_telemetry(settings)
            builder = NatsServiceBuilder(Front(inner, spans=mode != "bare-service"), url)
            if mode != "bare-service":
                builder = builder.with_telemetry(sampling=ALWAYS)
            await serve(builder.build(), is_up)


def main(pipe: Connection, role: str, url: str, mode: str) -> None:
    """Play a role. Send "serving" once it is ready, and at the end the spans."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    asyncio.run(play(role, url, mode, lambda: pipe.send("serving")))
    pipe.send([json.loads(span.to_json()) for span in exporter.get_finished_spans()])
