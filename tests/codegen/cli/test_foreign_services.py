"""The commands beside services of other frameworks, and beside ones that send anything."""

from __future__ import annotations

import json

import pytest

from testkit.discovery import ExpectAnswers
from testkit.foreign_service import foreign_service, micro
from weenats_codegen.cli.main import main

HUGE = 10**400
IDS = ("host.1", "a b", "*", ">", "\x1b[31mred", "é" * 300, "x\r\nPUB y 0")
BROKEN: dict[str, bytes] = {
    "garbage": b"\xff\xfe garbage",
    "nothing": b"",
    "list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "nan": b'{"name": NaN, "id": 1e400}',
    "names": b'{"name": "' + b"x" * 10_000 + b'", "id": "\\u001b[2J"}',
}
ODD: dict[str, dict[str, bytes]] = {
    "capitals": micro("MyService"),
    "official JavaScript": micro(stats={"last_error": None}),
    "no metadata": micro(info={"metadata": None}),
    "number that no int64 holds": micro(stats={"num_requests": HUGE}),
    "average that no int64 holds": micro(stats={"average_processing_time": HUGE}),
    "infinite data": {
        **micro(),
        "STATS": micro(stats={"data": {"x": 1}})["STATS"].replace(b'"x": 1', b'"x": 1e400'),
    },
    "foreign data": micro(
        stats={"data": {"rateLimit": {"refused": HUGE}, "circuitBreaker": {"state": [1]}}}
    ),
    **{f"id {each!r}": micro(instance=each) for each in IDS},
    **{
        f"{verb} is {what}": {**micro(), verb: reply}
        for verb in micro()
        for what, reply in BROKEN.items()
    },
}
LISTINGS = (
    ["services"],
    ["services", "--json"],
    ["top", "--once", "--interval", "0.1"],
    ["top", "--once", "--interval", "0.1", "--json"],
)


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_odd_service_affects_only_its_row(
    arguments: list[str],
    receipts_url: str,
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """Listings show the other services, exit with 0, and print no control characters."""
    expect_answers(1 + len(ODD))
    with foreign_service(receipts_url, *ODD.values()):
        assert main([*arguments, "--servers", receipts_url]) == 0
    shown = capsys.readouterr()
    assert "receipts" in shown.out
    assert "MyService" in shown.out
    assert "Traceback" not in shown.err
    assert "\x1b" not in shown.out + shown.err
    if "--json" in arguments:
        json.loads(shown.out, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("answers", "rows"),
    [
        (micro("MyService"), [("MyService", "odd-1", 1)]),
        (micro(instance="host.1"), [("odd", "host.1", 1)]),
        (micro(stats={"last_error": None}), [("odd", "odd-1", 1)]),
        ({**micro(), "STATS": b"garbage"}, [("odd", "odd-1", None)]),
        ({**micro(), "PING": b"garbage"}, [("odd", "odd-1", 1)]),
    ],
)
def test_services_lists_foreign_services(
    answers: dict[str, bytes],
    rows: list[tuple[str, str, int | None]],
    receipts_url: str,
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """A service that keeps to ADR-32 is listed as it is; invalid replies are warned of."""
    expect_answers(2)
    with foreign_service(receipts_url, answers):
        assert main(["services", "--json", "--servers", receipts_url]) == 0
    shown = capsys.readouterr()
    found = [each for each in json.loads(shown.out) if each["name"] != "receipts"]
    assert [
        (each["name"], each["id"], each["endpoints"][0].get("num_requests")) for each in found
    ] == rows
    assert ("sent an invalid reply to" in shown.err) == (b"garbage" in answers.values())


@pytest.mark.parametrize("verb", ["INFO", "STATS"])
def test_invalid_reply_is_reported_once(
    verb: str, nats_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """An instance whose reply is invalid has answered, also one with a long id."""
    expect_answers(1)
    instance = "i" * 60
    answers = micro(instance=instance)
    broken = answers[verb].replace(b'"endpoints": [', b'"endpoints": [1, ')
    with foreign_service(nats_url, {**answers, verb: broken}):
        assert main(["services", "--servers", nats_url]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    start = f"weenats: odd {instance[:50]} sent an invalid reply to {verb}: /endpoints/0: "
    assert line.startswith(start)


def test_service_with_an_invalid_ping_alone(
    receipts_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers nothing but PING, and that wrongly, is warned of and has no row."""
    monkeypatch.setattr("weenats.discovery._QUIET", 0.5)
    with foreign_service(receipts_url, {"PING": b"garbage"}):
        assert main(["services", "--json", "--servers", receipts_url]) == 0
    shown = capsys.readouterr()
    assert [each["name"] for each in json.loads(shown.out)] == ["receipts"]
    assert "sent an invalid reply to" in shown.err


def test_foreign_service_can_be_named(
    receipts_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """`services` and `top` take the name of a service of any framework."""
    expect_answers(1)
    with foreign_service(receipts_url, micro("MyService"), name="MyService"):
        for verb in (["services"], ["top", "--once", "--interval", "0.1"]):
            assert main([*verb, "MyService", "--servers", receipts_url]) == 0
            shown = capsys.readouterr().out
            assert "MyService" in shown
            assert "receipts" not in shown


def failure(retry_after: str) -> bytes:
    """Return an error reply with a number as it is written."""
    details = f'{{"retryAfter": {retry_after}}}'
    error = f'{{"code": "UNAVAILABLE", "message": "m", "details": {details}}}'
    return f'{{"success": false, "duration": 1, "error": {error}}}'.encode()


@pytest.mark.usefixtures("single_instance")
@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (micro(info={"metadata": None}), "odd 1.0.0 has no operation get; there are none"),
        (
            micro(info={"metadata": {"kind": "query", "operation": "get"}}),
            "the unexpected subject odd.query.receipt.get for get; the request was not sent",
        ),
        (
            micro(info={"metadata": {"kind": "query", "operation": "get", "aggregate": "a b"}}),
            "odd 1.0.0 has no operation get",
        ),
        ({**micro(), "INFO": b"garbage"}, "sent an invalid reply to INFO: Invalid JSON"),
        ({**micro(), "odd.query.receipt.get": b'{"success": 5}'}, "odd sent an invalid reply: "),
        ({**micro(), "odd.query.receipt.get": b'{"success":\xff'}, "odd sent an invalid reply: "),
        ({**micro(), "odd.query.receipt.get": b'{"success": true}'}, "odd sent an invalid reply: "),
        ({**micro(), "odd.query.receipt.get": failure("1" + "0" * 400)}, "UNAVAILABLE: m\n"),
        ({**micro(), "odd.query.receipt.get": failure("1e400")}, "UNAVAILABLE: m\n"),
        ({**micro(), "odd.query.receipt.get": failure("-1")}, "UNAVAILABLE: m\n"),
        ({**micro(), "odd.query.receipt.get": failure("true")}, "UNAVAILABLE: m\n"),
        ({**micro(), "odd.query.receipt.get": failure("1500")}, "UNAVAILABLE: m (retry in 1.5 s)"),
        (micro(), "UNAVAILABLE: no responders on odd.query.receipt.get"),
    ],
)
def test_call_of_odd_service_is_one_line(
    answers: dict[str, bytes], told: str, nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a service answers, a call exits with 1 and one line that says what was wrong."""
    with foreign_service(nats_url, answers):
        assert main(["call", "odd", "get", "k", "--servers", nats_url]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("weenats: ")
    assert told in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.usefixtures("single_instance")
def test_similar_names_are_suggested(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A service or an operation that does not exist names the most similar one."""
    for arguments, told in (
        (["services", "recipts"], "no instance of recipts is running; did you mean receipts?"),
        (["health", "receipt"], "no instance of receipt is running; did you mean receipts?"),
        (["call", "receits", "get", "k"], "no instance of receits is running; did you mean"),
        (["call", "receipts", "ad-item", "k"], "no operation ad-item; did you mean add-item?"),
    ):
        assert main([*arguments, "--servers", receipts_url]) == 1
        assert told in capsys.readouterr().err


@pytest.mark.usefixtures("single_instance")
def test_service_with_invalid_statistics_only(
    nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that runs but sends no valid statistics is not said to be missing."""
    with foreign_service(nats_url, micro(stats={"num_requests": 10**40})):
        assert main(["health", "odd", "--servers", nats_url]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "weenats: no instance of odd sent a valid reply, though some are running"
