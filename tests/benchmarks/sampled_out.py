"""Contender "weenats, everything on, sampled out": no trace that begins here is recorded."""

from dataclasses import replace
from typing import ClassVar, Final

import recorded
import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder
from weenats.contract import ServiceContract
from weenats.telemetry import TelemetrySettings

CONTRACT: Final = replace(typed.CONTRACT, name="bench-sampled-out")


class Orders(typed.Orders):
    """The service, under a name of its own."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = replace(typed.CREATE_ORDER, contract=CONTRACT)


class OrdersClient(typed.OrdersClient):
    """The client."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = Orders.operation


async def serve(url: str) -> None:
    """Serve with everything on."""
    recorded.record()
    builder = NatsServiceBuilder(Orders(), servers=url).with_telemetry().with_auth(with_auth.CONFIG)
    await typed.serving(builder)


async def connect(url: str) -> Call:
    """Call with everything on."""
    recorded.record()
    client = OrdersClient.connect(url, token=with_auth.new_token())
    return await typed.calling(client.with_telemetry(TelemetrySettings(sampling={"commands": 0})))
