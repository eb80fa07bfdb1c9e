"""What other parties answer to discovery and calls, which the command line only displays."""

from __future__ import annotations

import asyncio
import json

import nats
import pytest

from testkit.discovery import ExpectAnswers
from testkit.foreign_service import encoded, foreign_service, micro
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main

ACCOUNTS = """
authorization { users: [
    {user: victim, password: v}
    {user: evil, password: e, permissions: {publish: {deny: ["admin.>"]}}}
] }
"""
SMUGGLED = "x 12 12\r\nNATS/1.0\r\n\r\n\r\nPUB admin.delete 5\r\npwned\r\nHPUB y"


GET = "odd.query.receipt.get"


@pytest.mark.parametrize("subject", [SMUGGLED, "admin.delete", "odd.command.receipt.clear"])
async def test_call_publishes_to_no_subject_of_others(
    capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    """A user that may answer INFO cannot make callers publish elsewhere in their own name."""
    with NatsServer(config=ACCOUNTS) as server:
        host = server.url.removeprefix("nats://")
        own = f"nats://victim:v@{host}"
        arrived: list[str] = []

        async def on_message(message: nats.aio.msg.Msg) -> None:
            arrived.append(message.subject)

        admin = await nats.connect(own)
        for wildcard in ("admin.>", "odd.>", "x.>", "y.>"):
            await admin.subscribe(wildcard, cb=on_message)
        await admin.flush()
        with foreign_service(f"nats://evil:e@{host}", micro(info={"subject": subject})):
            call = ["call", "odd", "get", "k", "--servers", own]
            assert await asyncio.to_thread(main, call) == 1
        await admin.flush()
        await admin.close()
    assert arrived == []
    assert "for get; the request was not sent" in capsys.readouterr().err


EVIL = "\x9b31m\x9d0;title\x9c\u202eabc\x7f\u200b\u2028\x1b[2J\U000e0041\ufeff"
"""C1 and C0 controls, DEL, and characters that turn text around, take no place or end a line."""
ENTITY = {"id": {"type": "receipt", "key": "k"}, "state": {"x": EVIL}, "revision": 1}
FAILURE = {
    "code": "INVALID_ARGUMENT",
    "message": EVIL,
    "details": {"violations": [{"pointer": EVIL, "message": EVIL}]},
}
REPLIES = [
    {"success": True, "entity": ENTITY, "duration": 1},
    {"success": False, "error": FAILURE, "duration": 1},
]


def raw(text: str) -> set[str]:
    """Return the characters that a terminal does not just show."""
    return {each for each in text if not each.isprintable() and each != "\n"}


@pytest.mark.parametrize("reply", REPLIES, ids=["success", "failure"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_call_escapes_what_is_not_printable(
    nats_url: str, capsys: pytest.CaptureFixture[str], reply: dict[str, object], options: list[str]
) -> None:
    """Results and errors do not control the terminal, and JSON still has what was sent."""
    with foreign_service(nats_url, {**micro(), GET: encoded(reply)}):
        main(["call", "odd", "get", "k", "--servers", nats_url, *options])
    out, err = capsys.readouterr()
    assert "abc" in out + err
    assert raw(out + err) == set()
    if options:
        member = "entity" if reply["success"] else "error"
        assert json.loads(out)[member] == reply[member]


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_details_that_are_not_json_are_shown(
    nats_url: str, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """NaN in the details of an error is null, as in results, and the error is what is reported."""
    failure = {"code": "INTERNAL", "message": "m", "details": {"error": "x", "data": [1, "NaN"]}}
    reply = encoded({"success": False, "error": failure, "duration": 1})
    with foreign_service(nats_url, {**micro(), GET: reply.replace(b'"NaN"', b"NaN")}):
        assert main(["call", "odd", "get", "k", "--servers", nats_url, *options]) == 1
    assert capsys.readouterr().err == "weenats: INTERNAL x: m [1, null]\n"


@pytest.mark.parametrize("verb", ["services", "top --once --interval 0.1"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_listings_escape_what_is_not_printable(
    nats_url: str, capsys: pytest.CaptureFixture[str], verb: str, options: list[str]
) -> None:
    """No member of an answer to discovery controls the terminal."""
    answers = micro(
        identity={"metadata": {"contract": f"sha256:{EVIL}"}},
        info={
            "name": EVIL,
            "metadata": {"kind": EVIL, "operation": EVIL},
            "queue_group": EVIL,
        },
        stats={"name": EVIL, "last_error": EVIL, "data": {EVIL: EVIL}},
    )
    with foreign_service(nats_url, answers):
        main([*verb.split(), "--servers", nats_url, *options])
    out, err = capsys.readouterr()
    assert "odd" in out + err
    assert raw(out + err) == set()


@pytest.mark.parametrize("verb", ["services", "top --once --interval 0.1", "health odd"])
def test_long_texts_do_not_flood_the_terminal(
    nats_url: str, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """A name of 150 kB costs some lines of the listing, and JSON has all of it."""
    long = "[a]" * 50_000
    health = {"ready": False, "reason": long, "checks": [{"name": "c", "status": "ok"}]}
    answers = micro(instance=long, identity={"data": {"health": health}}, stats={"name": long})
    with foreign_service(nats_url, answers):
        main([*verb.split(), "--servers", nats_url])
        out, _ = capsys.readouterr()
        main([*verb.split(), "--servers", nats_url, "--json"])
    assert len(out) < 20_000
    assert long in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["services", "health odd"])
def test_rows_of_one_instance_are_bounded(
    nats_url: str, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """Of thousands of operations or checks of one instance the first ones are shown."""
    checks = [{"name": f"check-{each}", "status": "ok"} for each in range(2500)]
    answers = micro(identity={"data": {"health": {"ready": True, "checks": checks}}})
    statistics = json.loads(answers["STATS"])
    statistics["endpoints"] *= 2500
    with foreign_service(nats_url, {**answers, "STATS": encoded(statistics)}):
        assert main([*verb.split(), "--servers", nats_url]) == 0
    out, _ = capsys.readouterr()
    assert "... and 1500 more, which --json shows" in out
    assert out.count("\n") < 1100


def test_call_escapes_names_of_operations(
    nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that lists what a service has does not control the terminal."""
    metadata = {"kind": "query", "operation": EVIL, "aggregate": "receipt"}
    with foreign_service(nats_url, micro(info={"metadata": metadata})):
        assert main(["call", "odd", "get", "k", "--servers", nats_url]) == 1
    assert raw(capsys.readouterr().err) == set()


def test_impostors_do_not_hide_an_instance(
    nats_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """An instance and an impostor with its id each have a row, and there is one warning."""
    expect_answers(2)
    real = micro("twin", "t-1", stats={"num_requests": 123})
    fake = micro("twin", "t-1", identity={"version": "6.6.6"}, stats={"num_requests": 456})
    with foreign_service(nats_url, fake), foreign_service(nats_url, real):
        for verb in ("services", "top"):
            once = [] if verb == "services" else ["--once", "--interval", "0.1"]
            assert main([verb, *once, "--json", "--servers", nats_url]) == 0
            printed = capsys.readouterr()
            assert "6.6.6" in printed.out
            assert '"1.0.0"' in printed.out
            assert printed.err.count("twin t-1 sent different answers") == 1
