"""Clients in handlers record their calls as their service does."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import SpanKind

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.probe import Outcome, Probe, ProbeClient, Run, echo
from testkit.telemetry import EVERYTHING, Recording
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport


class Relay(Probe):
    """A service whose command queries receipts."""

    def __init__(self) -> None:
        super().__init__(ask=self.ask)
        self.receipts = ReceiptsClient.sharing(self)

    async def ask(self, key: str, command: Run, context: Any) -> Outcome:
        """Add an item, and ask for the instances."""
        await self.receipts.add_item(key, AddItem(name="Tea", price=0.1, quantity=3))
        await self.receipts.list_instances()
        return await echo(key, command, context)


async def test_nested_call_is_in_the_trace_of_its_service(observed: Recording) -> None:
    """With telemetry of the service a nested call has a CLIENT span below the SERVER span."""
    transport = MemoryTransport()
    builder = NatsServiceBuilder(relay := Relay(), transport=transport)
    async with NatsServiceBuilder(Receipts(), transport=transport).build():
        async with builder.build(), ProbeClient(transport) as client:
            await client.run("r-1", Run(action="ask"))
        assert observed.of(SpanKind.CLIENT) == []
        async with (
            builder.with_telemetry(sampling=EVERYTHING).build(),
            ProbeClient(transport) as client,
        ):
            for _ in range(2):
                await client.run("r-1", Run(action="ask"))
            assert relay.receipts.telemetry is relay.telemetry
    calls, served = observed.of(SpanKind.CLIENT), observed.of(SpanKind.SERVER)
    assert [span.name for span in calls] == ["receipts/add-item", "receipts/$PING"] * 2
    assert [span.parent.span_id for span in calls if span.parent] == [
        span.context.span_id for span in served if span.context for _ in range(2)
    ]
