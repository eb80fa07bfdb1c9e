"""`make mutation`: how many small changes of the code the tests notice.

mutmut changes a copy of a module in one place at a time and runs the tests that reach the place.
A mutant that makes tests fail, or hang, is killed; those that survive are listed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic

REPOSITORY = Path(__file__).parents[2]
WORKING = REPOSITORY / ".mutation"
MODULES = {
    "subjects": ("protocol/subjects.py", ["protocol/test_subjects.py"]),
    "rate_limit": ("rate_limit/*", ["rate_limit", "telemetry/test_features.py"]),
    "circuit_breaker": ("circuit_breaker/*", ["circuit_breaker", "telemetry/test_features.py"]),
    "codec": ("codec/*", ["codec"]),
    "auth": ("auth/*", ["auth"]),
}
"""What is changed in runtime/weenats, and the tests in tests/runtime that have to notice."""
PRELOADED = [
    *("pytest_asyncio", "hypothesis", "jsonschema", "opentelemetry.sdk.trace"),
    *("weenats", "weenats.testing.plugin"),
]
"""What takes long to import; importing weenats calls none of the changed functions."""
KILLED = {1, 3, 255}
"""Exit codes: a test failed, pytest failed, the tests could not be imported."""
HUNG = {-9, -11, -24, 24, 36, 152}
"""Exit codes of runs that took too long."""
REQUIRED = 85
"""Per cent of the mutants."""


def prepare(module: str) -> Path:
    """Make the folder that mutmut works in, and return it.

    mutmut takes the name of a module from its path below a folder `src`, which the checkout does
    not have, and its settings from the pyproject.toml of the folder.
    """
    folder = WORKING / module
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "src").symlink_to(REPOSITORY / "runtime")
    (folder / "schemas").symlink_to(REPOSITORY / "schemas")
    (folder / "tests").symlink_to(REPOSITORY / "tests")
    project = (REPOSITORY / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project + settings(module))
    (folder / "preloaded.txt").write_text("\n".join(PRELOADED))
    return folder


def settings(module: str) -> str:
    """Return the settings of mutmut: what it changes, and which tests have to notice."""
    changed, tests = MODULES[module]
    values = {
        "source_paths": ["src"],
        "only_mutate": [f"src/weenats/{changed}"],
        "also_copy": ["schemas"],
        "pytest_add_cli_args": [
            *(
                "-m",
                "not timing and not container and not wheel and not site",
                "-p",
                "no:cacheprovider",
            ),
            *("--hypothesis-profile=mutation", "--assert=plain"),  # nobody reads why they fail
        ],
        "pytest_add_cli_args_test_selection": [f"tests/runtime/{test}" for test in tests],
        "process_isolation": "forkserver",  # the process that forks must not have run loops itself
        # What the tests make when they are imported must be made by the changed code.
        "forkserver_warmup": "import",
        "preload_modules_file": "preloaded.txt",
        "timeout_multiplier": 5,
        "timeout_constant": 4,  # seconds for what is imported anew
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in values.items()]
    return f"\n[tool.mutmut]\nuse_git_change_detection = false\n{''.join(lines)}"


def test_mutants(module: str) -> dict[str, int]:
    """Return the exit code of the tests for each mutant of a module, by its name."""
    folder = prepare(module)
    command = [Path(sys.executable).with_name("mutmut"), "run"]
    log = folder / "run.log"
    with log.open("w") as output:
        environment = os.environ | {
            "PYTHONDONTWRITEBYTECODE": ""
        }  # the same tests, again and again
        done = subprocess.run(
            command, cwd=folder, stdout=output, stderr=output, env=environment, check=False
        )
    if done.returncode:
        sys.exit(f"mutmut failed: see {log}")
    codes = {
        name: code
        for path in sorted(folder.glob("mutants/src/**/*.meta"))
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
    }
    if not {0, 1} & {*codes.values()}:
        sys.exit(f"no test has run: see {log}")
    return codes


def row(module: str, codes: dict[str, int], seconds: float) -> str:
    """Return the row of a module in the table."""
    killed, hung = (sum(code in ends for code in codes.values()) for ends in (KILLED, HUNG))
    survived = len(codes) - killed - hung
    return (
        f"| {module} | {len(codes)} | {killed} | {hung} | {survived} "
        f"| {share(codes):.1f} % | {seconds:.0f} |"
    )


def share(codes: dict[str, int]) -> float:
    """Return the share of the mutants that were noticed, in per cent."""
    return 100 * sum(code in KILLED | HUNG for code in codes.values()) / len(codes)


def main() -> int:
    """Test the mutants of one module, or of all."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("module", nargs="?", choices=MODULES, help="all, if none is named")
    module = parser.parse_args().module
    ends: dict[str, dict[str, int]] = {}
    print("| module | mutants | killed | hung | survived | noticed | seconds |")
    print("|---|--:|--:|--:|--:|--:|--:|", flush=True)
    for each in [module] if module else MODULES:
        begun = monotonic()
        ends[each] = test_mutants(each)
        print(row(each, ends[each], monotonic() - begun), flush=True)
    for each, codes in ends.items():
        if survivors := [name for name, code in codes.items() if code not in KILLED | HUNG]:
            print(f"\nsurvived in {each} (`mutmut show NAME` in .mutation/{each} shows one):")
            print(*survivors, sep="\n")
    return int(min(map(share, ends.values())) < REQUIRED)


if __name__ == "__main__":
    sys.exit(main())
