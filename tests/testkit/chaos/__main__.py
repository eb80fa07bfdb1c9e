"""The command behind `make chaos` and `make soak`: `python -m testkit.chaos chaos|soak`."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from random import randrange

from testkit.chaos.chaos import Report, run
from testkit.chaos.soak import SoakReport, soak


def log(text: object) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main() -> int:
    """Run chaos or soak; print how to repeat a run that found something."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["chaos", "soak"])
    parser.add_argument("--seed", type=int, default=randrange(1, 2**31))
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=f"weenats-{options.what}-"))
    report: Report | SoakReport
    if options.what == "chaos":
        log(f"seed {options.seed}")
        report = asyncio.run(run(folder, options.seed, options.seconds, log))
        again = f"make chaos SEED={options.seed} SECONDS={options.seconds:g}"
    else:
        report = asyncio.run(soak(folder, options.seconds, log))
        again = f"make soak SECONDS={options.seconds:g}"
    log(report)
    if report.faults:
        log(f"journals and logs: {folder}\nagain: {again}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
