"""An instance with `self_eject` leaves its queue group while a health check fails."""

from __future__ import annotations

import asyncio

import pytest

from testkit.probe import Probe, ProbeClient, Run
from testkit.waiting import until
from weenats import NatsServiceBuilder
from weenats.errors import NoRespondersError
from weenats.testing import MemoryTransport

GO = Run(action="go")


async def test_a_failing_check_keeps_new_work_away() -> None:
    """While a check fails, calls find no responders; discovery and health still respond."""
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


async def test_it_does_not_begin_with_work_while_a_check_fails() -> None:
    """A service that starts with a failing check joins its queue group once it is ok."""
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


def test_leaving_needs_something_to_go_by() -> None:
    """`self_eject` requires a circuit breaker or health checks."""
    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    with pytest.raises(ValueError, match=r"with_circuit_breaker\(...\) or with_health"):
        builder.with_queue_group("probe", self_eject=True).build()
