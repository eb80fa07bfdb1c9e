"""`make bench`: a typed call beside raw nats-py and beside the same service written by hand.

All contenders run in interleaved rounds on one nats-server on loopback and on the same kind of
event loop; the table shows medians over the rounds. Other load of the machine changes the numbers,
but hardly the ratios: these are the median of the ratios within each round. The last columns are
the server's CPU time of a call, and how much more that is than with plain weenats.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from time import process_time

import jwt

import client_path
import server_path
from contenders import CONTENDERS
from harness import Pair, Sample
from weenats.testing import NatsServer
from with_auth import AUDIENCE, ISSUER, KEY, new_token

IN_FLIGHT = (1, 16, 64, 256)
_CHECKS = 100
HEADINGS = (
    "in flight",
    "contender",
    "req/s",
    "x raw",
    "x by hand",
    "p50 ms",
    "p99 ms",
    "CPU us a call",
    "server us",
    "+ weenats us",
)

Samples = dict[tuple[int, str], list[Sample]]
ALWAYS = ("raw", "by_hand", "typed")


def run(
    url: str,
    names: Sequence[str],
    all_in_flight: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    loop: str,
) -> Samples:
    """Measure every contender in every round, each round in another order."""
    samples: Samples = defaultdict(list)
    pairs = [Pair(name, url, loop) for name in names]
    try:
        for pair in pairs:
            pair.measure(64, seconds)  # warm: imports, caches, the server's routes
        for turn in range(rounds):
            first = turn % len(pairs)
            for in_flight in all_in_flight:
                for pair in pairs[first:] + pairs[:first]:
                    samples[in_flight, pair.name].append(pair.measure(in_flight, seconds))
    finally:
        for pair in pairs:
            pair.stop()
    return samples


def ratio(samples: Samples, in_flight: int, name: str, to: str) -> float:
    """Return the median of the ratios within each round."""
    pairs = zip(samples[in_flight, name], samples[in_flight, to], strict=True)
    return median(ours.rate / theirs.rate for ours, theirs in pairs)


def added(samples: Samples, in_flight: int, name: str) -> float:
    """Return the median of the server's CPU time beyond that of plain weenats, microseconds."""
    pairs = zip(samples[in_flight, name], samples[in_flight, "typed"], strict=True)
    differences = (
        ours.server_cpu / ours.calls - plain.server_cpu / plain.calls for ours, plain in pairs
    )
    return median(differences) * 1e6


def check_cost() -> float:
    """Return the CPU time in which PyJWT checks an EdDSA token, microseconds; the best of many."""
    token, key = new_token(), KEY.public_key()

    def check() -> float:
        before = process_time()
        for _ in range(_CHECKS):
            jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
        return (process_time() - before) / _CHECKS

    return min(check() for _ in range(20)) * 1e6


def table(samples: Samples) -> str:
    """Return the result as a table."""
    rows = [HEADINGS]
    for (in_flight, name), taken in sorted(samples.items(), key=_place):
        rows.append(
            (
                str(in_flight),
                CONTENDERS[name],
                f"{median(s.rate for s in taken):,.0f}",
                f"{ratio(samples, in_flight, name, 'raw'):.2f}",
                f"{ratio(samples, in_flight, name, 'by_hand'):.2f}",
                f"{median(s.p50 for s in taken) * 1e3:.2f}",
                f"{median(s.p99 for s in taken) * 1e3:.2f}",
                f"{median(s.cpu for s in taken) * 1e6:.0f}",
                f"{median(s.server_cpu / s.calls for s in taken) * 1e6:.1f}",
                f"{added(samples, in_flight, name):+.1f}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = ["| " + " | ".join(_cells(row, widths)) + " |" for row in rows]
    rule = "|".join("-" * (w + 1) + ("-" if i == 1 else ":") for i, w in enumerate(widths))
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _place(item: tuple[tuple[int, str], list[Sample]]) -> tuple[int, int]:
    (in_flight, name), _ = item
    return in_flight, list(CONTENDERS).index(name)


def _cells(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """Align numbers to the right and names to the left."""
    padded = zip(row, widths, strict=True)
    return [c.ljust(w) if i == 1 else c.rjust(w) for i, (c, w) in enumerate(padded)]


def main() -> None:
    """Parse options, start a nats-server, measure, and print the results."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.4, help="for each measurement")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT)
    parser.add_argument(
        "--only",
        choices=CONTENDERS,
        nargs="+",
        default=list(CONTENDERS),
        help=f"besides {', '.join(ALWAYS)}",
    )
    parser.add_argument(
        "--short", action="store_true", help="one short round: shows that it works, measures little"
    )
    options = parser.parse_args()
    if options.short:
        options.rounds, options.seconds, options.in_flight = 1, 0.05, [64]
    names = [name for name in CONTENDERS if name in {*ALWAYS, *options.only}]
    cells = len(names) * (len(options.in_flight) * options.rounds + 1)
    print(f"{options.loop}, {options.rounds} interleaved rounds", end="")
    print(f", about {cells * options.seconds:.0f} s\n", flush=True)
    with NatsServer() as server:
        samples = run(
            server.url,
            names,
            options.in_flight,
            rounds=options.rounds,
            seconds=options.seconds,
            loop=options.loop,
        )
    print(table(samples))
    print(f"\n{server_path.measure(options.rounds * 40)}")
    print(f"\n{client_path.measure(options.rounds * 40)}")
    print(f"\nOne check of an EdDSA token by PyJWT takes {check_cost():.0f} us of CPU.")


if __name__ == "__main__":
    main()
