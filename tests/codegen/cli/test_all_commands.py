"""Every command with every argument and option, given wrongly, and with outputs that fail.

A new command or option is tested without being named here; see `testkit.command_table`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, get_origin

import pytest

from testkit.command_table import (
    COMMANDS,
    NOWHERE,
    WITH_SERVERS,
    Parameter,
    line_of,
    parameters,
)
from testkit.forked_commands import forked_command
from testkit.waiting import LIMIT
from weenats.testing import NatsServer
from weenats_codegen import generate
from weenats_codegen.cli.main import main

SECRET: Final = "hidden-by-all"
_AMOUNT: Final = {"type": "object", "properties": {"total": {"type": "number"}}}
CONTRACT: Final = {
    "service": "receipts",
    "version": "1.0.0",
    "description": "Keeps receipts.",
    "aggregates": {
        "receipt": {
            "state": _AMOUNT,
            "commands": {"pay": {"description": "Pay.", "payload": _AMOUNT, "emits": ["paid"]}},
            "queries": {"get": {"description": "Show a receipt."}},
            "events": {"paid": {"description": "It was paid.", "data": _AMOUNT}},
            "durable": True,
        }
    },
}
REPORTS: Final = {"check", "diff", "lint"}
"""Commands whose report is the same whether they fail or not."""
_TEXTS: Final = (
    "",
    " ",
    "-",
    "-1",
    "x" * 5000,
    "a b\n\x1b[31m\u202e\x9b",
    "\udcff",
    "--json",
    "../none/such",
    "schemas",
)
_NUMBERS: Final = ("", "x", "nan", "inf", "-1", "0x10", "1e400", "x" * 5000, "a\n\x1b[31m\udcff")
_PATHS: Final = (*_TEXTS, "schemas/receipts/service.json", "latin-1", "pipe", "/proc/self/mem")
_URLS: Final = (f"nats://me:{SECRET}@h:4222:1", f"nats://me:{SECRET}@127.0.0.1:1", "http://h", ",")
ODD: Final[Mapping[Any, tuple[str, ...]]] = {
    bool: ("x",),
    float: _NUMBERS,
    int: _NUMBERS,
    str: _TEXTS,
    Path: _PATHS,
    Literal: ("", "x" * 5000, "a\n\x1b[31m\u202e"),
}
"""Values by the type of the parameter."""
MAX_LINES: Final = 12


def odd_values(parameter: Parameter) -> Iterator[tuple[str, bool]]:
    """Yield odd values, and whether the type of the parameter alone makes them wrong usage."""
    kind = get_origin(parameter.kind) or parameter.kind
    for value in ODD[kind]:
        if parameter.option or not (kind is Path and value == "-"):
            yield value, kind not in {str, Path}
    if "URL" in parameter.help or "nats://" in parameter.help:
        yield from ((value, False) for value in _URLS)


def tree(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.as_posix() for path in folder.rglob("*")}


class Shell:
    """Runs commands in a folder, and notes what is wrong with how they end."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Initialize."""
        self.folder, self.capsys = folder, capsys
        self.out, self.err = "", ""
        self.wrong: dict[str, list[str]] = {}

    def run(self, line: list[str], command: str) -> int:
        """Return the exit code of a command."""
        before = tree(self.folder)
        code = main(line)
        self.out, self.err = out, err = self.capsys.readouterr()
        made = tree(self.folder) - before
        both = out + err
        problems = {
            f"exit code {code}": code not in {0, 1, 2},
            "says nothing": not both,
            "failure without an error": bool(code)
            and not re.search(r"^(weenats|Error): .", err, re.MULTILINE)
            and command not in REPORTS,
            "traceback": "Traceback" in both or "a bug" in both,
            "controls the terminal": not re.sub(r"[\n\t]", "", both).isprintable(),
            "secret": SECRET in both,
            "many lines": err.count("\n") > MAX_LINES,
            "long line": max(map(len, err.splitlines()), default=0) > 2100,
            "data of a failure": bool(code and out) and command not in REPORTS,
            f"left {made}": bool(made and code) or any(".weenats" in each for each in made),
        }
        if found := [problem for problem, is_so in problems.items() if is_so]:
            self.wrong[" ".join(ascii(part)[1:-1][:60] for part in line)] = [*found, both[-300:]]
        self.remove(made)
        return code

    def remove(self, made: set[str]) -> None:
        """Remove what a command has made, so that the next one finds the same."""
        for each in map(Path, made):
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A folder with a contract, whose packages are not made anew each time, and odd files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.setattr(
        generate, "package_files", lambda _: {"receipts/__init__.py": "# package\n" * 20}
    )
    Path("schemas/receipts").mkdir(parents=True)
    Path("schemas/receipts/service.json").write_text(json.dumps(CONTRACT))
    Path("latin-1").mkdir()
    Path("latin-1/service.yaml").write_bytes(b"service: caf\xe9\n")
    os.mkfifo("pipe")
    return Shell(tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", COMMANDS)
def test_odd_values(command: str, shell: Shell) -> None:
    """Whatever a value is: the right exit code, few lines, no traceback, nothing left behind."""
    for each in parameters(command):
        for value, is_wrong_usage in odd_values(each):
            code = shell.run(line_of(command, {each.name: value}), command)
            if is_wrong_usage and code != 2:
                shell.wrong[f"{each.name} {value!r}"] = [f"not wrong usage, {code}"]
    assert shell.wrong == {}


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", COMMANDS)
def test_odd_variables(command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from an environment variable may be as odd as an option."""
    for each in parameters(command):
        if each.variable is not None:
            for value, _ in odd_values(each):
                with monkeypatch.context() as environment:
                    environment.setenv(each.variable, value)
                    shell.run(line_of(command, {}, without=each.name), command)
    assert shell.wrong == {}


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", COMMANDS)
def test_options_twice(command: str, shell: Shell) -> None:
    """An option that is given twice ends as if it was given once."""
    for each in parameters(command):
        if each.option:
            once = line_of(command, {each.name: "x"})
            twice = [*command.split(), f"{each.option}=x", *once[len(command.split()) :]]
            assert shell.run(twice, command) == shell.run(once, command), each.option
    assert shell.wrong == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_odd_lines(command: str, shell: Shell) -> None:
    """Options that do not exist, one argument too many and one too few are wrong usage."""
    valid = line_of(command, {})
    lines = [[*command.split(), "--nonsense"], [*command.split(), f"--{ODD[Literal][-1]}"]]
    if "SCHEMAS" not in {each.metavar for each in parameters(command)}:
        lines.append([*valid, *("x" for _ in parameters(command))])
    if any(each.is_required and not each.option for each in parameters(command)):
        lines.append(command.split())
    assert [shell.run(line, command) for line in lines] == [2] * len(lines)
    assert shell.wrong == {}


@pytest.mark.parametrize("line", [["x\n\u202e\x9b"], ["--x\u202e"], ["streams", "x\u202e"]])
def test_odd_commands(line: list[str], shell: Shell) -> None:
    """A command that does not exist is wrong usage, whatever characters it has."""
    assert shell.run(line, "") == 2
    assert shell.wrong == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The program lists each command, whose help shows its options and an example."""
    path = command.split()
    assert main(["--help"]) == 0
    assert f"\n  {path[0]} " in capsys.readouterr().out
    assert main([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example:\n    weenats {command}" in shown
    assert all(each.option in shown for each in parameters(command))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", WITH_SERVERS)
def test_no_server(command: str, shell: Shell) -> None:
    """An unreachable server is one error line that names NATS_URL and --servers."""
    assert shell.run(line_of(command, {}), command) == 1
    last = shell.err.splitlines()[-1]
    assert last.startswith(f"weenats: UNAVAILABLE: no connection to NATS at {NOWHERE}: ")
    assert last.endswith("; set NATS_URL or --servers")
    assert shell.wrong == {}


@pytest.fixture(scope="module")
def foreign_urls() -> Iterator[list[str]]:
    """Servers that are no nats-servers; the first one says nothing."""
    greetings = (
        b"",
        b"SSH-2.0-x\r\n",
        b"INFO {\r\n",
        b"INFO {}\r\n-ERR '\x1b[31m'\r\n",
        b"x" * 99999,
    )
    with ExitStack() as stack:
        urls: list[str] = []
        for greeting in greetings:

            class Greet(socketserver.BaseRequestHandler):
                text = greeting

                def handle(self) -> None:
                    with suppress(OSError):
                        self.request.sendall(self.text)
                        self.request.recv(1)  # until the client closes

            server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greet))
            server.daemon_threads = True
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            urls.append(f"nats://127.0.0.1:{server.server_address[1]}")
        yield urls


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", WITH_SERVERS)
def test_foreign_servers(command: str, shell: Shell, foreign_urls: list[str]) -> None:
    """What is no nats-server is an error of few lines."""
    for url in foreign_urls:
        assert shell.run(line_of(command, {"servers": url}), command) == 1
    assert shell.wrong == {}


@pytest.fixture(scope="module")
def empty_url() -> Iterator[str]:
    """A nats-server of these tests, on which `streams apply` may create streams."""
    with NatsServer() as server:
        yield server.url


FULL: Final = "weenats: cannot write to standard output: No space left on device\n"


@contextmanager
def unwritable(how: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let standard output be closed, a pipe that nobody reads, or a full disk."""
    if how == "closed":
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", None)
            yield
            sys.stdout.close()
        return
    if how == "full":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        other, end = os.pipe()
        os.close(other)
    stream = os.fdopen(end, "w", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield
    with suppress(OSError):
        stream.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("as_json", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"demo", "run", "mock"}))
def test_unwritable_output(
    command: str, as_json: bool, shell: Shell, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk fails a command with one line, a reader that is gone silently."""
    line = line_of(command, {"servers": empty_url, **({"json": None} if as_json else {})})
    before = tree(shell.folder)
    code = shell.run(line, command)
    printed, told = bool(shell.out), shell.err
    failure = 2 if command == "diff" else 1  # there, 1 is a breaking change
    for how, fails, reason in (
        ("closed", False, told),
        ("gone", printed and command != "top", "" if printed else told),
        ("full", printed, FULL if printed else told),
    ):
        with unwritable(how, monkeypatch):
            end = main(line)
        shell.remove(tree(shell.folder) - before)
        shown = shell.capsys.readouterr().err
        assert (how, end, shown) == (how, code or failure if fails else code, reason)


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_SERVERS)
def test_signals(command: str, shell: Shell) -> None:
    """Ctrl-C ends a command that waits for a server with 130, SIGTERM at once; both silently."""
    before = tree(shell.folder)
    serves = command in {"mock", "run"}  # which ends with success, as `top` does after Ctrl-C
    ends = {signal.SIGINT: 0 if command == "top" else 130, signal.SIGTERM: 0 if serves else -15}
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(LIMIT)
        line = line_of(command, {"servers": f"nats://127.0.0.1:{mute.getsockname()[1]}"})
        for number, code in ends.items():
            with forked_command(*line, cwd=shell.folder) as process, mute.accept()[0]:
                os.kill(process.pid, number)
                out, err = process.communicate(LIMIT)
            assert (process.returncode, out) == (code, "")
            assert serves or err == ""
            assert "Traceback" not in err
    assert tree(shell.folder) == before


FOLDERS: Final = [
    (command, each.name)
    for command in COMMANDS
    for each in parameters(command)
    if each.kind is Path and not each.option
]
"""Commands that read a folder of contracts, and the name of that argument."""


@pytest.mark.parametrize(("command", "name"), FOLDERS)
def test_closed_folder(
    command: str, name: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of contracts that may not be read fails a command with one line."""
    Path("closed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "closed")
    assert shell.run(line_of(command, {name: "closed"}), command) == 1
    assert shell.err == "weenats: closed: is not readable; permit reading and entering it\n"
    assert shell.wrong == {}


@pytest.mark.skipif(not Path("/sys").exists(), reason="needs /sys, where even root may not write")
@pytest.mark.parametrize(
    "line", [["new", "things", "--root=/sys"], ["generate", "--out=/sys"], ["docs", "--out=/sys"]]
)
def test_read_only_folder(line: list[str], shell: Shell) -> None:
    """A folder that may not be written fails a command with one line that names it."""
    assert shell.run(line, line[0]) == 1
    assert re.fullmatch(r"weenats: /sys[^ ]*: cannot write to the folder \(.+\)\n", shell.err)
    assert shell.wrong == {}


@pytest.mark.parametrize(
    ("line", "place"),
    [(["new", "things"], "schemas/things"), (["generate"], "generated"), (["docs"], "site")],
)
def test_full_disk(line: list[str], place: str, shell: Shell) -> None:
    """A disk on which files cannot be written fails a command with one line; nothing is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert shell.run(line, line[0]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert shell.err == f"weenats: {place}: File too large\n"
    assert shell.wrong == {}
