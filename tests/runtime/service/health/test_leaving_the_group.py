"""Self-ejection: an unhealthy instance leaves its queue group and rejoins it."""

from __future__ import annotations

import asyncio

import pytest

from testkit.probe import Probe, ProbeClient, Run
from testkit.waiting import until
from weenats import NatsServiceBuilder
from weenats.errors import NoRespondersError
from weenats.testing import MemoryTransport

GO = Run(action="go")


async def test_unhealthy_instance_leaves_the_queue_group() -> None:
    """While a check fails calls have no responders, but `$SRV` and health still answer."""
    transport, well = MemoryTransport(), [True]
    looked = asyncio.Event()

    async def store() -> bool:
        looked.set()
        return well[0]

    service = (
        NatsServiceBuilder(Probe(), transport=transport)
        .with_queue_group("probe", self_eject=True)
        .with_health(interval=0.02, custom_checks=[{"name": "store", "check": store}])
        .build()
    )

    async def serves() -> bool:
        try:
            await ProbeClient(transport).run("k", GO)
        except NoRespondersError:
            return False
        return True

    async with service:
        client = ProbeClient(transport)
        assert await serves()
        well[0] = False
        await until(lambda: not service.is_member)
        assert not await serves()
        assert (await client.check_health()).status == "error"
        assert (await client.get_service_info()).id == service.instance_id
        well[0] = True
        await until(lambda: service.is_member)
        assert await serves()
        assert (await client.check_health()).status == "ok"


async def test_unhealthy_instance_does_not_join_at_start() -> None:
    """A service that starts unhealthy takes no requests until it is healthy."""
    transport, well = MemoryTransport(), [False]
    service = (
        NatsServiceBuilder(Probe(), transport=transport)
        .with_queue_group("probe", self_eject=True)
        .with_health(interval=0.02, custom_checks=[{"name": "store", "check": lambda: well[0]}])
        .build()
    )
    async with service:
        await until(lambda: not service.is_member)
        well[0] = True
        await until(lambda: service.is_member)
        await ProbeClient(transport).run("k", GO)


def test_self_eject_requires_a_breaker_or_health_checks() -> None:
    """build() with self_eject names what to add."""
    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    with pytest.raises(ValueError, match=r"with_circuit_breaker\(...\) or with_health"):
        builder.with_queue_group("probe", self_eject=True).build()
