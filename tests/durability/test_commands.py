"""Commands while instances and servers are killed: none is lost, doubled or out of order.

`make durability` has many more of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import randrange

import pytest

from testkit.durability.command_trial import CommandTrial
from testkit.durability.faults import kill, partition
from testkit.durability.wallet_processes import Terms
from testkit.network import Network
from weenats.testing import NatsCluster, NatsServer

SEED = int(os.environ.get("SEED") or randrange(1, 2**31))


@pytest.mark.timing
@pytest.mark.timeout(300)
async def test_killed_instances_and_server(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """250 commands, each of three instances is killed, then the server."""
    terms = Terms([own_nats_server.url], tmp_path, keys=20, seed=SEED, timeout=1.0, ack_wait=1.0)
    faults = [("the server was killed", kill(own_nats_server))]
    trial = CommandTrial(terms, 250, faults=faults, pause=0.2, callers=2, rounds=1, log=print)
    report = await trial.run()
    print(report)
    assert report.findings.kinds == set()
    assert report.outcomes["replied"] >= 200
    assert report.commits >= 200
    assert report.events >= 200


@pytest.mark.timing
@pytest.mark.timeout(600)
async def test_cluster(tmp_path: Path) -> None:
    """1,000 commands on a cluster, each of whose servers is killed, and one is cut off."""
    with Network() as network, NatsCluster(3, link=network.links_of("weenats-0")) as cluster:
        terms = Terms(cluster.urls, tmp_path, keys=100, seed=SEED, replicas=3)
        faults = [(f"{each.name} was killed", kill(each)) for each in cluster.servers]
        cut = partition(cluster, network, cluster.servers[0])
        faults.append((f"{cluster.servers[0].name} was cut off", cut))
        report = await CommandTrial(terms, 1000, faults=faults, pause=2.0, log=print).run()
    print(report)
    assert report.findings.kinds == set()
    assert report.outcomes["replied"] >= 750
