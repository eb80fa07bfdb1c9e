"""`python tests/chaos [--seed N] [--seconds N]`: a run of chaos; `make chaos` calls it."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.append(str(SUPPORT))

from chaos import run  # noqa: E402 - what tests stand on has to be on the path first


def main() -> int:
    """Run it, and tell how to run it again when something is found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(1, 2**31))
    parser.add_argument("--seconds", type=float, default=300)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="weenats-chaos-"))
    report = asyncio.run(run(folder, options.seed, options.seconds, lambda line: print(line, flush=True)))
    print(report)
    if report.faults:
        print(f"journals and logs: {folder}\nagain: make chaos SEED={options.seed} SECONDS={options.seconds:g}")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
