"""The command line in general: help, startup time, exit codes, missing extras."""

import asyncio
import os
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from testkit.forked_commands import forked_command
from testkit.paths import REPOSITORY
from testkit.processes import without_coverage
from testkit.waiting import LIMIT
from weenats_codegen.cli.main import main

SCHEMAS = REPOSITORY / "schemas" / "receipts"
BLOCKED = (
    "import sys; sys.modules[{module!r}] = None; from weenats_codegen.cli.main import main; {code}"
)


def run_without_module(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `weenats` in a subprocess in which a module cannot be imported."""
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
    """`weenats --help` takes less than 0.2 s of CPU time, interpreter startup included."""
    environment = without_coverage()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    taken: list[float] = []
    for _ in range(10):
        before = _children_cpu()
        command = [sys.executable, "-m", "weenats_codegen", "--help"]
        subprocess.run(command, env=environment, capture_output=True, check=True)
        # CPU time: what a clock on the wall shows when nobody else wants the machine.
        taken.append(_children_cpu() - before)
        if taken[-1] < 0.2:
            return
    pytest.fail(f"only {taken}")


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_does_not_import_heavy_modules() -> None:
    """`weenats --help` imports no dependency of the runtime or the generator."""
    heavy = {
        *("asyncio", "datamodel_code_generator", "jinja2", "jsonschema_rs", "jwt", "nats"),
        *("opentelemetry", "pydantic", "rich", "weenats.client", "weenats.service", "yaml"),
    }
    code = (
        "import sys; from weenats_codegen.cli.main import main; main(['--help']); "
        f"sys.exit(', '.join({heavy!r} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_commands_for_services_need_no_generator() -> None:
    """They run with the extra `cli`, without what the generator needs."""
    verbs = "call, explain, health, history, rebuild, run, services, top"
    code = f"import sys; sys.modules['yaml'] = None; from weenats_codegen.cli import {verbs}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["new"], ["run", "no-colon"]]
    + [["health", "receipts", "--timeout", each] for each in ("86401", "0")]
    + [["rebuild", "receipts.app:x", "--grace", "86401"]]
    + [["dead-letters", each, "receipts", "0"] for each in ("show", "retry", "drop")],
)
def test_usage_error_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Invalid arguments exit with 2 and print an error to standard error."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Error: " in shown.err


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("typer", "cli", ["--help"]),
        pytest.param("jinja2", "codegen", ["new", "orders"], marks=pytest.mark.slow),
        ("yaml", "codegen", ["generate"]),
        pytest.param("yaml", "codegen", ["check"], marks=pytest.mark.slow),
        pytest.param("datamodel_code_generator", "codegen", ["generate"], marks=pytest.mark.slow),
    ],
)
def test_missing_extra_is_named(
    module: str, extra: str, arguments: list[str], tmp_path: Path, receipts_contract: Path
) -> None:
    """A command with a missing dependency prints the extra to install."""
    (tmp_path / "schemas").symlink_to(receipts_contract.parent)
    done = run_without_module(module, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    install = f"pip install 'weenats[{extra}]'"
    assert done.stderr == f"weenats: this needs the extra `{extra}`: {install}\n"


def test_unexpected_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of weenats is one line without values; an environment variable shows its traceback."""
    from weenats_codegen.cli import explain

    monkeypatch.setattr(explain, "_common", None)
    explained = ["explain", "receipts.handlers:Receipts"]
    assert main(explained) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("weenats: unexpected TypeError at ")
    assert line.endswith(", a bug; WEENATS_TRACEBACK=1 shows its traceback")
    assert "explain.py:" in line
    monkeypatch.setenv("WEENATS_TRACEBACK", "1")
    assert main(explained) == 1
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_cancelled_command_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code of the user that cancels the task it runs in, such as a handler, causes no traceback."""

    async def cancel_itself(*_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    monkeypatch.setattr("weenats_codegen.cli.services.find_instances", cancel_itself)
    assert main(["services"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "weenats: a task of the command was cancelled" in shown.err


def test_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C exits with 130 and without a traceback."""
    from weenats_codegen.cli import check, output

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check", interrupted)
    assert main(["check"]) == 130
    monkeypatch.setattr(output, "prepare_streams", interrupted)  # as if during an import
    assert main(["check"]) == 130


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the installed package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"weenats {version('weenats')}\n"


@pytest.mark.parametrize("argument", ["x" * 9_000, "--" + "x" * 9_000])
def test_long_names_are_shortened(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error of a command or an option that does not exist has a bounded length."""
    assert main([argument]) == 2
    assert len(capsys.readouterr().err) < 3_000


def test_similar_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that does not exist names the most similar one."""
    assert main(["servces"]) == 2
    assert "Did you mean 'services'?" in capsys.readouterr().err


def test_completion_without_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable of shell completion alone is reported, and is not a bug."""
    monkeypatch.setenv("_WEENATS_COMPLETE", "complete_bash")
    for name in ("COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 1
    expected = "weenats: _WEENATS_COMPLETE is only for the completion of a shell: unset it\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("shell", "variables"),
    [
        ("bash", {"COMP_WORDS": "weenats hea", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "weenats hea"}),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "weenats hea", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        ),
    ],
)
def test_shell_completion(shell: str, variables: dict[str, str], tmp_path: Path) -> None:
    """Each shell has a script, and gets the commands that begin as what was typed."""
    for instruction, expected in (("source", "_WEENATS_COMPLETE="), ("complete", "health")):
        environment = {**os.environ, **variables, "_WEENATS_COMPLETE": f"{instruction}_{shell}"}
        with forked_command(cwd=tmp_path, environment=environment) as process:
            printed, log = process.communicate(LIMIT)
        assert expected in printed
        assert log == ""


def test_module_without_projections_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The error for a name that a module does not have says that it has no projections."""
    assert main(["rebuild", "receipts.app:x"]) == 1
    assert "receipts.app has no x; it has no projections" in capsys.readouterr().err


def test_missing_working_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command in a folder that was removed says so."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["new", "tickets"]) == 1
    assert "the working directory does not exist any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["streams", "replay", "schemas", "a.b"], "'a.b' is not a valid name of a consumer; use a"),
        (["dead-letters", "list", "schemas", "--consumer", ""], "'' is not a valid name of a cons"),
        (
            ["permissions", "schemas", "--role", "projection", "--projection", "*"],
            "of a projection",
        ),
        (["history", "wallets", "w-1", "--aggregate", "a b"], "not a valid name of an aggregate"),
    ],
)
def test_invalid_names_are_wrong_usage(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that nothing can have is refused before anything is read, by what it names."""
    monkeypatch.setenv("COLUMNS", "500")
    assert main([part.replace("schemas", str(SCHEMAS)) for part in arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "receipts.handlers:Receipts", "--out", "x"], "--out needs --reload"),
        (["run", "receipts.handlers:Receipts", "--schemas", "x"], "--schemas needs --reload"),
        (["docs", "--port", "8000"], "--port needs --serve"),
        (["docs", "--serve", "--out", "site"], "--out cannot be used with --serve"),
        (["docs", "schemas", "--self"], "SCHEMAS cannot be used with --self"),
        (["docs", "schemas", "--against", "nats://x"], "SCHEMAS cannot be used with --against"),
        (["check", "--against", "HEAD", "--out", "x"], "--out cannot be used with --against"),
        (["check", "--against", "HEAD", "--client-only"], "cannot be used with --against"),
        (["lint", "schemas", "--rules"], "SCHEMAS cannot be used with --rules"),
        (["lint", "--rules", "--explain", "x"], "--rules cannot be used with --explain"),
        (["rebuild", "x:y", "--status", "--grace", "1"], "--grace cannot be used with --status"),
    ],
)
def test_parameters_without_effect_are_wrong_usage(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a command would ignore is refused, whatever its value is."""
    monkeypatch.setenv("COLUMNS", "500")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
