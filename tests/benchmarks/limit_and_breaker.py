"""Contender "weenats, limit and breaker": every request passes both, none is refused."""

from dataclasses import replace
from typing import ClassVar, Final

import typed
from harness import Call
from weenats import NatsServiceBuilder
from weenats.contract import ServiceContract

CONTRACT: Final = replace(typed.CONTRACT, name="bench-limit-and-breaker")


class Orders(typed.Orders):
    """The service, under a name of its own."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = replace(typed.CREATE_ORDER, contract=CONTRACT)


class OrdersClient(typed.OrdersClient):
    """The client."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = Orders.operation


async def serve(url: str) -> None:
    """Serve behind a limit that is never reached and a breaker that never opens."""
    builder = NatsServiceBuilder(Orders(), servers=url)
    await typed.serving(builder.with_rate_limit(1_000_000).with_circuit_breaker())


async def connect(url: str) -> Call:
    """Call as ever."""
    return await typed.calling(OrdersClient.connect(url))
