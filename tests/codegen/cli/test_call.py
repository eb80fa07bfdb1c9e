"""The `weenats call` command, against a real nats-server."""

import io
import json
import os
import socket
import sys
from typing import Any

import pytest
import typer

from testkit.cli_service import TEA
from weenats import DeadlineExceededError, NatsTransport, new_message_id
from weenats.discovery import get_service_info
from weenats.protocol.messages import EndpointInfo, Failure, InfoResponse
from weenats.protocol.subjects import Kind, build
from weenats.protocol.timeouts import Duration
from weenats.transport import Delivery, Transport
from weenats.transport.options import ConnectionOptions
from weenats_codegen.cli import call
from weenats_codegen.cli.call import failure_line, find, show
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.main import main


def test_call_prints_result(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The result of a command is printed as JSON, without the envelope."""
    assert main(["call", "receipts", "add-item", "r-1", TEA, "--servers", receipts_url]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 0.3


def test_call_query(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A query is called like a command; `get` prints the entity."""
    main(["call", "receipts", "add-item", "r-2", TEA, "--servers", receipts_url])
    capsys.readouterr()
    assert main(["call", "receipts", "get", "r-2", "--servers", receipts_url]) == 0
    entity = json.loads(capsys.readouterr().out)
    assert entity["id"] == {"type": "receipt", "key": "r-2"}
    assert entity["revision"] == 1


def test_call_json_prints_envelope(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the whole reply is printed, including its metadata."""
    arguments = ["call", "receipts", "add-item", "r-3", TEA, "--servers", receipts_url, "--json"]
    assert main(arguments) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["success"] is True
    assert set(reply["metadata"]) >= {"messageId", "timestamp", "correlation"}


def test_call_sends_message_id(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The request has the given message id, which must be a valid one."""
    arguments = ["call", "receipts", "add-item", "r-5", TEA, "--servers", receipts_url, "--json"]
    message_id = new_message_id()
    assert main([*arguments, "--message-id", message_id]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["metadata"]["correlation"]["causationId"] == message_id
    assert main([*arguments, "--message-id", "first"]) == 2
    assert "must be a ULID in upper case" in " ".join(capsys.readouterr().err.split())


def test_call_reads_payload_from_stdin(
    receipts_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads the payload from standard input; NATS_URL sets the servers."""
    monkeypatch.setenv("NATS_URL", receipts_url)
    read, write = os.pipe()
    os.write(write, TEA.encode())
    os.close(write)
    with os.fdopen(read) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["call", "receipts", "add-item", "r-4", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 0.3


def test_call_prints_declared_error(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure is one line with code, error name, message and details; exit code 1."""
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


def test_call_lists_payload_violations(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every violation of a payload is reported with its JSON pointer, also with --json."""
    bad = '{"name": "Tea", "price": -1, "quantity": "3"}'
    arguments = ["call", "receipts", "add-item", "r-6", bad, "--servers", receipts_url, "--json"]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    first, other = shown.err.split("; ")
    assert "/command/price: " in first
    assert other.startswith("/command/quantity: ")
    violations = json.loads(shown.out)["error"]["details"]["violations"]
    assert [v["pointer"] for v in violations] == ["/command/price", "/command/quantity"]


@pytest.mark.parametrize(
    ("key", "payload", "told"),
    [
        ("", TEA, "the key: "),
        ("k" * 2000, TEA, "the key: "),
        ("r-1", "{", "the payload is not valid JSON: "),
        ("r-1", "[" * 100_000, "the payload is nested too deeply"),
        ("r-1", '{"price": NaN}', "the payload is not valid JSON: "),
        ("r-1", '{"price": 1e400}', "the payload is not valid JSON: "),
        ("r-1", '{"price": ' + "1" * 5000 + "}", "the payload is not valid JSON: "),
        ("r-1", '{"name": "\\ud800"}', "the payload: "),
    ],
)
def test_call_rejects_invalid_key_or_payload(
    receipts_url: str, capsys: pytest.CaptureFixture[str], key: str, payload: str, told: str
) -> None:
    """An invalid key or payload exits with 2, and the message names the argument."""
    assert main(["call", "receipts", "add-item", key, payload, "--servers", receipts_url]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_call_of_the_service_itself(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An operation of the service itself takes a payload at most, and no key."""
    call = ["call", "receipts", "summary"]
    for values in ([], ["{}"]):
        assert main([*call, *values, "--servers", receipts_url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["result"].keys() == {
            "open", "closed", "voided", "total",
        }  # fmt: skip
    assert main([*call, "r-1", "{}", "--servers", receipts_url]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "summary belongs to the service and has no key" in shown


@pytest.mark.parametrize("values", [[], ['{"name": "Soup"}']])
def test_call_without_key_shows_usage(
    receipts_url: str, capsys: pytest.CaptureFixture[str], values: list[str]
) -> None:
    """An operation of an aggregate needs a key, for which no payload is taken."""
    assert main(["call", "receipts", "add-item", *values, "--servers", receipts_url]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "add-item needs a key: weenats call receipts add-item KEY [JSON]" in shown


@pytest.mark.parametrize(
    ("name", "found"), [("order.get", "order"), ("customer.get", "customer"), ("ping", None)]
)
def test_find_takes_labels(name: str, found: str | None) -> None:
    """Where several aggregates have `get`, it is called by its label; `get` alone lists them."""
    info = orders_info()
    endpoint, kind = find(info, name)
    assert kind is Kind.QUERY
    assert (endpoint.metadata or {}).get("aggregate") == found
    with pytest.raises(CliError, match=r"several: customer\.get, order\.get"):
        find(info, "get")


def orders_info() -> InfoResponse:
    """Return what a service with two aggregates and a query of its own says of itself."""
    endpoints = [
        EndpointInfo(
            name=name,
            subject=build("orders", Kind.QUERY, aggregate, name),
            metadata={"kind": "query", "operation": name}
            | ({} if aggregate is None else {"aggregate": aggregate}),
        )
        for aggregate, name in (("order", "get"), ("customer", "get"), (None, "ping"))
    ]
    return InfoResponse(
        type="io.nats.micro.v1.info_response", name="orders", id="i", version="1.0.0",
        metadata={}, description="", endpoints=endpoints,
    )  # fmt: skip


def test_unknown_operation_lists_operations(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown operation is an error that lists the operations of the service."""
    assert main(["call", "receipts", "add", "r-1", "--servers", receipts_url]) == 1
    shown = capsys.readouterr().err
    assert "has no operation add; known are add-item, finalize, receipt.get, remove-item" in shown


def test_call_service_not_running(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A call to a service without running instances fails immediately with one line."""
    assert main(["call", "orders", "get", "o-1", "--servers", receipts_url]) == 1
    assert capsys.readouterr().err == "weenats: no instance of orders is running\n"


def test_call_timeout_limits_connecting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting to a server that does not answer takes no longer than --timeout."""
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
    assert f"no connection to NATS at {url}: the server accepts connections but does not" in told
    assert told.endswith("; set NATS_URL or --servers\n")


def test_call_without_reply_names_its_message_id(
    receipts_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have been executed: a repeat needs the id."""
    request = NatsTransport.request

    async def lose(transport: NatsTransport, subject: str, *rest: Any, **named: Any) -> Delivery:
        delivery = await request(transport, subject, *rest, **named)
        if ".command." in subject:
            raise DeadlineExceededError
        return delivery

    monkeypatch.setattr(NatsTransport, "request", lose)
    arguments = ["call", "receipts", "add-item", "r-8", TEA, "--servers", receipts_url]
    message_id = new_message_id()
    assert main([*arguments, "--message-id", message_id]) == 1
    assert f"to repeat it, pass --message-id {message_id}" in capsys.readouterr().err
    assert main(arguments) == 1
    assert "to repeat it, pass --message-id 01" in capsys.readouterr().err


def test_call_timeout_includes_connecting(
    receipts_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--timeout covers connecting, discovery and the call together."""
    given: list[float] = []

    async def spy(transport: Transport, service: str, *, timeout: float) -> InfoResponse:
        given.append(timeout)
        return await get_service_info(transport, service, timeout=timeout)

    monkeypatch.setattr(call, "get_service_info", spy)
    main(["call", "receipts", "get", "r-9", "--servers", receipts_url, "--timeout", "9"])
    (left,) = given
    assert 0 < left < 9


def test_call_rejects_invalid_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A payload that is not valid JSON exits with 2 before anything is sent."""
    assert main(["call", "receipts", "add-item", "r-1", "{"]) == 2
    assert "not valid JSON" in capsys.readouterr().err


def test_find_ignores_foreign_endpoints() -> None:
    """Endpoints of services that are not made with weenats are ignored."""
    info = InfoResponse(
        type="io.nats.micro.v1.info_response",
        name="other",
        id="1",
        version="1.0.0",
        description="",
        endpoints=[EndpointInfo(name="default", subject="x", metadata=None)],
    )
    with pytest.raises(CliError, match=r"other 1\.0\.0 has no operation get; there are none"):
        find(info, "get")


def test_call_without_result_prints_done(capsys: pytest.CaptureFixture[str]) -> None:
    """A command without a result prints `done`."""
    show({"success": True, "duration": 1.0}, as_json=False)
    assert capsys.readouterr().out == "done\n"


def test_call_names_an_invalid_token(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A token that is not text exits with 2 and is named, not the key."""
    arguments = ["call", "receipts", "get", "r-1", "--token", "\udcff", "--servers", receipts_url]
    assert main(arguments) == 2
    assert "the token: " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--revision", "--time"])
def test_earlier_state_of_an_aggregate_that_handlers_keep(
    option: str, receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`state` refuses to ask for it: the handlers would answer the present state."""
    value = "1" if option == "--revision" else "2026-01-01"
    command = ["state", "receipts", "r-1", option, value, "--servers", receipts_url]
    assert main(command) == 1
    assert "receipts does not keep receipt in a stream" in capsys.readouterr().err


def test_payload_is_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte order mark, which some shells write, is left out; other encodings are wrong usage."""
    given = io.BytesIO(b'\xef\xbb\xbf{"name": "Tea"}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
    assert call.parse_payload("-") == b'{"name": "Tea"}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("{}".encode("utf-16"))))
    with pytest.raises(typer.BadParameter, match="the payload is not UTF-8"):
        call.parse_payload("-")


@pytest.mark.parametrize("text", ["null", "5", '"x"', "12345678901234567890.10", "[\n  1.50\n]"])
def test_call_keeps_results_of_any_type(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A payload is sent as it was given, a result is printed with all digits of its numbers."""
    metadata = {"kind": "command", "operation": "run", "aggregate": "thing"}
    endpoint = EndpointInfo(name="run", subject="probe.command.thing.run", metadata=metadata)
    payload = call.parse_payload(text)
    request = call.encode_request(None, "k", payload, endpoint, Kind.COMMAND)
    assert f'"command":{text},'.encode() in request
    assert json.loads(request)["command"] == json.loads(text)
    reply = f'{{"success":true,"result":{text},"duration":1}}'.encode()
    decoded = call.decode_reply(Delivery("reply", "", reply, b""), "probe", Kind.COMMAND)
    show(decoded.model_dump(by_alias=True), as_json=False)
    assert capsys.readouterr().out == f"{text}\n"


def test_failure_line_keeps_digits() -> None:
    """The details of a declared error are shown with all digits of their numbers."""
    details = '{"error":"too-much","data":{"limit":12345678901234567890.10}}'
    error = f'{{"code":"ABORTED","message":"m","details":{details}}}'
    reply = f'{{"success":false,"error":{error},"duration":1}}'.encode()
    failure = call.decode_reply(Delivery("reply", "", reply, b""), "probe", Kind.COMMAND)
    assert isinstance(failure, Failure)
    assert failure_line(failure) == 'ABORTED too-much: m {"limit": 12345678901234567890.10}'


def test_failure_line_shows_retry_after() -> None:
    """The `retryAfter` of a failure is shown in seconds."""
    reply = {
        "success": False,
        "duration": 1.0,
        "error": {"code": "RESOURCE_EXHAUSTED", "message": "m", "details": {"retryAfter": 250}},
    }
    failure = Failure.model_validate_json(json.dumps(reply))
    assert failure_line(failure) == "RESOURCE_EXHAUSTED: m (retry in 0.25 s)"


def test_call_sends_token(nats_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--token` authenticates the caller; without a token the error names the option."""
    import asyncio
    import threading

    from receipts.handlers import Receipts
    from testkit.tokens import FakeValidator, token
    from testkit.waiting import LIMIT
    from weenats import NatsServiceBuilder

    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        service = (
            NatsServiceBuilder(Receipts(), nats_url).with_auth(validator=FakeValidator()).build()
        )
        async with service:
            started.set()
            await asyncio.to_thread(ended.wait, LIMIT)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(LIMIT)
    call = ["call", "receipts", "add-item", "r-1", TEA, "--servers", nats_url]
    try:
        assert main(call) == 1
        assert "(pass a token with --token or WEENATS_TOKEN)" in capsys.readouterr().err
        assert main([*call, "--token", "invented"]) == 1
        assert "(the token was refused; the log of the service says why)" in capsys.readouterr().err
        assert main([*call, "--token", token()]) == 0
        assert json.loads(capsys.readouterr().out)["total"] == 0.3
    finally:
        ended.set()
        thread.join(LIMIT)
