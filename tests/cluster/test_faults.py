"""Servers are killed, hang, are cut off and upgraded while clients call."""

from __future__ import annotations

import asyncio

import pytest

from testkit.cluster_faults import (
    FAULTS,
    PARTITIONS,
    TRANSPARENT_FAULTS,
    Fault,
    Outcome,
    is_deserted,
    run_fault,
)
from testkit.load import OK
from testkit.network import Network
from testkit.waiting import wait_for
from weenats.testing import NatsCluster

pytestmark = pytest.mark.timing  # calls have two seconds, also while servers are gone

MAY_FAIL = {
    "ConnectionLostError",
    "DeadlineExceededError",
    "NoRespondersError",
    "UnavailableError",
}


@pytest.mark.parametrize("event", FAULTS)
async def test_a_fault_of_a_server(event: str, cluster: NatsCluster, network: Network) -> None:
    """Each call has one outcome, and afterwards calls succeed again."""
    await check(event, FAULTS[event], cluster, network)


@pytest.mark.parametrize("event", PARTITIONS)
async def test_a_partition(event: str, divided_cluster: NatsCluster, network: Network) -> None:
    """Each call has one outcome, and calls succeed again once the network is mended."""
    await check(event, PARTITIONS[event], divided_cluster, network)


async def check(event: str, fault: Fault, cluster: NatsCluster, network: Network) -> None:
    """Run a fault, and check the outcomes of the calls."""
    tasks = asyncio.all_tasks()
    outcome = await run_fault(cluster, network, fault)
    keeps_its_word(outcome)
    if event in TRANSPARENT_FAULTS:
        assert not outcome.plain.failed
        assert not outcome.retried.failed
        assert outcome.retried.executed_twice == 0
    assert asyncio.all_tasks() == tasks
    await asyncio.to_thread(wait_for, lambda: all(map(is_deserted, cluster.servers)))


def keeps_its_word(outcome: Outcome) -> None:
    """Check that each call has an outcome and no call was executed twice that must not be."""
    load, executions = outcome.load, outcome.executions
    assert len(load.calls) == load.begun == len({call.key for call in load.calls})
    assert {call.outcome for call in load.calls} <= {OK, *MAY_FAIL}
    assert all(executions[call.key] for call in load.calls if call.outcome == OK)
    assert outcome.plain.executed_twice == 0
    assert set(executions) <= {"last", *(call.key for call in load.calls)}
