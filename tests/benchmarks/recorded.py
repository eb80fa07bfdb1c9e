"""Contender "weenats, everything on, spans recorded"."""

from dataclasses import replace
from typing import ClassVar, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder
from weenats.contract import ServiceContract

CONTRACT: Final = replace(typed.CONTRACT, name="bench-recorded")


class Nowhere(SpanExporter):
    """Takes spans and does nothing with them: exporting is the same for all."""

    def export(self, spans: object) -> SpanExportResult:
        """Take them."""
        return SpanExportResult.SUCCESS


class Orders(typed.Orders):
    """The service, under a name of its own."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = replace(typed.CREATE_ORDER, contract=CONTRACT)


class OrdersClient(typed.OrdersClient):
    """The client."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = Orders.operation


def record() -> None:
    """Have the SDK record every span."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)


async def serve(url: str) -> None:
    """Serve with everything on."""
    record()
    builder = NatsServiceBuilder(Orders(), servers=url).with_telemetry().with_auth(with_auth.CONFIG)
    await typed.serving(builder)


async def connect(url: str) -> Call:
    """Call with everything on."""
    record()
    client = OrdersClient.connect(url, token=with_auth.new_token())
    return await typed.calling(client.with_telemetry())
