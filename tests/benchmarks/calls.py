"""Contenders in interleaved rounds on one nats-server, and the tables of what they reach.

Other load of the machine changes the numbers, but hardly the ratios: these are the median of the
ratios within each round.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import shipments
from events_raw import BATCH
from harness import Pair, Sample
from report import Table, Value

Samples = dict[tuple[int, str], list[Sample]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How contenders are measured.

    Attributes:
        url: of the nats-server.
        loop: `asyncio` or `uvloop`.
        rounds: interleaved rounds.
        seconds: length of each measurement.
        servers: the ids of the processes of the nats-servers.
    """

    url: str
    loop: str
    rounds: int
    seconds: float
    servers: Sequence[int] = ()

    def run(self, pairs: Sequence[Pair], in_flight: Sequence[int]) -> Samples:
        """Measure every contender in every round, each round in another order; then end them."""
        samples: Samples = defaultdict(list)
        try:
            for pair in pairs:
                pair.measure(max(in_flight), self.seconds)  # warm: imports, caches, routes
            for turn in range(self.rounds):
                first = turn % len(pairs)
                for number in in_flight:
                    for pair in [*pairs[first:], *pairs[:first]]:
                        before = _cpu_of(self.servers)
                        sample = pair.measure(number, self.seconds)
                        spent = _cpu_of(self.servers) - before
                        samples[number, pair.name].append(replace(sample, nats_cpu=spent))
        finally:
            for pair in pairs:
                pair.stop()
        return samples


def _cpu_of(processes: Sequence[int]) -> float:
    """Return the seconds of CPU that all threads of processes have taken; 0 without /proc."""
    threads = [each for process in processes for each in Path(f"/proc/{process}/task").glob("*")]
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def ratio(samples: Samples, in_flight: int, name: str, to: str) -> float:
    """Return the median of the ratios within each round."""
    pairs = zip(samples[in_flight, name], samples[in_flight, to], strict=True)
    return median(ours.rate / theirs.rate for ours, theirs in pairs)


def cpu_ratio(samples: Samples, in_flight: int, name: str, to: str) -> float:
    """Return the median of the ratios of CPU a call within each round, with that of servers."""
    pairs = zip(samples[in_flight, name], samples[in_flight, to], strict=True)
    return median(ours.whole_cpu / theirs.whole_cpu for ours, theirs in pairs)


def contenders(samples: Samples, names: dict[str, str], in_flight: Sequence[int]) -> Table:
    """Return the table of contenders that make the same calls."""
    columns = [
        *(("in flight", "d"), ("contender", ""), ("req/s", ",.0f"), ("x raw", ".2f")),
        *(("x by hand", ".2f"), ("p50 ms", ".2f"), ("p99 ms", ".2f"), ("CPU us a call", ".0f")),
        ("server us", ".1f"),
    ]
    rows: list[Sequence[Value]] = []
    for number in in_flight:
        for name, shown in names.items():
            taken = samples[number, name]
            rows.append(
                (
                    *(number, shown, median(each.rate for each in taken)),
                    ratio(samples, number, name, "raw"),
                    ratio(samples, number, name, "by_hand"),
                    median(each.p50 for each in taken) * 1e3,
                    median(each.p99 for each in taken) * 1e3,
                    median(each.cpu for each in taken) * 1e6,
                    median(each.server_cpu / each.calls for each in taken) * 1e6,
                )
            )
    return Table("Calls", columns, rows)


def payloads(plan: Plan) -> Table:
    """Measure shipments of each size beside raw nats-py and by hand."""
    columns = [
        *(("payload", ""), ("contender", ""), ("in flight", "d"), ("req/s", ",.0f")),
        *(("x raw", ".2f"), ("x by hand", ".2f"), ("CPU us a call", ",.0f")),
    ]
    shown = {"raw": "raw nats-py", "by_hand": "by hand", "typed": "weenats"}
    rows: list[Sequence[Value]] = []
    for size in shipments.SIZES:
        number = max(1, min(64, 256_000 // size))
        pairs = [
            Pair(f"shipments_{name}@{size}", plan.url, plan.loop, shown=name) for name in shown
        ]
        samples = plan.run(pairs, [number])
        for name, text in shown.items():
            taken = samples[number, name]
            rows.append(
                (
                    *(f"{size // 1000} kB", text, number, median(each.rate for each in taken)),
                    ratio(samples, number, name, "raw"),
                    ratio(samples, number, name, "by_hand"),
                    median(each.cpu for each in taken) * 1e6,
                )
            )
    return Table("Nested objects, date-times and lists, sent and returned", columns, rows)


def events(plan: Plan) -> Table:
    """Measure typed events beside raw nats-py publish and subscribe."""
    shown = {"raw": "raw nats-py", "typed": "weenats"}
    pairs = [Pair(f"events_{name}", plan.url, plan.loop, shown=name) for name in shown]
    samples = plan.run(pairs, [1])
    columns = [
        *(("events", ""), ("events/s", ",.0f"), ("x raw", ".2f")),
        *(("publisher us", ".1f"), ("subscriber us", ".1f")),
    ]
    rows = [
        (
            *(text, median(each.rate for each in samples[1, name]) * BATCH),
            ratio(samples, 1, name, "raw"),
            median(each.client_cpu / each.calls for each in samples[1, name]) / BATCH * 1e6,
            median(each.server_cpu / each.calls for each in samples[1, name]) / BATCH * 1e6,
        )
        for name, text in shown.items()
    ]
    return Table("Events, published and received", columns, rows)
