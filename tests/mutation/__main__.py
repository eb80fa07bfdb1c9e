"""`make mutation`: how many small falsifications of the code the tests notice.

mutmut falsifies a copy of a module, one place at a time, and runs the tests that reach the place.
What they notice is killed, and so is what makes them hang; the rest survives, and is listed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

REPOSITORY = Path(__file__).parents[2]
WORKING = REPOSITORY / ".mutation"
MODULES = {
    "subjects": ["runtime/test_subjects.py"],
    "rate_limit": ["rate_limit", "telemetry/test_features.py"],
    "circuit_breaker": ["circuit_breaker", "telemetry/test_features.py"],
    "wire": ["runtime/test_wire_*.py", "runtime/test_violations.py"],
    "auth": ["auth"],
}
"""What is falsified, and the tests that are to notice."""
KILLED = {"killed", "timeout", "segfault"}
ENOUGH = 85
"""Per cent."""


def prepare(module: str) -> Path:
    """Make the folder that mutmut works in anew, and return it.

    mutmut takes the name of a module from its path below a folder `src`, which the checkout does
    not have, and its settings from the folder's pyproject.toml.
    """
    folder = WORKING / module
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "src").symlink_to(REPOSITORY / "runtime")
    (folder / "schemas").symlink_to(REPOSITORY / "schemas")
    (folder / "tests").symlink_to(REPOSITORY / "tests")
    project = (REPOSITORY / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project + settings(module))
    return folder


def settings(module: str) -> str:
    """Return what mutmut is told: what it falsifies, and which tests are to notice."""
    tests = [
        str(path.relative_to(REPOSITORY))
        for pattern in MODULES[module]
        for path in sorted((REPOSITORY / "tests").glob(pattern))
    ]
    values = {
        "source_paths": ["src"],
        "only_mutate": [f"src/weenats/{module}/*", f"src/weenats/{module}.py"],
        "also_copy": ["schemas"],
        "pytest_add_cli_args": ["-m", "not slow and not container", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": tests,
        "process_isolation": "forkserver",  # the process that forks must not have run loops itself
        "timeout_multiplier": 5,
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in values.items()]
    return f"\n[tool.mutmut]\nuse_git_change_detection = false\n{''.join(lines)}"


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut, keep what it says in the folder, and return it."""
    command = [Path(sys.executable).with_name("mutmut"), *arguments]
    log = folder / f"{arguments[0]}.log"
    with log.open("w") as output:
        done = subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False)
    if done.returncode:
        sys.exit(f"mutmut {arguments[0]} failed: see {log}")
    return log.read_text()


def falsify(module: str) -> dict[str, str]:
    """Return what became of each mutant of a module, by its name."""
    folder = prepare(module)
    mutmut(folder, "run")
    lines = mutmut(folder, "results", "--all", "true").splitlines()
    return dict(line.strip().split(": ") for line in lines)


def row(module: str, outcomes: dict[str, str], seconds: float) -> str:
    """Return a module's line of the table."""
    counts = Counter(outcomes.values())
    survived = len(outcomes) - sum(counts[each] for each in KILLED)
    figures = len(outcomes), counts["killed"], counts["timeout"] + counts["segfault"], survived
    return (
        f"| {module} | {' | '.join(map(str, figures))} | {share(outcomes):.1f} % | {seconds:.0f} |"
    )


def share(outcomes: dict[str, str]) -> float:
    """Return how many of the mutants were killed, in per cent."""
    return 100 * sum(each in KILLED for each in outcomes.values()) / len(outcomes)


def main() -> int:
    """Falsify one module, or one after another."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("module", nargs="?", choices=MODULES, help="all, if none is named")
    module = parser.parse_args().module
    outcomes: dict[str, dict[str, str]] = {}
    print("| module | mutants | killed | hung | survived | killed or hung | seconds |")
    print("|---|--:|--:|--:|--:|--:|--:|", flush=True)
    for each in [module] if module else MODULES:
        begun = monotonic()
        outcomes[each] = falsify(each)
        print(row(each, outcomes[each], monotonic() - begun), flush=True)
    for each, of_module in outcomes.items():
        print(f"\nsurvived in {each} (`mutmut show NAME` in .mutation/{each} shows one):")
        print(*(name for name, end in of_module.items() if end not in KILLED), sep="\n")
    return int(min(map(share, outcomes.values())) < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
