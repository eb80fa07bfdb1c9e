"""The `weenats services` command, and errors common to several commands."""

import json
from pathlib import Path

import pytest

from receipts import CONTRACT
from testkit.cli_service import TARGET, TEA, weenats_run
from testkit.discovery import ExpectAnswers
from testkit.transports import answering, connected
from weenats.protocol.messages import PingResponse
from weenats.testing import NatsServer
from weenats_codegen.cli.connection import warn_of_differences
from weenats_codegen.cli.main import main
from weenats_codegen.cli.services import find_instances


async def test_silent_instance_has_a_row_and_a_warning(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """An instance that answers PING but not INFO is listed, and reported on standard error."""
    ping = PingResponse(
        type="io.nats.micro.v1.ping_response", name="odd", id="one", version="1.0.0", metadata={}
    )
    async with connected(nats_server.url) as odd:
        odd.subscribe("$SRV.PING", answering(odd, ping.model_dump_json().encode()))
        await odd.fence()
        (found,), missing = await find_instances(None, [nats_server.url])
    assert (found.identity.id, found.info, found.stats, missing) == ("one", None, None, None)
    told = "weenats: odd one does not answer: no reply to INFO and STATS\n"
    assert capsys.readouterr().err == told


def test_services_lists_instances(receipts_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every instance is listed with its operations and their request counts."""
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


def test_servers_are_separated_by_commas(
    receipts_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """NATS_URL and --servers may name several servers, of which one is enough."""
    several = f"nats://127.0.0.1:1,{receipts_url}"
    assert main(["health", "receipts", "--servers", several]) == 0
    monkeypatch.setenv("NATS_URL", several)
    assert main(["services", "--json"]) == 0
    assert '"receipts"' in capsys.readouterr().out


def test_contract_mismatch_is_reported(
    tmp_path: Path,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """`services` and `call` warn when instances have different contracts."""
    expect_answers(2)
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
        weenats_run(TARGET, "--servers", server.url, cwd=repository),
        weenats_run("newer:Newer", "--servers", server.url, cwd=tmp_path),
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


def test_call_finds_operation_of_any_instance(
    repository: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """An operation that only one of several instances has can be called."""
    expect_answers(2)
    (tmp_path / "newer.py").write_text(
        "from dataclasses import replace\n"
        "from receipts import CONTRACT\n"
        "from receipts.handlers import Receipts\n"
        "from weenats.service import Endpoint\n"
        "from receipts.operations import GET_RECEIPT\n"
        "class Newer(Receipts):\n"
        "    contract = replace(CONTRACT, version='1.1.0', digest='sha256:0123456789abcdef')\n"
        "    def endpoints(self):\n"
        "        peek = replace(GET_RECEIPT, name='peek')\n"
        "        return (*super().endpoints(), Endpoint.plain_query(peek, self.get_receipt))\n"
    )
    with (
        NatsServer() as server,
        weenats_run(TARGET, "--servers", server.url, cwd=repository),
        weenats_run("newer:Newer", "--servers", server.url, cwd=tmp_path),
    ):
        for _ in range(5):
            assert main(["call", "receipts", "peek", "r-1", "--servers", server.url]) == 1
            assert "NOT_FOUND receipt-not-found" in capsys.readouterr().err


def test_no_warning_without_contract_mismatch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only instances of the same service that publish a contract digest are compared."""
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


def test_services_reports_missing_service(
    receipts_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A requested service without instances is an error; --json still prints a document."""
    listing = ["services", "orders", "--servers", receipts_url]
    assert main(listing) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "weenats: no instance of orders is running\n")
    assert main([*listing, "--json"]) == 1
    shown = capsys.readouterr()
    assert (json.loads(shown.out), shown.err.count("\n")) == ([], 1)


def test_services_without_any_service(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a service name an empty list is not an error."""
    with NatsServer() as server:
        assert main(["services", "--servers", server.url]) == 0
    assert capsys.readouterr().out == "no service is running\n"
