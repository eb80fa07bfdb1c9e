"""`diff`, `check --against` and `docs --against` compare contracts with those that run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from receipts.contract_document import DOCUMENT
from testkit import shops
from testkit.discovery import ExpectAnswers
from testkit.foreign_service import foreign_service, micro
from weenats import NatsService
from weenats.testing import NatsServer
from weenats_codegen.cli import running_contracts
from weenats_codegen.cli.main import main

EVIL = "\x1b[2J\x9b31m\u202e"


async def run(*arguments: str) -> int:
    """Run a command in a thread, since it has an event loop of its own."""
    return await asyncio.to_thread(main, arguments)


def contract(version: str) -> str:
    """Return the folder of a contract."""
    return str(shops.folder() / version)


@pytest.fixture
async def both(
    nats_url: str, expect_answers: ExpectAnswers
) -> AsyncIterator[tuple[NatsService, NatsService]]:
    """An instance of shop 1.0.0, which has served three calls, and one of 2.0.0."""
    expect_answers(2)
    async with shops.builder(shops.OLD, nats_url).build() as old:
        async with shops.client(shops.OLD, nats_url, verify="off") as client:
            for _ in range(3):
                await client.ping()
        async with shops.builder(shops.BREAKING, nats_url).build() as new:
            yield old, new


async def test_two_running_versions(
    nats_url: str, both: tuple[NatsService, NatsService], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each running contract has its own comparison, with instances and calls."""
    assert await run("diff", nats_url, contract(shops.BREAKING)) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("shop 1.0.0 -> 2.0.0: breaking\n")
    assert f"  running: {both[0].instance_id}\n  calls: ping 3\n  not called: order, refund" in out
    assert f"shop 2.0.0 -> 2.0.0: compatible\n  running: {both[1].instance_id}\n" in out
    assert "concerns: refund (0 calls)" in out
    assert f"\n    {contract(shops.BREAKING)}/service.json#/commands/refund\n" in out


async def test_json(
    nats_url: str, both: tuple[NatsService, NatsService], capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs get instances and calls of each running contract."""
    command = ["check", contract(shops.OLD), "--against", nats_url, "--json"]
    assert await run(*command) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["compatible"]
    assert "notCompared" not in found
    first, second = found["contracts"]
    assert first["compatible"]
    assert first["instances"] == [both[0].instance_id]
    assert first["calls"] == {"order": 0, "refund": 0, "ping": 3}
    assert second["oldVersion"] == "2.0.0"
    assert "version-lowered" in {each["rule"] for each in second["findings"]}


async def test_sarif_and_annotations(
    nats_url: str, both: tuple[NatsService, NatsService], capsys: pytest.CaptureFixture[str]
) -> None:
    """Code hosts get the instances and calls with each finding."""
    del both
    assert await run("diff", nats_url, contract(shops.BREAKING), "--format", "sarif") == 1
    [sarif] = json.loads(capsys.readouterr().out)["runs"]
    texts = [each["message"]["text"] for each in sarif["results"]]
    assert any("concerns: refund (0 calls)\nrunning: " in each for each in texts)
    assert "invocations" not in sarif
    assert await run("diff", nats_url, contract(shops.BREAKING), "--format", "github") == 1
    assert "concerns: refund (0 calls)%0Arunning: " in capsys.readouterr().out


async def test_files_may_be_the_old_version(
    nats_url: str, both: tuple[NatsService, NatsService], capsys: pytest.CaptureFixture[str]
) -> None:
    """The contract of a client, compared with what runs, shows what breaks the client."""
    del both
    assert await run("diff", contract(shops.OLD), nats_url) == 1
    out = capsys.readouterr().out
    assert "shop 1.0.0 -> 1.0.0: compatible" in out
    assert "shop 1.0.0 -> 2.0.0: breaking" in out
    assert "request-narrowed (old client)" in out


async def test_service_that_does_not_run(
    own_nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that does not run yet breaks nobody; clients of one that is gone break."""
    url = own_nats_server.url
    assert await run("check", contract(shops.OLD), "--against", url) == 0
    assert "service-added: the service shop is new" in capsys.readouterr().out
    assert await run("diff", contract(shops.OLD), url) == 1
    assert "service-removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["diff", "nats://127.0.0.1:1", "nats://127.0.0.1:1"], "one of both must be contracts"),
        (["diff", "nats://127.0.0.1:1", "{contract}"], "no connection to NATS"),
        (["check", "{contract}", "--against", "nats://127.0.0.1:x"], "its port is not a number"),
        (["docs", "--against", "nats://x", "--serve"], "--serve cannot be used with --against"),
    ],
)
def test_wrong_usage(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str], impatient: None
) -> None:
    """What cannot be compared has the exit code 2, and a line that says why."""
    del impatient
    filled = [each.format(contract=contract(shops.OLD)) for each in arguments]
    assert main(filled) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err


def instance(
    name: str, document: bytes | None = None, digest: str | None = "sha256:x", **more: Any
) -> dict[str, Any]:
    """Return the answers of an instance of shop that sends anything as its contract."""
    metadata = {} if digest is None else {"contract": digest}
    answers = micro("shop", name, identity={"metadata": metadata, **more})
    return answers if document is None else {**answers, f"shop.instance.{name}.contract": document}


ODD = {
    "empty": (b"", "is not valid"),
    "garbage": (b"\xff\xfe", "is not valid"),
    "number": (b"5", "is not valid"),
    "deep": (b"[" * 500_000, "is not valid"),
    "other": (DOCUMENT.encode(), "it sent the contract of another service, receipts"),
    "silent": (None, "it does not send its contract: UNAVAILABLE"),
}


async def test_odd_instances_cost_their_own_row(
    nats_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """The other instances are compared; what is not known is not called compatible."""
    expect_answers(1 + len(ODD))
    odd = [instance(name, document, f"sha256:{name}") for name, (document, _) in ODD.items()]
    command = ["check", contract(shops.OLD), "--against", nats_url, "--format"]
    outputs: dict[str, str] = {}
    async with shops.builder(shops.OLD, nats_url).build() as good:
        with foreign_service(nats_url, *odd, name="shop"):
            for output in ("text", "json", "sarif", "github"):
                assert await run(*command, output) == 2
                outputs[output] = capsys.readouterr().out
    text = outputs["text"]
    assert f"shop 1.0.0 -> 1.0.0: compatible\n  running: {good.instance_id}\n" in text
    found = {each["instances"][0]: each for each in json.loads(outputs["json"])["notCompared"]}
    assert found.keys() == ODD.keys()
    [invocation] = json.loads(outputs["sarif"])["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    notes = [each["message"]["text"] for each in invocation["toolExecutionNotifications"]]
    for name, (_, reason) in ODD.items():
        assert reason in found[name]["reason"]
        assert f"{found[name]['reason']}\n  running: {name}\n" in text
        assert any(reason in each and each.endswith(f"running: {name}") for each in notes)
    start = "::error title=not compared::shop 1.0.0 is not compared: "
    assert outputs["github"].count(start) == len(ODD)


async def test_older_and_foreign_instances(
    nats_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """Without digest, or with one and without an answer, an instance is not compared."""
    expect_answers(2)
    with foreign_service(nats_url, instance("i1"), instance("i2", digest=None), name="shop"):
        assert await run("check", contract(shops.OLD), "--against", nats_url) == 2
    out = capsys.readouterr().out
    assert "it does not report which contract it has\n  running: i2" in out
    assert "it does not send its contract" in out


@pytest.mark.usefixtures("single_instance")
async def test_wrong_digest(nats_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A document with another digest is compared, with a warning: another release may count."""
    document = shops.package(shops.BREAKING).CONTRACT.document().encode()
    with foreign_service(nats_url, instance("i1", document), name="shop"):
        assert await run("diff", nats_url, contract(shops.BREAKING)) == 0
    out, err = capsys.readouterr()
    assert "contract digest mismatch of shop 1.0.0: reported sha256:x, received sha256:" in err
    assert "shop 2.0.0 -> 2.0.0: compatible" in out


async def test_honest_instance_is_preferred(
    nats_url: str, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """Of instances with the same digest, one that sends what has it decides."""
    expect_answers(3)
    package = shops.package(shops.OLD)
    old, wrong = (shops.package(each).CONTRACT.document().encode() for each in shops.VERSIONS[::2])
    digest = package.CONTRACT.digest
    answers = [
        instance("i1", wrong, digest),
        instance("i2", b"", digest),
        instance("i3", old, digest),
    ]
    with foreign_service(nats_url, *answers, name="shop"):
        assert await run("diff", nats_url, contract(shops.COMPATIBLE)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "shop 1.0.0 -> 1.1.0: compatible\n  running: i1, i2, i3\n" in out


@pytest.mark.usefixtures("single_instance")
async def test_impostor_of_another_name(nats_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers in the name of another service do not count."""
    answers = micro("other", "i1", identity={"metadata": {"contract": "sha256:x"}})
    with foreign_service(nats_url, answers, name="shop"):
        assert await run("check", contract(shops.OLD), "--against", nats_url) == 0
    out, err = capsys.readouterr()
    assert "other i1 answered in place of shop, and is ignored" in err
    assert "the service shop is new" in out


async def test_flood_of_contracts(
    nats_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    expect_answers: ExpectAnswers,
) -> None:
    """Only so many contracts are read, those with most instances; the others are named."""
    expect_answers(7)
    monkeypatch.setattr(running_contracts, "_MAX_CONTRACTS", 2)
    flood = [instance(f"i{number}", b"{}", f"sha256:{number}") for number in range(5)]
    async with (
        shops.builder(shops.OLD, nats_url).build(),
        shops.builder(shops.OLD, nats_url).build(),
    ):
        with foreign_service(nats_url, *flood, name="shop"):
            assert await run("check", contract(shops.OLD), "--against", nats_url) == 2
    out = capsys.readouterr().out
    assert "shop 1.0.0 -> 1.0.0: compatible" in out
    assert out.count("there are more than 2 different contracts of the service") == 4


@pytest.mark.parametrize("output", ["text", "json", "sarif", "github"])
async def test_output_is_escaped(
    nats_url: str, capsys: pytest.CaptureFixture[str], output: str, expect_answers: ExpectAnswers
) -> None:
    """No text of an instance or of its contract controls the terminal."""
    expect_answers(2)
    document = shops.contract(shops.OLD) | {"description": EVIL}
    document["commands"]["order"]["payload"] = {"required": [EVIL], "enum": [{EVIL: EVIL}]}
    answers = [
        instance("i1", json.dumps(document).encode(), EVIL),
        instance("i2", json.dumps({EVIL: 1}).encode(), f"{EVIL}2"),
    ]
    with foreign_service(nats_url, *answers, name="shop"):
        await run("diff", nats_url, contract(shops.OLD), "--format", output)
    out, err = capsys.readouterr()
    assert "shop" in out
    assert {each for each in out + err if not each.isprintable()} <= {"\n"}


@pytest.mark.usefixtures("single_instance")
async def test_contract_that_cannot_be_compared(
    nats_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a contract makes of the comparison, the others are compared."""

    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("weenats_codegen.cli.diff.compare", fail)
    async with shops.builder(shops.OLD, nats_url).build():
        assert await run("check", contract(shops.OLD), "--against", nats_url) == 2
    assert "its contract cannot be compared: RecursionError" in capsys.readouterr().out


async def test_page_of_what_runs(
    nats_url: str,
    both: tuple[NatsService, NatsService],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    expect_answers: ExpectAnswers,
) -> None:
    """The page and the AsyncAPI documents have each service in its highest version."""
    expect_answers(3)
    del both
    with foreign_service(nats_url, micro("odd", "f1"), name="odd"):
        assert await run("docs", "--against", nats_url, "--out", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert "shop 1.0.0 is running too, and not on the page" in err
    assert "odd" not in err
    page = (tmp_path / "index.html").read_text()
    assert "shop.query.ping" in page
    assert "shop.command.refund" not in page
    document = json.loads((tmp_path / "shop.asyncapi.json").read_text())
    assert document["info"]["version"] == "2.0.0"
    assert "index.html" in out.replace("\n", "")  # a long path is wrapped


@pytest.mark.usefixtures("single_instance")
async def test_page_without_services(
    own_nats_server: NatsServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is written where no service runs; instances without contract are named."""
    url = own_nats_server.url
    assert await run("docs", "--against", url, "--out", str(tmp_path / "site")) == 1
    assert "no service that sends its contract is running" in capsys.readouterr().err
    with foreign_service(url, instance("i1", b"{}"), name="shop"):
        assert await run("docs", "--against", url, "--out", str(tmp_path / "site")) == 1
    assert "shop 1.0.0 is not on the page: its contract is not valid" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
