"""How much faster two processes of `weenats run --processes` are than one.

The handler takes two milliseconds of CPU. What two plain processes that only count do beside one,
in the same round, shows how many cores the machine has left: on two idle ones, twice as much.
`python tests/benchmarks/processes.py [ROUNDS]` measures this alone.
"""

import asyncio
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import typed
from harness import closed_loop
from testkit.processes import child_process, python_environment
from weenats.testing import NatsServer

COUNTS: Final = (1, 2)
_IN_FLIGHT: Final = 64


class Gain(NamedTuple):
    """How much more the last number of processes does than the first; medians over the rounds.

    Attributes:
        rates: calls a second with each number of processes.
        ratio: of the last to the first.
        machine: the same ratio of processes that only count.
        share: what `ratio` is of `machine`.
    """

    rates: list[float]
    ratio: float
    machine: float
    share: float


@contextmanager
def _serving(count: int, url: str) -> Iterator[str]:
    """Serve in this many processes; return the name of the service."""
    name = f"bench-busy-{count}"
    command = (sys.executable, "-m", "weenats_codegen", "run", "busy:builder", "--json")
    with child_process(
        (*command, "--processes", str(count)),
        cwd=Path(__file__).parent,
        env=python_environment(NATS_URL=url, BENCH_SERVICE=name),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        for _ in range(count):
            if not process.stdout.readline():
                raise ValueError(f"{count} processes do not serve")
        yield name


def _count(seconds: float) -> int:
    """Return how far a process counts in that time."""
    end, number = perf_counter() + seconds, 0
    while perf_counter() < end:
        number += 1
    return number


async def _measure(
    url: str, names: list[str], rounds: int, seconds: float
) -> list[tuple[float, ...]]:
    calls = [await typed.calling(typed.under(name)[1].connect(url)) for name in names]
    loop, taken = asyncio.get_running_loop(), []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(COUNTS), context) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, _count, 0.2) for _ in calls))  # start
        for _ in range(rounds):
            samples = [await closed_loop(call, _IN_FLIGHT, seconds) for call in calls]
            counts = [
                sum(
                    await asyncio.gather(
                        *(loop.run_in_executor(pool, _count, seconds) for _ in range(count))
                    )
                )
                for count in COUNTS
            ]
            taken.append((*(sample[0] / sample[1] for sample in samples), *counts))
    return taken


def measure(rounds: int, seconds: float = 0.5) -> Gain:
    """Measure in interleaved rounds.

    Args:
        rounds: how many.
        seconds: length of each measurement.
    """
    with NatsServer() as server, ExitStack() as stack:
        names = [stack.enter_context(_serving(count, server.url)) for count in COUNTS]
        taken = asyncio.run(_measure(server.url, names, rounds, seconds))
    ratios = [(two / one, counted / alone) for one, two, alone, counted in taken]
    return Gain(
        [median(each[i] for each in taken) for i in range(len(COUNTS))],
        median(ratio for ratio, _ in ratios),
        median(machine for _, machine in ratios),
        median(ratio / machine for ratio, machine in ratios),
    )


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if sys.argv[1:] else 5))
