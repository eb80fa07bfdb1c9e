"""The command line: help, speed, exit codes, missing extras."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from weenats_codegen.cli.main import main

VERBS = ("new", "generate", "check", "run", "call", "permissions", "services", "demo")
BLOCKED = (
    "import sys; sys.modules[{module!r}] = None; from weenats_codegen.cli.main import main; {code}"
)


def weenats(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a child process."""
    command = [sys.executable, "-m", "weenats_codegen", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def without(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line without a module."""
    code = BLOCKED.format(module=module, code=f"sys.exit(main({list(arguments)!r}))")
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timing
def test_help_is_fast() -> None:
    """`weenats --help` needs less than 0.3 s of CPU time, interpreter included."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("COVERAGE")}
    before = _children_cpu()
    for _ in range(3):
        command = [sys.executable, "-m", "weenats_codegen", "--help"]
        subprocess.run(command, env=environment, capture_output=True, check=True)
    # CPU time: what a clock on the wall shows when nobody else wants the machine.
    assert (_children_cpu() - before) / 3 < 0.3


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_imports_nothing_heavy() -> None:
    """Help imports neither the runtime nor the generator."""
    code = (
        "import sys; from weenats_codegen.cli.main import main; main(['--help']); "
        "heavy = {'pydantic', 'nats', 'jinja2', 'datamodel_code_generator', 'yaml', 'rich'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command has an example."""
    assert main([verb, "--help"]) == 0
    assert f"Example:\n    weenats {verb}" in capsys.readouterr().out


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`weenats --help` lists all commands."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["generate", "--nonsense"], ["call", "receipts"], ["new"], ["run", "no-colon"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit code 2, with a message on standard error."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Error: " in shown.err


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("typer", "cli", ["--help"]),
        ("jinja2", "codegen", ["new", "orders"]),
        ("yaml", "codegen", ["generate"]),
        ("jsonschema", "codegen", ["check"]),
        ("datamodel_code_generator", "codegen", ["generate"]),
    ],
)
def test_a_missing_extra_is_named(
    module: str, extra: str, arguments: list[str], tmp_path: Path, receipts_contract: Path
) -> None:
    """A missing extra is one line with the command to install it."""
    (tmp_path / "schemas").symlink_to(receipts_contract.parent)
    done = without(module, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    install = f"pip install 'weenats[{extra}]'"
    assert done.stderr == f"weenats: this needs the extra `{extra}`: {install}\n"


def test_a_defect_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug is shown with its traceback."""
    from weenats_codegen.cli import generate

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(generate, "generate", broken)
    with pytest.raises(ZeroDivisionError):
        main(["generate"])


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command without a traceback."""
    from weenats_codegen.cli import check

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check", interrupted)
    assert main(["check"]) == 130
