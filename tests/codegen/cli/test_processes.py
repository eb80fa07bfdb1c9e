"""`weenats run --processes`: which processes run, what replaces them, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from testkit.cli_service import TARGET, TEA
from testkit.forked_commands import ForkedCommand, forked_command
from testkit.waiting import LIMIT, eventually, wait_for
from weenats import NatsServiceBuilder
from weenats_codegen.cli import children, output, processes
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.main import main
from weenats_codegen.cli.processes import process_count, serve_in_processes
from weenats_codegen.cli.run import report
from weenats_codegen.cli.targets import builder_of, of_process

CHILD: Final = """
import os, pathlib, signal, sys, time
target, _, number, _, pipe = sys.argv[1:]
def note(word):
    with open("notes", "a") as file:
        file.write(f"{number} {word}\\n")
def stop(*_):
    note("stopping")
    while not os.path.exists("go"):
        time.sleep(0.01)
    sys.exit(int(target == "unclean"))
signal.signal(signal.SIGTERM, signal.SIG_IGN if target == "stubborn" else stop)
mode = pathlib.Path("mode").read_text()
note(mode)
if mode.isdecimal():
    sys.exit(int(mode))
if mode == "forks" and os.fork() == 0:
    os.close(0), os.close(1), os.close(2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while not os.path.exists("over"):
        time.sleep(0.01)
    os._exit(0)
if mode == "forks" and number == "2":
    sys.exit(3)
if mode == "writes":
    os.write(int(pipe), b"x" * 200_000 + b'\\n7\\n[]\\n{"service": 1}\\n\\xff')
with open(int(pipe), "w") as report:
    report.write('\\n{"service": "own", "version": "1.0.0", "instance": "i", "servers": null}\\n')
if target == "interrupts":
    note(os.environ.get("NATS_URL", ""))
    os.kill(os.getppid(), signal.SIGINT)
while True:
    time.sleep(0.05)  # signal.pause() would not notice a signal that arrives just before it
"""
"""What is run in place of a service: it notes what it does, and drains until there is `go`."""
SLOW: Final = """
import asyncio, os
from receipts.handlers import Receipts
class Slow(Receipts):
    async def add_item(self, key, command, context):
        open(f"has-{os.getpid()}", "w").close()
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        return await super().add_item(key, command, context)
"""


def write(name: str, text: str = "") -> None:
    """Write a file of the working directory."""
    Path(name).write_text(text)


def notes() -> list[str]:
    """Return what the children have noted, in the order of their numbers."""
    return sorted(Path("notes").read_text().splitlines()) if Path("notes").exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with cheap programs, which are replaced soon; they run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(children, "SERVE", CHILD)
    monkeypatch.setattr(processes, "_DELAY", 0.01)
    write("mode", "runs")
    write("go")
    return tmp_path


async def started(number: int, target: str = "own") -> tuple[children.Child, int]:
    """Start a process; return it and where it reports."""
    reading, writing = os.pipe()
    arguments = [target, "--process", str(number), "--report-to", str(writing)]
    child = await children.Child.start(arguments, os.environ, writing)
    os.close(writing)
    return child, reading


@asynccontextmanager
async def supervising(target: str = "own") -> AsyncIterator[tuple[asyncio.Task[int], list[Any]]]:
    """Run two processes; return the command and what it announces; end it on SIGINT."""
    announced: list[Any] = []
    start = partial(started, target=target)
    command = asyncio.create_task(processes._Supervisor(start, 2, announced.append).run())
    try:
        yield command, announced
    finally:
        while not command.done():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.wait([command], timeout=0.1)


async def test_killed_process_is_replaced(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A process that was killed, and one that was told to stop, are replaced; others stay."""
    async with supervising() as (_, announced):
        await eventually(lambda: len(announced) == 2)
        os.kill(announced[1]["pid"], signal.SIGKILL)
        await eventually(lambda: len(announced) == 3)
        os.kill(announced[2]["pid"], signal.SIGTERM)
        await eventually(lambda: len(announced) == 4)
    assert [each["process"] for each in announced] == [1, 2, 2, 2]
    told = capfd.readouterr().err
    assert f"process 2 (pid {announced[1]['pid']}) was ended by signal 9; it is replaced" in told
    assert f"process 2 (pid {announced[2]['pid']}) ended with exit code 0; it is repl" in told


async def test_all_processes_drain(project: Path) -> None:
    """SIGTERM stops all processes; the command ends when the last one has drained."""
    (project / "go").rename(project / "later")
    async with supervising() as (command, announced):
        await eventually(lambda: len(announced) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: notes() == ["1 runs", "1 stopping", "2 runs", "2 stopping"])
        assert not command.done()
        write("go")
        assert await command == 0


async def test_third_signal_kills_processes(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The third Ctrl-C kills processes whose event loop does not run."""
    async with supervising("stubborn") as (command, announced):
        await eventually(lambda: len(announced) == 2)
        for number in range(1, children.MAX_TERMINATIONS + 2):
            os.kill(os.getpid(), signal.SIGINT)
            told = ""
            while "stopping" not in told:
                await asyncio.sleep(0)
                told += capfd.readouterr().err
            assert ("killed" in told) == (number > children.MAX_TERMINATIONS)
        assert await command == 0


async def test_failed_drain_is_the_exit_code(project: Path) -> None:
    """If a process fails while it stops, the command fails too."""
    async with supervising("unclean") as (command, announced):
        await eventually(lambda: len(announced) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await command == 1


@pytest.mark.parametrize("code", [1, 2])
async def test_first_process_that_fails_ends_all(
    project: Path, capfd: pytest.CaptureFixture[str], code: int
) -> None:
    """What keeps the first process from starting is shown once; its exit code is returned."""
    write("mode", str(code))
    async with supervising() as (command, announced):
        assert await command == code
    assert notes() == [f"1 {code}"]
    assert not announced
    assert "the first process has ended before it served" in capfd.readouterr().err


async def test_command_gives_up(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """When no process serves any more, and starts fail again and again, the command fails."""
    monkeypatch.setattr(processes, "_ATTEMPTS", 2)
    async with supervising() as (command, announced):
        await eventually(lambda: len(announced) == 2)
        write("mode", "1")
        for each in announced:
            os.kill(each["pid"], signal.SIGKILL)
        assert await command == 1
    told = capfd.readouterr().err
    found = re.search(r"no process serves: (\d+) starts in a row have failed; stopping", told)
    assert found is not None, told
    # Both try twice; one goes on while it is not seen yet that the other does not serve.
    assert int(found[1]) >= 4


async def test_repeated_ends_are_delayed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process waits twice as long each time, unless the last one ran for a while."""
    async with supervising() as (_, announced):
        for count in range(2, 7):
            await eventually(lambda count=count: len(announced) == count)
            if count == 5:
                monkeypatch.setattr(processes, "_STEADY", 0.0)
            os.kill(announced[-1]["pid"], signal.SIGKILL)
    told = capfd.readouterr().err
    delays = [line.split("replaced in ")[1] for line in told.splitlines() if "replaced" in line]
    assert delays[:4] == ["0.01 s", "0.02 s", "0.04 s", "0.01 s"]


async def test_other_lines_are_no_report(project: Path) -> None:
    """What code of a service writes to the pipe of the report is passed over."""
    write("mode", "writes")
    async with supervising() as (_, announced):
        await eventually(lambda: len(announced) == 2)
    assert {each["service"] for each in announced} == {"own"}


@pytest.mark.parametrize("is_used_again", [False, True])
def test_closed_pipe_of_the_report_is_an_error(*, is_used_again: bool) -> None:
    """A process that cannot report that it serves fails, and writes to no other file."""
    reading, writing = os.pipe()
    pipe = os.fstat(writing)
    os.close(writing)
    other = os.pipe() if is_used_again else (reading,)
    service = builder_of(TARGET).with_servers("nats://a").build()
    try:
        with pytest.raises(CliError, match=r"file descriptor \d+ is needed to report"):
            report(service, "", to=other[-1] if is_used_again else writing, pipe=pipe)
    finally:
        for each in {reading, *other}:
            os.close(each)


async def test_forked_helpers_do_not_hold_up_the_others(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process is announced, or replaced, although what it has forked keeps its pipe open."""
    monkeypatch.setattr(processes, "_READING", 0.01)
    write("mode", "forks")
    try:
        async with supervising() as (_, announced):
            await eventually(lambda: "2 forks" in notes())
            assert [each["process"] for each in announced] == [1]
            write("mode", "runs")
            await eventually(lambda: len(announced) == 2)
    finally:
        write("over")
    assert "ended with exit code 3; it is replaced" in capfd.readouterr().err


async def test_process_that_cannot_be_started_is_tried_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others go on serving meanwhile."""
    async with supervising() as (command, announced):
        await eventually(lambda: len(announced) == 2)
        with monkeypatch.context() as patch:
            patch.setattr("sys.executable", str(project / "none"))
            os.kill(announced[0]["pid"], signal.SIGKILL)
            told = ""
            while told.count("process 1 cannot be started: [Errno 2]") < 2:
                await asyncio.sleep(0.01)
                told += capfd.readouterr().err
        await eventually(lambda: len(announced) == 3)
        assert not command.done()
    assert command.result() == 0


@pytest.mark.parametrize("failing", [1, 2])
async def test_failure_of_the_command_ends_all(project: Path, failing: int) -> None:
    """An exception ends the command only after its processes."""
    pids: list[int] = []

    def announce(facts: processes.Facts) -> None:
        pids.append(facts["pid"])
        if facts["process"] == failing:
            raise ValueError("cannot be announced")

    supervisor = processes._Supervisor(started, 2, announce)
    with pytest.raises(ValueError, match="cannot be announced"):
        await asyncio.wait_for(supervisor.run(), LIMIT)
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_signal_during_a_start(project: Path) -> None:
    """A process that is started while all are stopped is stopped too."""

    async def start(number: int) -> tuple[children.Child, int]:
        child = await started(number)
        supervisor._on_signal()
        return child

    supervisor = processes._Supervisor(start, 1, lambda _: None)
    assert await asyncio.wait_for(supervisor.run(), LIMIT) == 0


@pytest.mark.parametrize(
    ("as_json", "shown"),
    [(False, "own 1.0.0 is running (process 1 of 1, pid "), (True, '{"service": "own", ')],
)
def test_processes_are_announced(
    project: Path, capsys: pytest.CaptureFixture[str], *, as_json: bool, shown: str
) -> None:
    """Each process is announced with its number and pid."""
    assert serve_in_processes("interrupts", ["nats://a"], 1, embedded=False, as_json=as_json) == 0
    assert capsys.readouterr().out.startswith(shown)
    assert "1 nats://a" in notes()


def test_announcement_that_cannot_be_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Processes that cannot be announced serve nevertheless."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(processes, "emit_line", fail)
    monkeypatch.setattr(output, "discard", lambda: None)
    assert serve_in_processes("interrupts", [], 1, embedded=False, as_json=True) == 0
    assert "cannot write to standard output: No space left" in capsys.readouterr().err


def test_interpreter_that_cannot_be_started(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an interpreter the command fails; no file descriptor stays open."""
    monkeypatch.setattr("sys.executable", str(project / "none"))
    before = len([*Path("/dev/fd").iterdir()])
    with pytest.raises(FileNotFoundError):
        serve_in_processes("own", [], 1, embedded=False, as_json=True)
    assert len([*Path("/dev/fd").iterdir()]) == before


@pytest.mark.parametrize(
    ("limit", "count"),
    [("max 100000", 3), ("250000 100000", 3), ("150000 100000", 2), ("1000 100000", 1)],
)
def test_auto_is_one_process_per_core(
    project: Path, monkeypatch: pytest.MonkeyPatch, limit: str, count: int
) -> None:
    """`auto` is the number of cores that the process, and its container, may use."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    write("limit", limit)
    monkeypatch.setattr(processes, "_CPU_LIMIT", Path("limit"))
    assert process_count("auto") == count
    assert process_count("12") == 12


@pytest.mark.parametrize("text", ["0", "257", "-1", "1.5", "many", "", "\u0663"])
def test_invalid_count_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--processes is `auto` or a number in its bounds."""
    assert main(["run", TARGET, f"--processes={text}"]) == 2
    assert "is neither `auto` nor a number from 1 to 256" in capsys.readouterr().err


def test_reload_takes_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    """--reload and --processes are mutually exclusive."""
    assert main(["run", TARGET, "--reload", "--processes", "2"]) == 2
    assert "--reload and --processes cannot be used together" in capsys.readouterr().err


def test_health_probes_have_ports_in_a_row() -> None:
    """The probes of each process have a port of their own, if there are enough."""
    builder = builder_of(TARGET).with_health(http="[::1]:65534")
    assert _http(of_process(builder, 1)) == "[::1]:65534"
    assert _http(of_process(builder, 2)) == "[::1]:65535"
    with pytest.raises(CliError, match=r"process 3 cannot start: .*\[::1\]:65536"):
        of_process(builder, 3)
    assert _http(of_process(builder_of(TARGET).with_health(http="a:0"), 2)) == "a:0"
    assert _http(of_process(builder_of(TARGET).with_health(), 2)) is None
    with pytest.raises(ValueError, match="number is an integer of at least 1, not 0"):
        builder.with_process(0)


def _http(builder: NatsServiceBuilder) -> str | None:
    health = builder._settings.health
    return None if health is None else health.http


@contextmanager
def running(nats_url: str, folder: Path) -> Iterator[tuple[ForkedCommand, list[dict[str, Any]]]]:
    """Run two processes of a slow service; return the command and what it announced.

    Its log is on standard output too.
    """
    (folder / "slow.py").write_text(SLOW)
    arguments = ("run", "slow:Slow", "--processes", "2", "--servers", nats_url, "--json")
    with forked_command(*arguments, cwd=folder, merge=True) as process:
        lines = (line for line in process.stdout if line.startswith('{"service"'))
        yield process, [json.loads(next(lines)) for _ in range(2)]


def test_instances_serve_and_drain(
    tmp_path: Path, nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each process is an instance with health of its own; SIGTERM answers what is in flight."""
    with running(nats_url, tmp_path) as (process, announced):
        instances = {each["instance"] for each in announced}
        servers = ("--servers", nats_url)
        for command in (["services", "receipts"], ["health", "receipts"], ["top", "--once"]):
            assert main([*command, *servers, "--json"]) == 0
            shown = capsys.readouterr().out
            assert all(instance in shown for instance in instances)
        call = ("call", "receipts", "add-item", "r-1", TEA, *servers, "--timeout", str(LIMIT))
        with forked_command(*call, cwd=tmp_path) as caller:
            wait_for(lambda: list(tmp_path.glob("has-*")))
            process.terminate()
            stops = {next(_stopping(process)), next(_stopping(process))}
            (tmp_path / "go").touch()
            caller.communicate(LIMIT)
            assert caller.returncode == 0
        process.communicate(LIMIT)
    assert process.returncode == 0
    assert len(instances) == 2
    assert stops == {each["pid"] for each in announced}


def test_processes_end_with_the_supervisor(tmp_path: Path, nats_url: str) -> None:
    """When the command is killed, its processes drain and end."""
    with running(nats_url, tmp_path) as (process, announced):
        os.kill(process.pid, signal.SIGKILL)
        log, _ = process.communicate(LIMIT)  # ends when nobody can write any more
        wait_for(lambda: not any(_is_alive(each["pid"]) for each in announced))
    assert "Traceback" not in log


def _stopping(process: ForkedCommand) -> Iterator[int]:
    """Return the pids of the log lines of processes that stop."""
    pattern = re.compile(r"INFO weenats\.service \[process (\d+)\]: receipts stops on a signal")
    for line in process.stdout:
        if found := pattern.match(line):
            yield int(found[1])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # where nobody waits for orphans, they stay as zombies
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
