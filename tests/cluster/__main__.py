"""`make faults`: what clients see while servers are killed, hang, are cut off or upgraded."""

import argparse
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
    """Return the row of an event."""
    cells = [event, *counts(outcome.plain), *counts(outcome.retried), f"{outcome.longest_gap:.1f}"]
    return line(cells)


def counts(tally: Tally) -> tuple[str, str, str]:
    """Return how many calls of one kind were made, failed, and were executed twice."""
    return f"{tally.calls:,}", reasons(tally.failed), str(tally.executed_twice)


def reasons(failed: Counter[str]) -> str:
    """Return how many calls failed with which error."""
    return ", ".join(f"{count} {error}" for error, count in failed.most_common()) or "0"


def line(cells: list[str] | tuple[str, ...]) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Let one fault happen after another, and print a table."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one fault of a server, one partition")
    limit = 1 if parser.parse_args().short else None
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
                for event, fault in list(faults.items())[:limit]:
                    print(row(event, asyncio.run(run_fault(cluster, network, fault))), flush=True)


if __name__ == "__main__":
    main()
