"""`weenats run --reload`: what restarts the service, and how it and the command end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import receipts
from testkit.forked_commands import ForkedCommand, forked_command
from testkit.waiting import eventually
from weenats_codegen.cli import children, reload, watching
from weenats_codegen.cli.reload import Project
from weenats_codegen.cli.watching import changed, snapshot

SERVICE = """
from receipts.handlers import Receipts
class Own(Receipts): ...
Own.contract = __import__("dataclasses").replace(Receipts.contract, version="{version}")
"""
CHILD = """
import os, pathlib, signal, sys, time
def note(word):
    with open("notes", "a") as file:
        file.write(word + "\\n")
def stop(*_):
    note("stopping")
    while text == "slow" and not os.path.exists("go"):
        pass
    sys.exit(0)
text = pathlib.Path("own.py").read_text()
signal.signal(signal.SIGTERM, signal.SIG_IGN if text == "stubborn" else stop)
note(text)
if text in ("broken", "usage"):
    sys.exit(1 if text == "broken" else 2)
if text == "server":
    note(os.environ["NATS_URL"])
    os.kill(os.getppid(), signal.SIGINT)
while True:
    time.sleep(0.05)  # signal.pause() would not notice a signal that arrives just before it
"""
"""What is run in place of a service: it notes the text of the module, and ends on SIGTERM."""
GENERATE = """
import pathlib, sys
text = pathlib.Path("schemas/service.yaml").read_text()
if text == "invalid":
    sys.exit("the contract is invalid")
pathlib.Path("generated/package.py").write_text(text)
"""
"""What is run in place of the generator: it copies the contract."""


def write(name: str, text: str) -> None:
    """Replace a file of the working directory at once, as editors do."""
    Path("new").write_text(text)
    Path("new").replace(name)


def notes() -> list[str]:
    """Return what the children have noted."""
    return Path("notes").read_text().splitlines() if Path("notes").exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the working directory, with cheap programs, that is looked at often."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reload, "_INTERVAL", 0.01)
    monkeypatch.setattr(children, "SERVE", CHILD)
    monkeypatch.setattr(reload, "_GENERATE", GENERATE)
    for folder in ("schemas", "generated"):
        Path(folder).mkdir()
    write("own.py", "1")
    write("schemas/service.yaml", "1")
    return Project.of("own:Own", Path("schemas"), Path("generated"))


@pytest.fixture
def warnings(capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Function that returns all warnings of the command."""
    shown: list[str] = []

    def read() -> str:
        shown.append(capfd.readouterr().err)
        return "".join(shown)

    return read


@asynccontextmanager
async def reloading(project: Project) -> AsyncIterator[asyncio.Task[int]]:
    """Run the command without a nats-server; end it on SIGINT."""
    command = asyncio.create_task(reload._Reloader(["own:Own"], os.environ, project).run())
    try:
        await eventually(lambda: notes() or command.done())
        yield command
    finally:
        while not command.done():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.wait([command], timeout=0.1)


async def test_changes_restart_and_errors_are_shown(
    project: Project, warnings: Callable[[], str]
) -> None:
    """A change restarts, a service that fails is shown and the next change tried, Ctrl-C ends."""
    async with reloading(project) as command:
        for text in ("2", "broken"):
            write("own.py", text)
            await eventually(lambda text=text: text in notes())
        await eventually(lambda: "the service has ended; waiting for a change" in warnings())
        write("own.py", "3")
        await eventually(lambda: "3" in notes())
        os.kill(os.getpid(), signal.SIGINT)
        assert await command == 0
    assert notes() == ["1", "stopping", "2", "stopping", "broken", "3", "stopping"]
    assert warnings().count("reloading, since own.py changed") == 3


async def test_contract_is_generated_anew(project: Project, warnings: Callable[[], str]) -> None:
    """A changed contract is generated and served; an invalid one is shown, and changes nothing."""
    async with reloading(project):
        write("schemas/service.yaml", "invalid")
        await eventually(lambda: "the contract is invalid" in warnings())
        write("schemas/service.yaml", "2")
        await eventually(lambda: notes().count("1") == 2)
    assert warnings().count("reloading, since generated/package.py changed") == 1


async def test_old_service_finishes_its_requests(project: Project) -> None:
    """The next service starts when the old one has finished what it does."""
    write("own.py", "slow")
    async with reloading(project):
        write("own.py", "2")
        await eventually(lambda: "stopping" in notes())
        assert notes() == ["slow", "stopping"]
        write("go", "")
        await eventually(lambda: notes() == ["slow", "stopping", "2"])


async def test_service_that_does_not_end_is_killed(
    project: Project, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], str]
) -> None:
    """After the drain timeout the old service is killed, so that the new one starts."""
    monkeypatch.setattr(reload, "_DRAIN_LIMIT", 0.05)
    write("own.py", "stubborn")
    async with reloading(project):
        write("own.py", "2")
        await eventually(lambda: "2" in notes())
    assert "the service did not end within 0.05 seconds; it is killed" in warnings()


async def test_third_signal_kills_the_service(
    project: Project, warnings: Callable[[], str]
) -> None:
    """The third Ctrl-C kills a service whose event loop does not run."""
    write("own.py", "stubborn")
    async with reloading(project) as command:
        for number in range(1, children.MAX_TERMINATIONS + 2):
            os.kill(os.getpid(), signal.SIGINT)
            await eventually(lambda number=number: warnings().count("stopping") == number)
        assert await command == 0
    assert "stopping: the service is killed" in warnings()


async def test_wrong_usage_ends_at_once(project: Project) -> None:
    """A target that no change can make right ends the command with 2."""
    write("own.py", "usage")
    async with reloading(project) as command:
        assert await command == 2


@pytest.mark.parametrize("servers", [[], ["nats://a", "nats://b"]])
def test_servers_are_in_the_environment(project: Project, servers: list[str]) -> None:
    """Children have the URL of the embedded server, or those that are given, in NATS_URL."""
    write("own.py", "server")
    assert reload.reload("own:Own", servers, project, embedded=not servers, as_json=True) == 0
    url = notes()[1]
    assert url == ",".join(servers) if servers else url.startswith("nats://127.0.0.1:")


def test_generator_is_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What generates is `weenats generate`; problems of contracts are shown."""
    monkeypatch.setattr(sys, "argv", ["-c", "generate", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        exec(reload._GENERATE, {})  # noqa: S102 - as the command does
    assert ended.value.code == 1
    assert "contains no contract" in capsys.readouterr().err


def until_line(process: ForkedCommand, part: str) -> str:
    """Return the next line that has a text in it."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return line
    pytest.fail(f"no {part!r} in {lines}")


@pytest.mark.slow
def test_service_is_replaced_and_ends_with_its_parent(
    tmp_path: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is served; when the command is killed, the service stops, with its output."""
    monkeypatch.chdir(tmp_path)
    write("own.py", SERVICE.format(version="1.0.1"))
    environment = {**os.environ, "NATS_URL": nats_url}
    arguments = ("run", "own:Own", "--reload", "--json")
    with forked_command(*arguments, cwd=tmp_path, environment=environment, merge=True) as process:
        versions = []
        for change in ("1.0.2", None):
            facts: dict[str, Any] = json.loads(until_line(process, '{"service"'))
            versions.append(facts["version"])
            if change is not None:
                write("own.py", SERVICE.format(version=change))
        os.kill(process.pid, signal.SIGKILL)
        assert "stops on a signal" in process.stdout.read()
    assert versions == ["1.0.1", "1.0.2"]


def test_snapshot_sees_changes(tmp_path: Path) -> None:
    """Added, removed and changed files count; hidden folders, environments and caches do not."""
    for name in ("a.py", "b.py", "pkg/c.py", ".venv/d.py", "env/lib/e.py", "__pycache__/f.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "a.txt").touch()
    before = snapshot([tmp_path, tmp_path / "nowhere"], watching.PYTHON)
    assert sorted(path.name for path in before) == ["a.py", "b.py", "c.py"]
    (tmp_path / "a.py").write_text("22")
    (tmp_path / "b.py").unlink()
    (tmp_path / "pkg" / "g.py").touch()
    after = snapshot([tmp_path], watching.PYTHON)
    assert [path.name for path in changed(before, after)] == ["a.py", "b.py", "g.py"]
    (tmp_path / "dangling.py").symlink_to(tmp_path / "gone")
    assert snapshot([tmp_path], watching.PYTHON) == after


def test_project_watches_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package outside of the working directory is watched too, and so is `--out`."""
    monkeypatch.chdir(tmp_path)
    there = Path(str(receipts.__file__)).parent
    project = Project.of("receipts.handlers:Receipts", Path("schemas"), tmp_path.parent / "out")
    assert project.code == (tmp_path, tmp_path.parent / "out", there)
    assert project.contracts() == {}
    (tmp_path / "loop").symlink_to("loop")
    assert Project.of(":X", Path("schemas"), Path("loop")).code == (tmp_path,)
    for target in ("nowhere:X", ":X", "..a:X"):
        assert Project.of(target, Path("schemas"), Path("generated")).code == (tmp_path,)
