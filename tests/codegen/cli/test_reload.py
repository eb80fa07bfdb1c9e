"""`weenats run --reload`: changes of modules and contracts, errors, and the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from receipts import AddItem, ReceiptsClient
from testkit.forked_commands import ForkedCommand, forked_command
from testkit.paths import REPOSITORY
from testkit.waiting import LIMIT, eventually
from weenats import ServiceError
from weenats_codegen.cli import reload, watching
from weenats_codegen.cli.reload import Project
from weenats_codegen.cli.watching import changed, snapshot
from weenats_codegen.generate import generate

GOLDEN = REPOSITORY / "tests" / "codegen" / "golden"

SERVICE = """
from receipts.handlers import Receipts
from weenats import NatsServiceBuilder
class Own(Receipts): ...
Own.contract = __import__("dataclasses").replace(Receipts.contract, version="{version}")
"""


def write(file: Path, text: str) -> None:
    """Replace a file at once, as editors do."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def reloading(folder: Path, *arguments: str) -> Iterator[ForkedCommand]:
    """Run a service of `folder/own.py` that reloads."""
    options = ("--reload", "--embedded", "--json", *arguments)
    with forked_command("run", "own:Own", *options, cwd=folder, merge=True) as process:
        yield process


def until_line(process: ForkedCommand, part: str) -> str:
    """Return the next line that has a text in it."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return line
    pytest.fail(f"no {part!r} in {lines}")


def served(process: ForkedCommand) -> dict[str, Any]:
    """Return what the next service says of itself."""
    facts: dict[str, Any] = json.loads(until_line(process, '{"service"'))
    return facts


def test_changes_are_served_and_errors_shown(tmp_path: Path) -> None:
    """A change restarts, an error is shown and the next change is tried, Ctrl-C ends all."""
    module = tmp_path / "own.py"
    write(module, SERVICE.format(version="1.0.1"))
    with reloading(tmp_path) as process:
        first = served(process)
        write(module, SERVICE.format(version="1.0.2"))
        assert "own.py changed" in until_line(process, "reloading")
        second = served(process)
        assert (first["version"], second["version"]) == ("1.0.1", "1.0.2")
        assert first["servers"] == second["servers"]
        write(module, "def f(:\n")
        until_line(process, "importing own raised SyntaxError")
        until_line(process, "the service has ended; waiting for a change")
        write(module, SERVICE.format(version="1.0.3"))
        assert served(process)["version"] == "1.0.3"
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(LIMIT)
    assert process.returncode == 0


def test_contract_is_generated_anew(tmp_path: Path) -> None:
    """A changed contract is generated and served; an invalid one is shown, and changes nothing."""
    folder = tmp_path / "schemas" / "notes"
    shutil.copytree(GOLDEN / "minimal" / "contract", folder)
    generate([tmp_path / "schemas"], tmp_path / "generated")
    contract = folder / "service.yaml"
    text = contract.read_text()
    version = yaml.safe_load(text)["version"]
    arguments = ("run", "notes.handlers:Notes", "--reload", "--embedded", "--json")
    with forked_command(*arguments, cwd=tmp_path, merge=True) as process:
        assert served(process)["version"] == version
        write(contract, text.replace("service:", "servize:"))
        until_line(process, "weenats: schemas/notes/service.yaml")
        write(contract, text.replace(version, "7.8.9"))
        until_line(process, "reloading, since generated/notes/")
        assert served(process)["version"] == "7.8.9"
        process.terminate()
        rest, _ = process.communicate(LIMIT)
    assert "reloading" not in rest
    assert process.returncode == 0


SLOW = """
import asyncio, pathlib
from receipts.handlers import Receipts
class Own(Receipts):
    async def add_item(self, key, command, context):
        pathlib.Path("begun").touch()
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        return await super().add_item(key, command, context)
"""


async def test_old_service_finishes_its_requests(tmp_path: Path) -> None:
    """A request that runs when a module changes is answered by the old process."""
    write(tmp_path / "own.py", SLOW)
    with reloading(tmp_path) as process:
        url = (await asyncio.to_thread(served, process))["servers"]
        async with ReceiptsClient.connect(url) as client:
            tea = AddItem(name="Tea", price=0.1, quantity=3)
            call = asyncio.create_task(client.add_item("r-1", tea, timeout=LIMIT))
            await eventually((tmp_path / "begun").exists)
            write(tmp_path / "own.py", SLOW + "# changed\n")
            await asyncio.to_thread(until_line, process, "reloading")
            (tmp_path / "go").touch()
            assert (await call).total == 0.3
            await asyncio.to_thread(served, process)
            with pytest.raises(ServiceError, match="receipt"):
                await client.get_receipt("r-1")


def test_service_ends_with_its_parent(tmp_path: Path, nats_url: str) -> None:
    """When the parent is killed, its child stops: nothing holds the pipe of their output."""
    write(tmp_path / "own.py", SERVICE.format(version="1.0.1"))
    environment = {**os.environ, "NATS_URL": nats_url}
    arguments = ("run", "own:Own", "--reload", "--json")
    with forked_command(*arguments, cwd=tmp_path, environment=environment, merge=True) as process:
        served(process)
        os.kill(process.pid, signal.SIGKILL)
        assert "stops on a signal" in process.stdout.read()


def test_blocked_service_is_killed(tmp_path: Path) -> None:
    """The third Ctrl-C kills a service whose event loop does not run."""
    block = "import time\nprint('blocked', flush=True)\ntime.sleep(600)\n"
    stubborn = "import signal\nfor each in (2, 15): signal.signal(each, signal.SIG_IGN)\n"
    write(tmp_path / "own.py", stubborn + block)
    with reloading(tmp_path) as process:
        until_line(process, "blocked")
        for _ in range(reload._SIGNALS + 1):
            os.kill(process.pid, signal.SIGINT)
            until_line(process, "stopping")
        process.communicate(LIMIT)
    assert process.returncode == 0


def test_wrong_usage_ends_at_once(tmp_path: Path) -> None:
    """A target that no change can make right ends the command with 2."""
    with forked_command("run", "own", "--reload", "--embedded", cwd=tmp_path, merge=True) as done:
        printed, _ = done.communicate(LIMIT)
    assert done.returncode == 2
    assert "is not MODULE:NAME" in printed


def test_snapshot_sees_changes(tmp_path: Path) -> None:
    """Added, removed and changed files count; hidden folders, environments and caches do not."""
    for name in ("a.py", "b.py", "pkg/c.py", ".venv/d.py", "env/lib/e.py", "__pycache__/f.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "a.txt").touch()
    before = snapshot([tmp_path, tmp_path / "nowhere"], watching.PYTHON)
    assert sorted(path.name for path in before) == ["a.py", "b.py", "c.py"]
    write(tmp_path / "a.py", "2")
    (tmp_path / "b.py").unlink()
    (tmp_path / "pkg" / "g.py").touch()
    after = snapshot([tmp_path], watching.PYTHON)
    assert [path.name for path in changed(before, after)] == ["a.py", "b.py", "g.py"]
    (tmp_path / "dangling.py").symlink_to(tmp_path / "gone")
    assert snapshot([tmp_path], watching.PYTHON) == after


def test_project_watches_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package outside of the working directory is watched too, and so is `--out`."""
    monkeypatch.chdir(tmp_path)
    there = Path(str(sys.modules["receipts"].__file__)).parent
    project = Project.of("receipts.handlers:Receipts", Path("schemas"), tmp_path.parent / "out")
    assert project.code == (tmp_path, tmp_path.parent / "out", there)
    assert project.contracts() == {}
    for target in ("nowhere:X", ":X", "..a:X"):
        assert Project.of(target, Path("schemas"), Path("generated")).code == (tmp_path,)
