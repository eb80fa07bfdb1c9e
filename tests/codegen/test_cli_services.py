"""The verbs run, call and services, over a real nats-server."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from receipts import CONTRACT
from weenats.connection_options import ConnectionOptions
from weenats.deadline import Duration
from weenats.discovery import get_service_info
from weenats.messages import EndpointInfo, InfoResponse, PingResponse
from weenats.testing import NatsServer
from weenats.transport import Transport
from weenats_codegen.cli import main
from weenats_codegen.verbs import calling
from weenats_codegen.verbs.agreement import warn_of_differences
from weenats_codegen.verbs.calling import drawn, find
from weenats_codegen.verbs.failures import VerbError

TARGET = "receipts.handlers:Receipts"
TEA = '{"name": "Tea", "price": 0.1, "quantity": 3}'


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A `weenats run` in a process group of its own, and what it said of itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "weenats_codegen", "run", *arguments, "--json"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, process.communicate()[1]
        yield process, json.loads(first)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def receipts_url(repository: Path) -> Iterator[str]:
    """Where a `weenats run` of the sample serves."""
    with NatsServer() as server, running(TARGET, "--servers", server.url, cwd=repository):
        yield server.url


def test_call_shows_the_result(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command's result is shown as JSON, without its envelope."""
    assert main(["call", "receipts", "add-item", "r-1", TEA, "--servers", receipts_url]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 0.3


def test_call_a_query(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A query is found like a command; `get` shows the entity."""
    main(["call", "receipts", "add-item", "r-2", TEA, "--servers", receipts_url])
    capsys.readouterr()
    assert main(["call", "receipts", "get", "r-2", "--servers", receipts_url]) == 0
    entity = json.loads(capsys.readouterr().out)
    assert entity["id"] == {"type": "receipt", "key": "r-2"}
    assert entity["revision"] == 1


def test_call_in_json_shows_the_envelope(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json a program reads the whole reply, metadata included."""
    arguments = ["call", "receipts", "add-item", "r-3", TEA, "--servers", receipts_url, "--json"]
    assert main(arguments) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["success"] is True
    assert set(reply["metadata"]) >= {"messageId", "timestamp", "correlation"}


def test_call_reads_standard_input(
    receipts_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` takes the payload from standard input, NATS_URL names the servers."""
    monkeypatch.setenv("NATS_URL", receipts_url)
    read, write = os.pipe()
    os.write(write, TEA.encode())
    os.close(write)
    with os.fdopen(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["call", "receipts", "add-item", "r-4", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 0.3


def test_a_declared_error_is_a_line(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure shows its code, declared name, message and details as JSON; exit code 1."""
    cake = '{"name": "Cake"}'
    main(["call", "receipts", "add-item", "r-5", TEA, "--servers", receipts_url])
    capsys.readouterr()
    assert main(["call", "receipts", "remove-item", "r-5", cake, "--servers", receipts_url]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("weenats: NOT_FOUND item-not-found: ")
    assert shown.err.endswith(' {"name": "Cake"}\n')
    assert shown.err.count("\n") == 1
    assert main(["call", "receipts", "get", "nothing", "--servers", receipts_url]) == 1
    bare = capsys.readouterr().err
    assert bare.startswith("weenats: NOT_FOUND receipt-not-found: ")
    assert "{" not in bare


def test_a_bad_payload_names_every_place(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the contract refuses is named by JSON pointer, on one line; --json holds the same."""
    bad = '{"name": "Tea", "price": -1, "quantity": "3"}'
    arguments = ["call", "receipts", "add-item", "r-6", bad, "--servers", receipts_url, "--json"]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert "/command/price: " in shown.err
    assert "/command/quantity: " in shown.err
    violations = json.loads(shown.out)["error"]["details"]["violations"]
    assert [v["pointer"] for v in violations] == ["/command/price", "/command/quantity"]


def test_an_unknown_operation_names_the_known(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error in the operation is answered with what the service has."""
    assert main(["call", "receipts", "add", "r-1", "--servers", receipts_url]) == 1
    shown = capsys.readouterr().err
    assert "has no operation add; it has add-item, finalize, get, remove-item" in shown


def test_an_absent_service_is_a_line(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listening is told at once."""
    assert main(["call", "orders", "get", "o-1", "--servers", receipts_url]) == 1
    assert capsys.readouterr().err == "weenats: no instance of orders is running\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["call", "receipts", "get", "r-1", "--timeout", "0.3"],
        ["services"],
        ["top", "--once"],
        ["run", TARGET],
    ],
)
def test_no_server_is_a_line_that_says_how_to_name_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreachable server is one line, in bounded time."""
    assert main([*arguments, "--servers", "nats://127.0.0.1:1"]) == 1
    shown = capsys.readouterr().err.splitlines()[-1]
    assert shown.startswith("weenats: UNAVAILABLE: no connection to NATS at nats://127.0.0.1:1: ")
    assert shown.endswith("; set NATS_URL or --servers")


def test_the_timeout_of_a_call_bounds_its_connecting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who listens and says nothing is waited for no longer than the call may take."""
    given: list[Duration] = []
    check = ConnectionOptions.__post_init__

    def spy(options: ConnectionOptions) -> None:
        given.append(options.connect_timeout)
        check(options)

    monkeypatch.setattr(ConnectionOptions, "__post_init__", spy)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"nats://127.0.0.1:{mute.getsockname()[1]}"
        call = ["call", "receipts", "get", "r-1", "--servers", url, "--timeout"]
        assert main([*call, "0.2"]) == 1
    assert given[-1] == 0.2
    told = capsys.readouterr().err
    assert f"no connection to NATS at {url}: no answer; set NATS_URL or --servers" in told


def test_a_call_has_what_connecting_left_of_its_timeout(
    receipts_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout is that of the whole: connecting, asking what there is, calling."""
    given: list[float] = []

    async def spy(transport: Transport, service: str, *, timeout: float) -> InfoResponse:
        given.append(timeout)
        return await get_service_info(transport, service, timeout=timeout)

    monkeypatch.setattr(calling, "get_service_info", spy)
    main(["call", "receipts", "get", "r-9", "--servers", receipts_url, "--timeout", "9"])
    (left,) = given
    assert 0 < left < 9


@pytest.mark.parametrize("arguments", [["call", "Bad.Name", "x", "k"], ["services", "Bad.Name"]])
def test_a_bad_service_name_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that no service can have is refused before anything is sent."""
    assert main(arguments) == 2
    assert "Bad.Name" in capsys.readouterr().err


def test_bad_json_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A payload that is no JSON is refused before anything is sent."""
    assert main(["call", "receipts", "add-item", "r-1", "{"]) == 2
    assert "no JSON" in capsys.readouterr().err


def test_services_lists_instances(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every instance is shown with its operations and what they have counted."""
    main(["call", "receipts", "add-item", "r-7", TEA, "--servers", receipts_url])
    capsys.readouterr()
    assert main(["services", "--servers", receipts_url, "--json"]) == 0
    (instance,) = json.loads(capsys.readouterr().out)
    assert (instance["name"], instance["version"]) == ("receipts", "1.0.0")
    counted = {each["name"]: each["num_requests"] for each in instance["endpoints"]}
    assert counted["add-item"] >= 1
    assert main(["services", "receipts", "--servers", receipts_url]) == 0
    shown = capsys.readouterr().out
    assert "receipts 1.0.0" in shown
    assert "add-item" in shown


def test_instances_of_different_contracts_are_told(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever lists or calls a service learns that its instances do not speak one contract."""
    (tmp_path / "newer.py").write_text(
        "from dataclasses import replace\n"
        "from receipts import CONTRACT\n"
        "from receipts.handlers import Receipts\n"
        "class Newer(Receipts):\n"
        "    contract = replace(CONTRACT, version='1.1.0', digest='sha256:0123456789abcdef')\n"
    )
    digest = CONTRACT.digest[:15]
    told = (
        "weenats: the instances of receipts have different contracts: "
        f"1.0.0 {digest} (1), 1.1.0 sha256:01234567 (1)\n"
    )
    with (
        NatsServer() as server,
        running(TARGET, "--servers", server.url, cwd=repository),
        running("newer:Newer", "--servers", server.url, cwd=tmp_path),
    ):
        assert main(["services", "--servers", server.url, "--json"]) == 0
        shown = capsys.readouterr()
        assert shown.err == told
        assert len(json.loads(shown.out)) == 2
        call = ["call", "receipts", "add-item", "r-1", TEA, "--servers", server.url]
        assert main(call) == 0
        assert capsys.readouterr().err == told
        assert main([*call[:2], "add", *call[3:]]) == 1
        assert capsys.readouterr().err.startswith(told)


def test_only_instances_that_tell_their_contract_are_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another version of one contract, another make, another service: none is a difference."""
    warn_of_differences(
        PingResponse(
            type="io.nats.micro.v1.ping_response", name=n, id="1", version=v, metadata=facts
        )
        for n, v, facts in (
            ("a", "1.0.0", {"contract": "x"}),
            ("a", "1.1.0", {"contract": "x"}),
            ("a", "1.0.0", {}),
            ("a", "1.0.0", None),
            ("b", "1.0.0", {"contract": "y"}),
        )
    )
    assert capsys.readouterr().err == ""


def test_services_says_when_there_is_none(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that was asked for and does not run is a failure; --json stays a document."""
    listing = ["services", "orders", "--servers", receipts_url]
    assert main(listing) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "weenats: no instance of orders is running\n")
    assert main([*listing, "--json"]) == 1
    shown = capsys.readouterr()
    assert (json.loads(shown.out), shown.err.count("\n")) == ([], 1)


def test_no_service_at_all_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody was asked for, so nothing failed."""
    with NatsServer() as server:
        assert main(["services", "--servers", server.url]) == 0
    assert capsys.readouterr().out == "no service is running\n"


def test_run_wants_one_place_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    """Servers and one of its own are wrong usage together."""
    assert main(["run", TARGET, "--servers", "nats://127.0.0.1:1", "--embedded"]) == 2
    assert "--servers and --embedded do not go together" in capsys.readouterr().err


def test_run_embedded_leaves_the_servers_of_other_verbs(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NATS_URL is set for calls, and a service may have a server of its own all the same."""
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    with running(TARGET, "--embedded", cwd=repository) as (_, facts):
        assert facts["servers"].startswith("nats://127.0.0.1:")
        assert facts["servers"] != "nats://127.0.0.1:1"


@pytest.mark.parametrize(("send", "stop"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)])
def test_run_stops_cleanly(
    send: Callable[[int, int], None], stop: signal.Signals, repository: Path
) -> None:
    """Ctrl-C, which reaches the whole process group, and SIGTERM both end it with exit code 0."""
    with running(TARGET, "--embedded", cwd=repository) as (process, facts):
        assert facts["service"] == "receipts"
        send(process.pid, stop)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert "Traceback" not in log


def test_run_a_builder_from_the_working_directory(tmp_path: Path, nats_url: str) -> None:
    """A builder serves where it says; modules are found in the working directory."""
    (tmp_path / "shop.py").write_text(
        "from receipts.handlers import Receipts\n"
        "from weenats.service import NatsServiceBuilder\n"
        f"built = NatsServiceBuilder(Receipts(), servers={nats_url!r}).with_queue_group('shop')\n"
        "handlers = Receipts()\n"
        "def build() -> NatsServiceBuilder:\n"
        "    return built\n"
    )
    with running("shop:built", cwd=tmp_path) as (_, facts):
        assert (facts["service"], facts["servers"]) == ("receipts", None)
    with running("shop:handlers", "--embedded", cwd=tmp_path) as (_, facts):
        assert facts["servers"].startswith("nats://127.0.0.1:")
    with running("shop:build", "--embedded", cwd=tmp_path) as (_, facts):
        assert facts["service"] == "receipts"


def test_run_tells_a_person_where(repository: Path) -> None:
    """Without --json one line says what serves where and how it is stopped."""
    command = [sys.executable, "-m", "weenats_codegen", "run", TARGET, "--embedded"]
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("receipts 1.0.0 serves on nats://127.0.0.1:")
    assert line.endswith("; Ctrl-C stops it\n")


def test_run_shows_what_a_module_fails_of(tmp_path: Path) -> None:
    """A module that is there but imports what is not fails with a traceback that says where."""
    (tmp_path / "shop.py").write_text("import nowhere_at_all\n")
    command = [sys.executable, "-m", "weenats_codegen", "run", "shop:X"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "import nowhere_at_all" in done.stderr


def test_endpoints_of_others_are_passed_over() -> None:
    """A service of another make tells of no operations; that is said."""
    info = InfoResponse(
        type="io.nats.micro.v1.info_response",
        name="other",
        id="1",
        version="1.0.0",
        description="",
        endpoints=[EndpointInfo(name="default", subject="x", metadata=None)],
    )
    with pytest.raises(VerbError, match=r"other 1\.0\.0 has no operation get; it tells of none"):
        find(info, "get")


def test_a_result_of_nothing_is_done() -> None:
    """A command without a result shows that it was carried out."""
    assert drawn({"success": True, "duration": 1.0}) == "[green]done[/]"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:X", "no module nowhere; looked in ./ and generated/ and what is installed"),
        ("receipts.handlers:Nothing", "receipts.handlers has no Nothing; it has Receipts\n"),
        ("receipts.handlers:Receipt5", "receipts.handlers has no Receipt5; did you mean Receipts?"),
        ("receipts.app:serve", "receipts.app has no serve; it has Receipts, builder\n"),
        ("receipts.models:Receipts", "receipts.models has no Receipts; it has nothing to serve"),
        ("json:dumps", "json:dumps is neither handlers nor a NatsServiceBuilder but function"),
        (
            "json:JSONDecoder",
            "json:JSONDecoder is neither handlers nor a NatsServiceBuilder but type",
        ),
        ("receipts:ReceiptsHandlers", "receipts:ReceiptsHandlers does not handle: add_item, "),
    ],
)
def test_a_bad_target_is_a_line(
    target: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be served is refused with the reason."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["run", target]) == 1
    assert capsys.readouterr().err.startswith(f"weenats: {message}")


def test_run_refuses_a_contract_that_nobody_answers(
    tmp_path: Path,
    nats_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Handlers whose contract wants to know who calls need a builder: one line says so."""
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
    assert "wants to know who calls add-item: add with_auth(...)" in told
    assert "Traceback" not in told


def test_call_carries_a_token(nats_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--token` says who calls."""
    import asyncio
    import threading

    from receipts.handlers import Receipts
    from tokens import Judge, token
    from weenats import NatsServiceBuilder

    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        service = NatsServiceBuilder(Receipts(), nats_url).with_auth(validator=Judge()).build()
        async with service:
            started.set()
            await asyncio.to_thread(ended.wait, 30)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    call = ["call", "receipts", "add-item", "r-1", TEA, "--servers", nats_url]
    try:
        assert main(call) == 1
        assert "UNAUTHENTICATED" in capsys.readouterr().err
        assert main([*call, "--token", token()]) == 0
        assert json.loads(capsys.readouterr().out)["total"] == 0.3
    finally:
        ended.set()
        thread.join()
