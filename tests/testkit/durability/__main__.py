"""The command behind `make durability`: `python -m testkit.durability commands|events`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import randrange
from time import monotonic

from testkit.durability.command_trial import CommandTrial, Report
from testkit.durability.event_trial import PUBLISHERS, EventReport, EventTrial
from testkit.durability.faults import kill, partition
from testkit.durability.parcel_processes import EventTerms
from testkit.durability.wallet_processes import Terms
from testkit.forks import CONTEXT
from testkit.network import Network
from weenats.testing import NatsCluster, NatsServer

_BEGIN = monotonic()
_PRELOADED = ["testkit.durability.wallet_processes", "testkit.durability.parcel_processes"]


def log(text: object) -> None:
    """Print a line at once, with the seconds since the begin."""
    print(f"{monotonic() - _BEGIN:6.0f} s  {text}", flush=True)


def commands(options: argparse.Namespace, folder: Path) -> Report:
    """Run commands on a cluster of three servers, each of which is killed, and one is cut off."""
    cut_off = f"weenats-{options.seed % 3}"
    with Network() as network, NatsCluster(3, link=network.links_of(cut_off)) as cluster:
        faults = [(f"{each.name} was killed", kill(each)) for each in cluster.servers]
        last = cluster.servers[options.seed % 3]
        faults.append((f"{last.name} was cut off", partition(cluster, network, last)))
        terms = Terms(cluster.urls, folder, options.keys, options.seed, replicas=3)
        trial = CommandTrial(
            terms,
            options.count,
            faults=faults,
            pause=options.pause,
            seconds=options.seconds,
            log=log,
        )
        return asyncio.run(trial.run())


def events(options: argparse.Namespace, folder: Path) -> EventReport:
    """Publish events while consumers are killed."""
    with NatsServer() as server:
        share = options.count // PUBLISHERS
        terms = EventTerms(server.url, folder, options.keys // PUBLISHERS, share)
        trial = EventTrial(
            terms,
            options.count,
            pause=options.pause,
            seed=options.seed,
            seconds=options.seconds,
        )
        return asyncio.run(trial.run())


def main() -> int:
    """Run a trial; print how to repeat one that found something."""
    parser = argparse.ArgumentParser(prog="make durability", description=__doc__)
    parser.add_argument("what", choices=["commands", "events"])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--pause", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=randrange(1, 2**31))
    options = parser.parse_args()
    logging.disable()
    CONTEXT.set_forkserver_preload(_PRELOADED)  # processes start often
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server stays
    folder = Path(tempfile.mkdtemp(prefix="weenats-durability-"))
    log(f"seed {options.seed}")
    report = commands(options, folder) if options.what == "commands" else events(options, folder)
    log(report)
    if report.findings.kinds:
        log(f"journals and logs: {folder}\nagain: SEED={options.seed}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
