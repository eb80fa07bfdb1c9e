"""Contender "weenats, new tokens": no EdDSA token comes twice."""

from itertools import count

import typed
import with_auth
from harness import Call
from weenats import NatsServiceBuilder

Orders, OrdersClient = typed.under("bench-new-tokens")


async def serve(url: str) -> None:
    """Serve callers who prove who they are."""
    await typed.serving(NatsServiceBuilder(Orders(), servers=url).with_auth(with_auth.CONFIG))


async def connect(url: str) -> Call:
    """Call with a new token each time."""
    numbers = count()
    source = OrdersClient.connect(url, token=lambda: with_auth.new_token(next(numbers)))
    return await typed.calling(source)
