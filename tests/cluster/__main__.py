"""`make faults`: what clients see of servers that are killed, hang, are cut off or upgraded."""

import asyncio
import logging
from collections import Counter

from testkit.cluster_faults import CLIENTS, FAULTS, PARTITIONS, SERVICES, Outcome, run_fault
from testkit.load import TIMEOUT, WORKERS, Tally
from testkit.network import Network
from weenats.testing import NatsCluster

HEADINGS = (
    "event",
    "calls",
    "failed",
    "executed twice",
    "calls, retried",
    "failed",
    "executed twice",
    "longest gap, s",
)


def row(event: str, outcome: Outcome) -> str:
    """One event, for a person and for the README."""
    cells = [event, *counts(outcome.plain), *counts(outcome.retried), f"{outcome.longest_gap:.1f}"]
    return line(cells)


def counts(tally: Tally) -> tuple[str, str, str]:
    """What came of calls of one kind."""
    return f"{tally.calls:,}", reasons(tally.failed), str(tally.executed_twice)


def reasons(failed: Counter[str]) -> str:
    """How many calls failed in which error."""
    return ", ".join(f"{count} {error}" for error, count in failed.most_common()) or "0"


def line(cells: list[str] | tuple[str, ...]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Let all of it happen, one after another."""
    logging.disable()
    callers = 2 * WORKERS * len(CLIENTS)
    print(f"3 servers, {len(SERVICES)} instances, {len(CLIENTS)} clients, ", end="")
    print(f"{callers} calls in flight at most, {TIMEOUT:.0f} s for each; about a minute\n")
    print(line(HEADINGS))
    print(f"|---|{'--:|---|--:|' * 2}--:|")
    with Network() as network:
        clusters = (NatsCluster(3), FAULTS), (NatsCluster(3, link=network.link), PARTITIONS)
        for servers, faults in clusters:
            with servers as cluster:
                for event, fault in faults.items():
                    print(row(event, asyncio.run(run_fault(cluster, network, fault))), flush=True)


if __name__ == "__main__":
    main()
