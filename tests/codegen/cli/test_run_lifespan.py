"""`weenats run` and the lifespan of handlers; its help lists the variables of services."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testkit.forked_commands import forked_command
from testkit.waiting import LIMIT
from weenats.settings import EnvironmentSettings
from weenats_codegen.cli.main import main

LIVED = """
from contextlib import asynccontextmanager
from receipts.handlers import Receipts

class Lived(Receipts):
    @asynccontextmanager
    async def lifespan(self):
        {start}
        yield
        {end}
"""


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("open('/nowhere/at/all')", "FileNotFoundError: [Errno 2] No such file or directory: "),
        ("raise UnavailableError('the stock service is down')", "UnavailableError: "),
    ],
)
def test_failing_lifespan_ends_run(
    start: str,
    name: str,
    tmp_path: Path,
    nats_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A lifespan that cannot be entered ends the command with 1 and one line that says where."""
    code = LIVED.format(start=start, end="")
    (tmp_path / "lived.py").write_text(f"from weenats import UnavailableError\n{code}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "lived", raising=False)
    assert main(["run", "lived:Lived", "--servers", nats_url]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"weenats: the lifespan of receipts raised {name}")
    assert line.endswith("(lived.py:9 in lifespan)")


def test_garbage_collection_leaves_out_what_was_there_at_the_start(
    tmp_path: Path, nats_url: str
) -> None:
    """Modules and models are not read again by each collection while a service runs."""
    start = "import gc; print(any(each is MODELS for each in gc.get_objects()), flush=True)"
    (tmp_path / "lived.py").write_text("MODELS = []\n" + LIVED.format(start=start, end=""))
    with forked_command("run", "lived:Lived", "--servers", nats_url, cwd=tmp_path) as process:
        assert process.stdout.readline() == "False\n"


def test_objects_of_requests_in_flight_start_no_garbage_collection(
    tmp_path: Path, nats_url: str
) -> None:
    """Two thousand objects, of some forty requests in flight, are not collected."""
    (tmp_path / "busy.py").write_text(
        "import gc\n"
        "def collections():\n"
        "    before = gc.get_stats()[0]['collections']\n"
        "    held = [[] for _ in range(2000)]\n"
        "    return gc.get_stats()[0]['collections'] - before\n"
    )
    start = "import busy; print(busy.collections(), flush=True)"
    (tmp_path / "lived.py").write_text(LIVED.format(start=start, end=""))
    with forked_command("run", "lived:Lived", "--servers", nats_url, cwd=tmp_path) as process:
        assert process.stdout.readline() == "0\n"


def test_run_fails_if_the_lifespan_fails_to_end(tmp_path: Path, nats_url: str) -> None:
    """After SIGTERM an exception behind `yield` is in the log, and the exit code is 1."""
    code = LIVED.format(start="print('opened', flush=True)", end="raise OSError('disk full')")
    (tmp_path / "lived.py").write_text(code)
    with forked_command("run", "lived:Lived", "--servers", nats_url, cwd=tmp_path) as process:
        assert process.stdout.readline() == "opened\n"
        assert "is running" in process.stdout.readline()
        process.terminate()
        _, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "the lifespan of receipts failed while it was left: OSError: disk full" in log
    assert log.splitlines()[-1].endswith("raised OSError: disk full (lived.py:10 in lifespan)")


def test_help_lists_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of `run` has each variable with its description."""
    assert main(["run", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, description, _ in EnvironmentSettings.variables():
        assert f"{name} {description}" in shown
