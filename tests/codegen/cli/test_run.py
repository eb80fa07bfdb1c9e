"""The `weenats run` command: targets, servers and shutdown."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from receipts.handlers import Receipts
from testkit.cli_service import TARGET, weenats_run
from testkit.forked_commands import forked_command
from testkit.processes import child_process
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder
from weenats.testing import NatsServer
from weenats_codegen.cli import processes
from weenats_codegen.cli.main import main
from weenats_codegen.cli.run import announce, facts


def test_run_rejects_servers_with_embedded(capsys: pytest.CaptureFixture[str]) -> None:
    """--servers and --embedded are mutually exclusive."""
    assert main(["run", TARGET, "--servers", "nats://127.0.0.1:1", "--embedded"]) == 2
    assert "--servers cannot be used with --embedded" in capsys.readouterr().err


def test_run_embedded_ignores_nats_url(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --embedded the service starts its own server, even if NATS_URL is set."""
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    with weenats_run(TARGET, "--embedded", cwd=repository) as (_, facts):
        assert facts["servers"].startswith("nats://127.0.0.1:")
        assert facts["servers"] != "nats://127.0.0.1:1"


@pytest.mark.parametrize(
    ("send", "stop"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM), (os.kill, signal.SIGHUP)],
)
def test_run_stops_on_signals(
    send: Callable[[int, int], None], stop: signal.Signals, repository: Path
) -> None:
    """SIGINT to the process group, SIGTERM and SIGHUP stop the service with exit code 0."""
    with weenats_run(TARGET, "--embedded", cwd=repository) as (process, facts):
        assert facts["service"] == "receipts"
        send(process.pid, stop)
        _, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert "Traceback" not in log


@pytest.mark.slow
def test_run_builder_from_working_directory(tmp_path: Path, nats_url: str) -> None:
    """Targets are imported from the working directory; a builder has its own servers."""
    (tmp_path / "kiosk.py").write_text(
        "from receipts.handlers import Receipts\n"
        "from weenats.service import NatsServiceBuilder\n"
        f"built = NatsServiceBuilder(Receipts(), servers={nats_url!r}).with_queue_group('shop')\n"
        "handlers = Receipts()\n"
        "def build() -> NatsServiceBuilder:\n"
        "    return built\n"
    )
    with weenats_run("kiosk:built", cwd=tmp_path) as (_, facts):
        assert (facts["service"], facts["servers"]) == ("receipts", None)
    with weenats_run("kiosk:handlers", "--embedded", cwd=tmp_path) as (_, facts):
        assert facts["servers"].startswith("nats://127.0.0.1:")
    with weenats_run("kiosk:build", "--embedded", cwd=tmp_path) as (_, facts):
        assert facts["service"] == "receipts"


def test_run_rejects_class_with_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handlers class with required constructor arguments is not a valid target."""
    (tmp_path / "stocked.py").write_text(
        "from receipts.handlers import Receipts\n"
        "class Stocked(Receipts):\n"
        "    def __init__(self, store: str) -> None:\n"
        "        super().__init__()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["run", "stocked:Stocked", "--embedded"]) == 1
    shown = capsys.readouterr().err
    assert "stocked:Stocked requires arguments: use an instance or" in shown


def test_run_builder_reports_missing_handlers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A builder function with incomplete handlers is an error that names the missing ones."""
    (tmp_path / "half.py").write_text(
        "from receipts import ReceiptsHandlers\n"
        "from weenats.service import NatsServiceBuilder\n"
        "class Half(ReceiptsHandlers):\n"
        "    pass\n"
        "def builder() -> NatsServiceBuilder:\n"
        "    return NatsServiceBuilder(Half())\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["run", "half:builder", "--embedded"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("weenats: half:builder: ")
    assert "add_item" in line


def test_run_prints_server_url(repository: Path) -> None:
    """Without --json one line shows the service, its server and how to stop it."""
    with forked_command("run", TARGET, "--embedded", cwd=repository) as process:
        line = process.stdout.readline()
    assert line.startswith("receipts 1.0.0 is running on nats://127.0.0.1:")
    assert line.endswith("; press Ctrl-C to stop\n")


def test_announcement_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever waits for it in a pipe finds it whole, however many servers it names."""
    monkeypatch.delenv("COLUMNS", raising=False)
    url = ", ".join(f"nats://nats-{number}.example.com:4222" for number in range(5))
    service = NatsServiceBuilder(Receipts(), url).build()
    announce(service, url, as_json=False)
    assert capsys.readouterr().out == (
        f"receipts 1.0.0 is running on {url}; press Ctrl-C to stop\n"
    )


def test_announcement_shows_brackets_of_ipv6(capsys: pytest.CaptureFixture[str]) -> None:
    """The brackets of an IPv6 address are shown, with one process and with several."""
    url = "nats://[fd00::1]:4222"
    service = NatsServiceBuilder(Receipts(), url).build()
    announce(service, url, as_json=False)
    processes._announce({**facts(service, url), "process": 1, "pid": 1}, 2, as_json=False)
    assert capsys.readouterr().out.count(f"receipts 1.0.0 is running on {url}") == 2


PLACES = "in ./ and generated/ or among the installed packages"
UNFIT = "must be handlers, a NatsServiceBuilder, or a function annotated to return one"
IMPORTS = "from receipts.handlers import Receipts\nfrom weenats import NatsServiceBuilder\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import nowhere_at_all\n",
            (
                "importing broken raised ModuleNotFoundError: No module named 'nowhere_at_all'"
                " (broken.py:1 in <module>)"
            ),
        ),
        ("def f(:\n", "importing broken raised SyntaxError: invalid syntax (broken.py, line 1)"),
        (
            "import sys\nsys.exit('the port is taken')\n",
            ("importing broken raised SystemExit: the port is taken (broken.py:2 in <module>)"),
        ),
        (
            "raise SystemExit\n",
            "importing broken raised SystemExit (broken.py:1 in <module>)",
        ),
        (
            f"{IMPORTS}def X() -> NatsServiceBuilder:\n    raise SystemExit(0)\n",
            "broken:X raised SystemExit: 0 (broken.py:4 in X)",
        ),
        (
            "class Mine(BaseException): pass\nraise Mine\n",
            "importing broken raised Mine (broken.py:2 in <module>)",
        ),
        (
            f"{IMPORTS}async def X() -> NatsServiceBuilder: ...\n",
            f"broken:X {UNFIT}, not an async function",
        ),
        (
            f"{IMPORTS}def X() -> NatsServiceBuilder: ...\n",
            f"broken:X {UNFIT}, not one that returned None",
        ),
        (
            f"{IMPORTS}def X(): return NatsServiceBuilder(Receipts())\n",
            f"broken:X {UNFIT}, not a function without this annotation",
        ),
        (
            (
                "from __future__ import annotations\nimport weenats\n"
                "def X() -> weenats.NatsServiceBuilder:\n    raise ValueError('called')\n"
            ),
            "broken:X raised ValueError: called (broken.py:4 in X)",
        ),
        (
            "class Mute(Exception):\n    def __str__(self): return 5\nraise Mute\n",
            "importing broken raised Mute (broken.py:3 in <module>)",
        ),
        ("import sys\nsys.stdout.close()\n", "broken has no X; it has nothing to serve"),
        ("import sys\nsys.stdout = None\n", "broken has no X; it has nothing to serve"),
        (
            f"{IMPORTS}def X() -> NatsServiceBuilder:\n    open('/nowhere/at/all')\n",
            (
                "broken:X raised FileNotFoundError: [Errno 2] No such file or directory:"
                " '/nowhere/at/all' (broken.py:4 in X)"
            ),
        ),
        (
            (
                f"{IMPORTS}def X() -> NatsServiceBuilder:\n"
                "    return NatsServiceBuilder(Receipts()).with_rate_limit(-1)\n"
            ),
            (
                "broken:X raised ValueError: max_requests_per_second is from 0.001 to 1000000,"
                " not -1 (broken.py:4 in X)"
            ),
        ),
        (
            f"{IMPORTS}class X(Receipts):\n    def endpoints(self):\n        return {{}}[1]\n",
            "KeyError: 1 (broken.py:5 in endpoints)",
        ),
    ],
)
def test_user_errors_show_their_line(
    code: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An exception of the user's own code is one line with its place, not a traceback."""
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for command in ("run", "explain"):
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.delitem(sys.modules, "broken", raising=False)
        assert main([command, "broken:X"]) == 1
        error = capsys.readouterr().err.splitlines()
        assert [each for each in error if "defaults of" not in each] == [f"weenats: {told}"]


def test_run_shows_that_it_waits_for_nats(tmp_path: Path) -> None:
    """While NATS cannot be reached, one line says where it is expected, without the password."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        command = ("run", TARGET, "--servers", f"nats://user:hunter2@{address}")
        with forked_command(*command, cwd=tmp_path, merge=True) as process:
            process.stdout.readline()  # that handlers have no builder
            line = process.stdout.readline()
    expected = f"waiting for NATS at nats://{address}; --embedded starts a server for this service"
    assert line == f"weenats: {expected}\n"


def test_run_that_waits_for_nats_stops_on_sigterm(repository: Path) -> None:
    """SIGTERM before NATS is reached is a normal stop, and no advice how to reach it follows."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"nats://127.0.0.1:{mute.getsockname()[1]}"
        with forked_command("run", TARGET, "--servers", url, cwd=repository, merge=True) as process:
            process.stdout.readline()  # that handlers have no builder
            assert "waiting for NATS" in process.stdout.readline()
            process.terminate()
            printed, _ = process.communicate(LIMIT)
    assert (process.returncode, printed.splitlines()) == (
        0,
        ["INFO weenats.service: receipts stops on a signal"],
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:X", f"no module nowhere {PLACES}; known are "),
        ("receits.app:builder", f"no module receits {PLACES}; did you mean receipts?\n"),
        ("receipts.ap:builder", f"no module receipts.ap {PLACES}; did you mean receipts.app?\n"),
        ("receipts.handlers:Nothing", "receipts.handlers has no Nothing; known are Receipts\n"),
        ("receipts.handlers:Receipt5", "receipts.handlers has no Receipt5; did you mean Receipts?"),
        ("receipts.app:serve", "receipts.app has no serve; known are Receipts, builder\n"),
        (
            "receipts:Receipts",
            "receipts has no Receipts; it has nothing to serve; the handlers are ",
        ),
        (
            "receipts.models:Receipts",
            (
                "receipts.models has no Receipts; it has nothing to serve;"
                " the handlers are in receipts.handlers\n"
            ),
        ),
        ("json.decoder:X", "json.decoder has no X; it has nothing to serve\n"),
        ("json:dumps", f"json:dumps {UNFIT}, not a function without this annotation\n"),
        ("json:JSONDecoder", f"json:JSONDecoder {UNFIT}, not class JSONDecoder\n"),
        ("receipts:ReceiptsHandlers", "receipts:ReceiptsHandlers has no handlers for: add_item, "),
    ],
)
def test_run_rejects_invalid_target(
    target: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid target is rejected with the reason."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["run", target]) == 1
    assert capsys.readouterr().err.startswith(f"weenats: {message}")


def test_file_instead_of_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path of a file is wrong usage, which names its module if that can be imported."""
    monkeypatch.setenv("COLUMNS", "500")
    (tmp_path / "other.py").touch()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    tmp_path /= "project"
    (tmp_path / "generated" / "orders").mkdir(parents=True)
    (tmp_path / "generated" / "orders" / "app.py").touch()
    file = "generated/orders/app.py"
    for path in (file, f"./{file}", "orders/app.py", str(tmp_path / file)):
        assert main(["run", f"{path}:builder"]) == 2
        assert f"{path} is a file: use its module, orders.app:builder" in capsys.readouterr().err
    assert main(["run", file]) == 2
    assert f"{file} is a file: use its module, orders.app:NAME" in capsys.readouterr().err
    assert main(["run", "../other.py:builder"]) == 2
    assert "../other.py is a file: modules are found in the wor" in capsys.readouterr().err


def test_error_that_cannot_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors of modules are named by class and place, also without their text or a folder."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "silent.py").write_text(
        "class Silent(Exception):\n    def __str__(self): raise self\n"
        "def __getattr__(name): raise Silent\n"
    )
    assert main(["run", "silent:builder"]) == 1
    assert capsys.readouterr().err == "weenats: Silent (silent.py:3 in __getattr__)\n"
    (tmp_path / "gone").mkdir()
    (tmp_path / "removes.py").write_text(
        f"import os\nos.chdir({str(tmp_path / 'gone')!r})\nos.rmdir(os.getcwd())\n1 / 0\n"
    )
    assert main(["run", "removes:builder"]) == 1
    assert "removes raised ZeroDivisionError" in capsys.readouterr().err


def test_run_requires_auth_for_protected_operation(
    tmp_path: Path,
    nats_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An operation with authentication needs a builder with with_auth(); one line says so."""
    (tmp_path / "asking.py").write_text(
        "from dataclasses import replace\n"
        "from receipts import ADD_ITEM\n"
        "from receipts.handlers import Receipts\n"
        "from weenats import AuthRequirement, Endpoint\n"
        "class Asking(Receipts):\n"
        "    def endpoints(self):\n"
        "        asking = replace(ADD_ITEM, auth=AuthRequirement())\n"
        "        return (Endpoint.command(asking, self.add_item),)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["run", "asking:Asking", "--servers", nats_url]) == 1
    told = capsys.readouterr().err
    assert "requires authentication for add-item: add with_auth(...) to the builder" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_run_shows_no_password(
    repository: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """The servers are announced without the credentials in their URLs."""
    with NatsServer(config='authorization { user: "bob", password: "s3cret" }') as server:
        monkeypatch.setenv("NATS_URL", server.url.replace("nats://", "nats://bob:s3cret@"))
        with forked_command("run", TARGET, *options, cwd=repository) as process:
            first = process.stdout.readline()
            process.terminate()
            rest, log = process.communicate(timeout=LIMIT)
    assert "receipts" in first
    assert "s3cret" not in first + rest + log


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_run_serves_when_output_is_full(options: list[str], repository: Path) -> None:
    """A service whose announcement cannot be written warns and serves nevertheless."""
    command = [sys.executable, "-m", "weenats_codegen", "run", TARGET, "--embedded", *options]
    with (
        Path("/dev/full").open("w") as full,
        child_process(command, cwd=repository, stdout=full, stderr=subprocess.PIPE) as process,
    ):
        assert process.stderr is not None
        assert any("cannot write to standard output: No space" in line for line in process.stderr)
        assert process.poll() is None
        process.terminate()
        assert process.wait(LIMIT) == 0


def errors_of_run(*arguments: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return what a service writes to standard error until it is stopped."""
    with forked_command("run", *arguments, cwd=cwd, environment=environment) as served:
        assert served.stdout is not None
        assert "is running" in served.stdout.readline()
        served.terminate()
        return served.communicate(LIMIT)[1]


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--processes", "2"), marks=pytest.mark.slow)], ids=str
)
def test_handlers_without_a_builder(
    repository: Path, nats_url: str, options: tuple[str, ...]
) -> None:
    """One line says that they are served with defaults, and which variables have no effect."""
    environment = {**os.environ, "NATS_URL": nats_url, "WEENATS_PASSWORD": "secret-1"}
    errors = errors_of_run(TARGET, *options, cwd=repository, environment=environment)
    [line] = [each for each in errors.splitlines() if "defaults" in each]
    assert line == (
        "weenats: handlers are served with the defaults of NatsServiceBuilder (ignored:"
        " WEENATS_PASSWORD); use receipts.app:builder to read the WEENATS_ variables"
    )


@pytest.mark.parametrize(
    ("target", "options"),
    [
        pytest.param(TARGET, (), id="handlers"),
        pytest.param(
            *("receipts.app:builder", ("--processes", "2")), id="processes", marks=pytest.mark.slow
        ),
    ],
)
def test_run_logs_json(
    target: str, options: tuple[str, ...], repository: Path, nats_url: str
) -> None:
    """WEENATS_LOG_JSON makes the log JSON: `run` sets up logging, not the `main` of an app.py."""
    environment = {**os.environ, "NATS_URL": nats_url, "WEENATS_LOG_JSON": "true"}
    errors = errors_of_run(target, *options, cwd=repository, environment=environment)
    lines = [line for line in errors.splitlines() if not line.startswith("weenats: ")]
    records = [json.loads(line) for line in lines]
    assert "receipts.app" in {each["logger"] for each in records} or not options  # of `builder`
    [stop, *_] = [each for each in records if "stops on a signal" in each["message"]]
    assert stop["logger"] == "weenats.service"
    assert isinstance(stop.get("process_id"), int) == bool(options)
    assert "ignored" not in errors


def test_run_rejects_log_json_that_is_not_boolean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the variable."""
    monkeypatch.setenv("WEENATS_LOG_JSON", "yess")
    assert main(["run", TARGET]) == 1
    assert "weenats: WEENATS_LOG_JSON: Input should be a valid boolean" in capsys.readouterr().err
