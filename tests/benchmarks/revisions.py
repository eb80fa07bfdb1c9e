"""One side of a call, compared with that of another revision in the same run.

Each revision is measured by its own programs `server_path` and `client_path`, in processes that
take turns, with an import path of their own.

`python tests/benchmarks/revisions.py REV` compares both sides; with `--check` it compares the
server's side of a typed call, and fails if that took at least 1.3 times as long in three
measurements in a row.
"""

import argparse
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from report import Table

ROOT: Final = Path(__file__).parents[2]
SIDES: Final = ("server", "client")
LIMIT: Final = 1.3
_MEASUREMENTS: Final = 3
_ROW: Final = re.compile(r"^\| ([^|]+?) +\| +([\d.]+) \|", re.MULTILINE)
_FOLDERS: Final = ("runtime", "codegen", "generated", "tests", "tests/benchmarks")

Costs = dict[str, float]
"""Microseconds of each kind of call."""


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Return a folder with a revision of this repository, for as long as this is entered.

    Raises:
        SystemExit: there is no such revision.
    """
    with TemporaryDirectory(prefix="weenats-base-") as parent:
        folder = Path(parent) / "base"
        added = _git("worktree", "add", "--quiet", "--detach", str(folder), revision)
        if added.returncode:
            raise SystemExit(f"no checkout of {revision}: {added.stderr.strip()}")
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def import_path(folder: Path) -> list[str]:
    """Return where the modules of a checkout are, its benchmarks included."""
    return [str(folder / each) for each in _FOLDERS]


def costs(folder: Path, side: str, rounds: int) -> Costs:
    """Measure one side of a call in a checkout, in a process of its own.

    Returns:
        What each kind of call costs; nothing if the checkout has no program for this side.
    """
    program = f"{side}_path"
    if not (folder / "tests" / "benchmarks" / f"{program}.py").exists():
        return {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(import_path(folder))}
    command = [sys.executable, "-c", f"import {program}; print({program}.measure({rounds}))"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{program} of {folder} failed:\n{done.stderr}")
    return {name: float(cost) for name, cost in _ROW.findall(done.stdout)}


def compare(base: Path, side: str, *, turns: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least cost of each kind of call, in another checkout and in this one."""
    least: dict[str, list[float]] = defaultdict(lambda: [float("inf")] * 2)
    for turn in range(turns):
        places = [(0, base), (1, ROOT)]
        for place, folder in places if turn % 2 else reversed(places):
            for name, cost in costs(folder, side, rounds).items():
                least[name][place] = min(least[name][place], cost)
    return {
        name: (before, now) for name, (before, now) in least.items() if before < float("inf") > now
    }


def alone(side: str, rounds: int) -> Table:
    """Measure one side of a call in this checkout; return the table."""
    measured = costs(ROOT, side, rounds)
    plain = measured["weenats"]
    rows = [(name, cost, cost / plain, cost - plain) for name, cost in measured.items()]
    columns = [("", ""), ("us a call", ".1f"), ("x weenats", ".2f"), ("+ us", "+.1f")]
    return Table(f"The {side}'s side of a call, without sockets", columns, rows)


def table(side: str, compared: dict[str, tuple[float, float]]) -> Table:
    """Return the comparison as a table."""
    rows = [(name, before, now, now / before) for name, (before, now) in compared.items()]
    columns = [("", ""), ("us before", ".1f"), ("us now", ".1f"), ("ratio", ".2f")]
    return Table(f"The {side}'s side of a call, without sockets", columns, rows)


def check(base: Path, limit: float = LIMIT) -> list[float]:
    """Compare the server's side of a typed call, up to three times while it is above the limit."""
    ratios: list[float] = []
    while len(ratios) < _MEASUREMENTS and (not ratios or ratios[-1] >= limit):
        before, now = compare(base, "server", turns=2, rounds=60)["weenats"]
        ratios.append(now / before)
        print(
            f"server path of a typed call: {now:.1f} us, before {before:.1f} us: {ratios[-1]:.2f}"
        )
    return ratios


def main() -> int:
    """Compare with the revision that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with checkout(options.revision) as base:
        if options.check:
            return int(check(base)[-1] >= LIMIT)
        for side in SIDES:
            print(f"\n{table(side, compare(base, side, turns=4, rounds=150)).text()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
