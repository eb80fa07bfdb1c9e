"""A service whose handler takes two milliseconds of CPU, for `weenats run busy:builder`."""

import os
from time import process_time
from typing import Final

from typing_extensions import override

import typed
from weenats import NatsServiceBuilder, RequestContext

_WORK: Final = 0.002
Orders, OrdersClient = typed.under(os.environ.get("BENCH_SERVICE", "bench-busy"))


class Busy(typed.Orders):
    """Orders that cost CPU."""

    contract = Orders.contract
    operation = Orders.operation

    @override
    async def create_order(
        self, key: str, command: typed.CreateOrder, context: RequestContext
    ) -> typed.Confirmation:
        end = process_time() + _WORK
        while process_time() < end:
            pass
        return await super().create_order(key, command, context)


def builder() -> NatsServiceBuilder:
    """Return the builder."""
    return NatsServiceBuilder(Busy()).with_queue_group("bench", max_concurrency=256)
