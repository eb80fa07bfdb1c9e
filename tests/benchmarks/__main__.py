"""`make bench`: weenats beside raw nats-py and beside the same service written by hand.

All contenders of a table run in interleaved rounds on one nats-server on loopback and on the same
kind of event loop. Compare ratios: absolute figures depend on the machine.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import process_time

import jwt

import calls
import chart
import durable
import fifty
import memory
import processes
import revisions
from contenders import CONTENDERS, PEERS
from harness import Pair
from report import Table
from weenats.testing import NatsServer
from with_auth import AUDIENCE, ISSUER, KEY, new_token

IN_FLIGHT = (1, 64)
ALWAYS = ("raw", "by_hand", "typed")
BASE = "typed at base"
_CHECKS = 100


def check_cost() -> float:
    """Return the CPU time in which PyJWT checks an EdDSA token, microseconds; the best of many."""
    token, key = new_token(), KEY.public_key()

    def check() -> float:
        before = process_time()
        for _ in range(_CHECKS):
            jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
        return (process_time() - before) / _CHECKS

    return min(check() for _ in range(20)) * 1e6


def compared(
    names: dict[str, str], base: Path | None, in_flight: list[int], plan: calls.Plan
) -> Table:
    """Return the table of the contenders, and of a typed call of another revision."""
    pairs = [Pair(name, plan.url, plan.loop) for name in names]
    with ExitStack() as stack:
        if base is not None:
            path = revisions.import_path(base)
            # On one server the services of both revisions would share the calls of both clients.
            url = stack.enter_context(NatsServer()).url
            pairs.append(Pair("typed", url, plan.loop, path, BASE))
            names = {**names, BASE: "weenats, the base revision"}
        return calls.contenders(plan.run(pairs, in_flight), names, in_flight)


def path_of(side: str, base: Path | None, rounds: int) -> Table:
    """Return the table of one side of a call, compared with another revision if there is one."""
    compared = base and revisions.compare(base, side, turns=4, rounds=max(rounds // 4, 1))
    # An older revision may have no program for this side.
    return revisions.table(side, compared) if compared else revisions.alone(side, rounds)


def rest(rounds: int) -> Table:
    """Return what is measured once: start, processes, memory, a check of a token."""
    gain = processes.measure(min(rounds, 3))
    rows = [
        ("start of a service with 50 operations, CPU time", fifty.measure(1) * 1e3, "ms"),
        ("calls/s of a handler with 2 ms of CPU, one process", gain.rates[0], "1/s"),
        ("the same, two processes", gain.ratio, "x one"),
        ("two processes that only count, in the same rounds", gain.machine, "x one"),
        *((shown, size / 1024, "KiB") for shown, size in memory.measure().items()),
        ("check of an EdDSA token by PyJWT", check_cost(), "us"),
    ]
    return Table("Besides", [("what", ""), ("", ",.1f"), ("unit", "")], rows)


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each measurement")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT)
    parser.add_argument("--base", metavar="REV", help="measure this revision too")
    parser.add_argument("--peers", action="store_true", help="measure other frameworks instead")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--chart", action="store_true", help=f"draw {chart.FILE.name}")
    parser.add_argument(
        "--only",
        choices=CONTENDERS,
        nargs="*",
        help=f"these contenders besides {', '.join(ALWAYS)}, and nothing else",
    )
    parser.add_argument(
        "--jetstream", action="store_true", help="measure JetStream and nothing else"
    )
    parser.add_argument(
        "--short", action="store_true", help="one short round: shows that it works, measures little"
    )
    options = parser.parse_args()
    options.durable = durable.IN_FLIGHT
    if options.short:
        options.rounds, options.seconds, options.in_flight = 1, 0.05, [64]
        options.durable = durable.IN_FLIGHT[-1:]
    return options


def tables(options: argparse.Namespace, base: Path | None, server: NatsServer) -> Iterator[Table]:
    """Measure; return each table as soon as it is complete."""
    plan = calls.Plan(
        server.url, options.loop, options.rounds, options.seconds, (server.process_id,)
    )
    if options.jetstream:
        yield durable.table(plan, options.durable)
        return
    chosen = CONTENDERS if options.only is None else {*ALWAYS, *options.only}
    names = {name: shown for name, shown in CONTENDERS.items() if name in chosen}
    if options.peers:
        names = {name: CONTENDERS[name] for name in ALWAYS} | PEERS
    first = compared(names, base, list(options.in_flight), plan)
    yield first
    if options.chart:
        chart.FILE.write_text(chart.drawn(first, max(options.in_flight)), encoding="utf-8")
    if options.peers or options.only is not None:
        return
    yield calls.payloads(plan)
    yield calls.events(plan)
    yield durable.table(plan, options.durable)
    for side in revisions.SIDES:
        yield path_of(side, base, options.rounds * 60)
    yield rest(options.rounds)


def main() -> None:
    """Start a nats-server, measure, and print the results."""
    options = arguments()
    results: list[Table] = []
    show: Callable[[str], object] = (lambda _: None) if options.json else print
    show(f"{options.loop}, Python {sys.version.split()[0]}, {options.rounds} interleaved rounds")
    with NatsServer() as server, ExitStack() as stack:
        base = options.base and stack.enter_context(revisions.checkout(options.base))
        for each in tables(options, base, server):
            results.append(each)
            show(f"\n{each.text()}")
            sys.stdout.flush()
    if options.json:
        print(json.dumps({"loop": options.loop, "tables": [each.facts() for each in results]}))


if __name__ == "__main__":
    main()
