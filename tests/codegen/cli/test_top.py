"""The `weenats top` command, against a real nats-server with two instances."""

import asyncio
import json
import os
import pty
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.discovery import ExpectAnswers
from testkit.forked_commands import forked_command, run_weenats
from testkit.forks import CONTEXT, forked
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder
from weenats.errors import UnavailableError
from weenats.streams.consumer_states import ConsumerState
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main
from weenats_codegen.cli.top import Poll, poll, screen, watch
from weenats_codegen.cli.top_consumers import Consumers

TEA = AddItem(name="Tea", price=0.1, quantity=3)


async def serve(url: str, ids: list[str], started: threading.Event, ended: threading.Event) -> None:
    """Run one instance with monitoring and one without, and call them until the end."""
    told = NatsServiceBuilder(Receipts(), url).with_monitoring().build()
    silent = NatsServiceBuilder(Receipts(), url).build()
    async with told, silent, ReceiptsClient.connect(url) as client:
        ids += [told.instance_id, silent.instance_id]
        for number in range(40):
            await client.add_item(f"r-{number}", TEA)
        started.set()
        while not ended.is_set():
            await client.add_item("r-1", TEA)
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def instances() -> Iterator[tuple[str, list[str]]]:
    """Server URL and the ids of two running instances; the first has monitoring."""
    ids: list[str] = []
    started, ended = threading.Event(), threading.Event()
    with NatsServer() as server:
        run = serve(server.url, ids, started, ended)
        thread = threading.Thread(target=lambda: asyncio.run(run), daemon=True)
        thread.start()
        assert started.wait(LIMIT)
        yield server.url, ids
        ended.set()
        thread.join(LIMIT)


@contextmanager
def top_on_terminal(kind: str, url: str, folder: Path) -> Iterator[tuple[BaseProcess, int]]:
    """Run `weenats top` in a fork, on a terminal.

    Returns:
        The process, and the file descriptor of what the terminal shows.
    """
    screen, output = pty.openpty()
    environment = {**os.environ, "TERM": kind, "COLUMNS": "100"}
    arguments = ("top", "receipts", "--servers", url, "--interval", "0.1")
    with closing(Connection(screen)), Connection(output, readable=False) as theirs:
        target = forked(run_weenats, *arguments, cwd=folder, environment=environment, stdout=theirs)
        with target as process:
            theirs.close()
            yield process, screen


def test_top_once_json(
    instances: tuple[str, list[str]],
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """With --once and --json one document is printed on one line, with every instance."""
    expect_answers(2)
    url, ids = instances
    arguments = ["top", "--servers", url, "--once", "--json", "--interval", "0.5"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    told = {each["instance"]: each for each in json.loads(shown)["instances"]}
    assert set(told) == set(ids)
    for each in told.values():
        assert (each["service"], each["version"], each["errorRate"]) == ("receipts", "1.0.0", 0)
        assert (each["circuitBreaker"], each["refusals"]) == (None, None)
    assert sum(each["rate"] for each in told.values()) > 0
    monitored, silent = (told[each] for each in ids)
    assert 0 < monitored["p50"] <= monitored["p99"]
    assert monitored["queued"] == 0
    assert [silent[each] for each in ("p50", "p99", "inFlight", "queued")] == [None] * 4


def test_piped_table_has_whole_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row stays one line in a pipe, however long the names of a service and a consumer are."""
    monkeypatch.delenv("COLUMNS", raising=False)
    state = ConsumerState("t" * 50, "c" * 50, 1, 2, 3, lag=4.5, paused=False)
    with screen(as_json=False) as show:
        show([], Consumers(durable={"s" * 50: [state]}))
    assert len(capsys.readouterr().out.rstrip().split("\n")) == 4


def test_top_once_prints_plain_table(
    instances: tuple[str, list[str]],
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """Without a terminal a plain table is printed, without escape sequences."""
    expect_answers(2)
    url, ids = instances
    assert main(["top", "receipts", "--servers", url, "--once", "--interval", "0.2"]) == 0
    shown = capsys.readouterr().out
    head, *rows = shown.rstrip().split("\n")
    assert head.split()[:3] == ["instance", "req/s", "err/s"]
    assert sorted(row.split()[1][1:] for row in rows) == sorted(each[-8:] for each in ids)
    assert "\x1b" not in shown


def test_top_without_instances(
    own_nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """That no service is running is not an error."""
    arguments = ["top", "--servers", own_nats_server.url, "--once", "--interval", "0.1"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "no service is running\n"
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["instances"] == []


@pytest.mark.parametrize("options", [(), ("--once",), ("--json",)], ids=str)
def test_top_of_a_service_that_does_not_run(
    options: tuple[str, ...],
    instances: tuple[str, list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The named service has to run, or to have consumers: a misspelled name is an error at once."""
    assert main(["top", "reciepts", "--servers", instances[0], *options]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ("weenats: no instance of reciepts is running; did you mean receipts?\n")


def test_top_json_runs_until_ctrl_c(instances: tuple[str, list[str]], tmp_path: Path) -> None:
    """One JSON document per line is printed until Ctrl-C, which exits silently with 0."""
    url, ids = instances
    arguments = ("top", "receipts", "--servers", url, "--interval", "0.1", "--json")
    with forked_command(*arguments, cwd=tmp_path) as process:
        documents: list[dict[str, Any]] = []
        while len(documents) < 3 or not shows(documents[-1], ids):
            documents.append(json.loads(process.stdout.readline()))
        os.kill(process.pid, signal.SIGINT)
        _, log = process.communicate(LIMIT)
    assert (process.returncode, log) == (0, "")
    assert documents[0]["timestamp"] < documents[1]["timestamp"]


def shows(document: dict[str, Any], ids: list[str]) -> bool:
    """Return whether a document shows these instances and no others."""
    return {each["instance"] for each in document["instances"]} == set(ids)


def test_top_stops_on_closed_pipe(instances: tuple[str, list[str]], tmp_path: Path) -> None:
    """A closed standard output, as after `| head -1`, exits silently with 0."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    arguments = ("top", "--servers", instances[0], "--interval", "0.1", "--json")
    log = tmp_path / "stderr.txt"
    with ours, theirs:
        target = forked(run_weenats, *arguments, cwd=tmp_path, stdout=theirs, stderr=log)
        with target as process:
            theirs.close()
            assert os.read(ours.fileno(), 1)
            ours.close()
            process.join(LIMIT)
            assert (process.exitcode, log.read_text()) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top_redraws_table_on_terminal(
    instances: tuple[str, list[str]], number: signal.Signals, tmp_path: Path
) -> None:
    """On a terminal the table is redrawn in place; whatever ends it shows the cursor again."""
    url, ids = instances
    with top_on_terminal("xterm", url, tmp_path) as (process, screen):
        shown = ""
        while shown.count("req/s") < 3:
            shown += os.read(screen, 4096).decode()
        assert process.pid is not None
        os.kill(process.pid, number)
        try:
            while part := os.read(screen, 4096).decode():
                shown += part
        except OSError:  # how a terminal says that nobody writes to it any more
            pass
        process.join(LIMIT)
        assert process.exitcode == 0
    assert "\x1b[2K" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    for each in ids:
        assert each[-8:] in shown


def test_top_on_a_terminal_that_cannot_redraw(
    instances: tuple[str, list[str]], tmp_path: Path
) -> None:
    """With TERM=dumb, tables are printed below one another, without escape sequences."""
    with top_on_terminal("dumb", instances[0], tmp_path) as (_, screen):
        shown = ""
        while shown.count("req/s") < 3:
            shown += os.read(screen, 4096).decode()
    assert "\x1b" not in shown


async def test_outage_is_reported_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection is one line, not one at each interval, and polling continues."""
    failures = 0
    shown = asyncio.Event()

    async def counted(*arguments: Any) -> Poll:
        nonlocal failures
        try:
            return await poll(*arguments)
        except UnavailableError:
            failures += 1
            if failures == 2:
                await asyncio.to_thread(server.restart)
            raise

    def show(*_: object) -> None:
        if not failures:
            server.kill()
        else:
            shown.set()

    monkeypatch.setattr("weenats_codegen.cli.top.poll", counted)
    with NatsServer() as server:
        watching = asyncio.create_task(watch(None, [server.url], show, interval=0.01, once=False))
        await asyncio.wait_for(shown.wait(), LIMIT)
        watching.cancel()
        await asyncio.wait([watching])
    assert capsys.readouterr().err.count("weenats: UNAVAILABLE: ") == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["Bad.Name"], 2, "Bad.Name"),
        (["--interval", "0"], 2, "0.1"),
        (["--interval", "nan"], 2, "Invalid value"),
        (["--servers", "nats://127.0.0.1:1"], 1, "weenats: UNAVAILABLE"),
    ],
)
def test_top_reports_usage_and_connection_errors(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Invalid arguments exit with 2, an unreachable server with 1 and one line."""
    assert main(["top", *arguments]) == code
    assert told in capsys.readouterr().err
