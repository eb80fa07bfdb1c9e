"""Servers are killed, paused, cut off and upgraded while clients call."""

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
async def test_server_fault(event: str, cluster: NatsCluster, network: Network) -> None:
    """Each call has exactly one outcome, and the cluster recovers."""
    await check_fault(event, FAULTS[event], cluster, network)


@pytest.mark.parametrize("event", PARTITIONS)
async def test_network_partition(
    event: str, divided_cluster: NatsCluster, network: Network
) -> None:
    """Each call has exactly one outcome, and calls succeed once the network is restored."""
    await check_fault(event, PARTITIONS[event], divided_cluster, network)


async def check_fault(event: str, fault: Fault, cluster: NatsCluster, network: Network) -> None:
    """Run a fault and check the outcomes of all calls."""
    tasks = asyncio.all_tasks()
    outcome = await run_fault(cluster, network, fault)
    check_guarantees(outcome)
    if event in TRANSPARENT_FAULTS:
        assert not outcome.plain.failed
        assert not outcome.retried.failed
        assert outcome.retried.executed_twice == 0
    assert asyncio.all_tasks() == tasks
    await asyncio.to_thread(wait_for, lambda: all(map(is_deserted, cluster.servers)))


def check_guarantees(outcome: Outcome) -> None:
    """Check that no call was lost silently and that only retried calls were executed twice."""
    load, executions = outcome.load, outcome.executions
    assert len(load.calls) == load.begun == len({call.key for call in load.calls})
    assert {call.outcome for call in load.calls} <= {OK, *MAY_FAIL}
    assert all(executions[call.key] for call in load.calls if call.outcome == OK)
    assert outcome.plain.executed_twice == 0
    assert set(executions) <= {"last", *(call.key for call in load.calls)}
