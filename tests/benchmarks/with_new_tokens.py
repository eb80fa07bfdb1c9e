"""Contender "weenats, new tokens": no EdDSA token comes twice."""

from dataclasses import replace
from itertools import count
from typing import ClassVar, Final

import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder
from weenats.contract import ServiceContract

CONTRACT: Final = replace(typed.CONTRACT, name="bench-new-tokens")


class Orders(typed.Orders):
    """The service, under a name of its own."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = replace(typed.CREATE_ORDER, contract=CONTRACT)


class OrdersClient(typed.OrdersClient):
    """The client."""

    contract: ClassVar[ServiceContract] = CONTRACT
    operation: ClassVar = Orders.operation


async def serve(url: str) -> None:
    """Serve callers who prove who they are."""
    await typed.serving(NatsServiceBuilder(Orders(), servers=url).with_auth(with_auth.CONFIG))


async def connect(url: str) -> Call:
    """Call with a new token each time."""
    numbers = count()
    source = OrdersClient.connect(url, token=lambda: with_auth.new_token(next(numbers)))
    return await typed.calling(source)
