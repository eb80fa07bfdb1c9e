"""Serve, call and subscribe with telemetry in a process without the OpenTelemetry SDK: `URL`."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic
from typing import Final


class Missing:
    """An import finder that hides the SDK."""

    def find_spec(self, name: str, *_: object) -> None:
        """Raise ModuleNotFoundError for the SDK."""
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Missing())

from opentelemetry import context as otel  # noqa: E402 - without the SDK from here on
from opentelemetry import trace  # noqa: E402 - same

from testkit.probe import Happened, Outcome, Probe, ProbeClient, Run  # noqa: E402 - same
from weenats import NatsServiceBuilder, ReceivedEvent, RequestContext  # noqa: E402 - same
from weenats.telemetry.manager import SILENT  # noqa: E402 - same

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUEST: Final = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"nested"}}'
ALL: Final = {"commands": 1.0, "queries": 1.0, "events": 1.0}


class Nesting(Probe):
    """Handlers that call and publish within a request."""

    client: ProbeClient

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Check that no span was created, call and publish."""
        assert context.otel_context is None
        assert context.span is None
        assert not otel.get_current()
        context.add_event("nothing comes of it")
        await self.client.get(key)
        await self.publish_happened(key, Happened(whatText="x"), revision=1)
        return Outcome(text=key)


async def main(url: str) -> None:
    """Check that everything works, and that the trace of a request goes on."""
    handlers = Nesting()
    taken: list[str | None] = []

    async def take(event: ReceivedEvent[Happened]) -> None:
        taken.append(event.headers.get("traceparent"))

    builder = NatsServiceBuilder(handlers, url).with_telemetry(sampling=ALL)
    async with builder.build(), ProbeClient.connect(url) as plain:
        client = handlers.client = plain.with_telemetry()
        assert client.telemetry is not SILENT
        assert not client.telemetry.traces
        async with await client.subscribe_happened(take):
            await client.run("k", Run(action="nested"))
            headers = f"traceparent: {TRACE}\r\n".encode()
            subject, deadline = "probe.command.thing.run", monotonic() + 5
            await client.transport.request(subject, REQUEST, headers, deadline)
        await client.get_service_info()
    assert taken == [None, TRACE]
    assert [each.headers.get("traceparent") for each in handlers.seen] == [None, TRACE]
    assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
    assert type(trace.get_tracer_provider()) is trace.ProxyTracerProvider


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
