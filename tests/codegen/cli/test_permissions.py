"""The `weenats permissions` command: golden output and error messages."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testkit.parcels import CONTRACT_FOLDER
from testkit.paths import GOLDEN as CONTRACTS
from weenats_codegen.cli.main import main
from weenats_codegen.loading import read
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import of_service
from weenats_codegen.permissions.output import to_claims, to_config

Claims = Callable[..., dict[str, Any]]
GOLDEN = Path(__file__).parent / "permissions"
CASES = {
    "service": ["--role", "service"],
    "service-workers": [
        *("--role", "service", "--queue-group", "receipt-workers", "--max-timeout", "62.5")
    ],
    "client": ["--role", "client"],
    "client-few": [
        *("--role", "client", "--operations", "get, add-item", "--inbox-prefix", "_INBOX_till")
    ],
    "client-listens": [*("--role", "client", "--events", "item-added", "--queue-group", "ledger")],
    "client-asks": ["--role", "client", "--discovery"],
}


DURABLE_CASES = {
    "durable-service": [*("--role", "service", "--streams", "apply")],
    "durable-consumer": [*("--role", "consumer", "--consumer", "billing")],
    "durable-projection": [*("--role", "projection", "--projection", "parcel-counts")],
    "durable-operator": [
        *("--role", "operator", "--inbox-prefix", "_INBOX_ops"),
        *("--projection", "parcel-counts"),
    ],
}


@pytest.mark.parametrize("case", DURABLE_CASES)
def test_durable_events_match_golden_files(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The roles of durable events have exactly these permissions."""
    assert main(["permissions", str(CONTRACT_FOLDER), *DURABLE_CASES[case]]) == 0
    assert capsys.readouterr().out == (GOLDEN / f"{case}.conf").read_text()


@pytest.fixture
def claims(capsys: pytest.CaptureFixture[str]) -> Claims:
    """Function that returns what is printed as JSON for a contract and options."""

    def printed(folder: Path, *options: str) -> dict[str, Any]:
        assert main(["permissions", str(folder), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    return printed


def test_service_with_a_consumer_and_a_projection(claims: Claims) -> None:
    """A service whose lifespan runs both needs what all three roles need, each line once."""
    service, consumer = ["--role", "service"], ["--consumer", "billing"]
    projection = ["--projection", "parcel-counts"]
    roles = [
        claims(CONTRACT_FOLDER, *service),
        claims(CONTRACT_FOLDER, "--role", "consumer", *consumer),
        claims(CONTRACT_FOLDER, "--role", "projection", *projection),
    ]
    found = claims(CONTRACT_FOLDER, *service, *consumer, *projection)
    for kind in ("pub", "sub"):
        subjects = found[kind]["allow"]
        assert set(subjects) == {subject for role in roles for subject in role[kind]["allow"]}
        assert len(set(subjects)) == len(subjects)
    assert found["resp"] == roles[0]["resp"]


@pytest.mark.parametrize(
    ("role", "option"),
    [
        ("service", "--consumer"), ("service", "--projection"), ("consumer", "--consumer"),
        ("projection", "--projection"),
    ],
)  # fmt: skip
def test_consumer_of_a_contract_without_durable_events_is_refused(
    role: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Permissions that lack what the consumer needs are not printed as if they were complete."""
    (tmp_path / "service.yaml").write_text(
        "service: billing\nversion: 1.0.0\ndescription: Bills.\n"
        "queries: {ask: {description: Ask., result: {type: string}}}\n"
    )
    assert main(["permissions", str(tmp_path), "--role", role, option, "billing"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f"{option} goes with the contract of the" in output.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--role", "consumer"], "--role consumer requires --consumer NAME"),
        (["--role", "client", "--consumer", "b"], "--consumer requires --role consumer or service"),
        (["--role", "projection"], "--role projection requires --projection NAME"),
        (
            ["--role", "client", "--projection", "b"],
            "--projection requires --role projection, service or operator",
        ),
        (["--role", "client", "--streams", "check"], "--streams requires --role service"),
        (["--role", "operator", "--discovery"], "--discovery requires --role client"),
    ],
)
def test_options_of_other_roles_are_refused(
    options: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that the role does not have is wrong usage."""
    assert main(["permissions", str(CONTRACT_FOLDER), *options]) == 2
    assert problem in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize("case", CASES)
def test_output_matches_golden_files(
    case: str, receipts_contract: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server configuration and the JWT claims match the golden files."""
    command = ["permissions", str(receipts_contract), *CASES[case]]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    claims = capsys.readouterr().out
    assert text == (GOLDEN / f"{case}.conf").read_text()
    assert claims == (GOLDEN / f"{case}.json").read_text()


def test_config_and_claims_are_equivalent() -> None:
    """The configuration and the claims list the same subjects in the same order."""
    for case in CASES:
        claims = json.loads((GOLDEN / f"{case}.json").read_text())
        text = (GOLDEN / f"{case}.conf").read_text()
        listed = [each for side in ("pub", "sub") for each in claims[side].get("allow", [])]
        assert re.findall(r'^ {6}"(.*?)"', text, re.MULTILINE) == listed
        assert ("resp" in claims) == ("allow_responses" in text) == case.startswith("service")


def test_repeated_options_are_combined(
    receipts_contract: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repeated option adds to the previous values; the order does not matter."""
    names = ["--operations", "get", "--operations", "add-item", "--inbox-prefix", "_INBOX_till"]
    assert main(["permissions", str(receipts_contract), "--role", "client", *names]) == 0
    assert capsys.readouterr().out == (GOLDEN / "client-few.conf").read_text()


def test_all_unknown_names_are_reported(
    receipts_contract: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each unknown name has a line of its own, with a similar name or with all that exist."""
    options = ["--operations", "ad-item,get,a b", "--events", "add-item"]
    assert main(["permissions", str(receipts_contract), "--role", "client", *options]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    events = "item-added, item-removed, receipt-finalized, receipt-voided"
    operations = "add-item, finalize, receipt.get, remove-item, summary, void-receipt"
    file = receipts_contract / "service.yaml"
    assert shown.err.splitlines() == [
        f'weenats: {file}: has no event "add-item"; known are {events}',
        f'weenats: {file}: has no operation "a b"; known are {operations}',
        f'weenats: {file}: has no operation "ad-item"; did you mean add-item?',
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--role", "service", "--queue-group", "a.>"], "queue group"),
        (["--role", "service", "--queue-group", ""], "queue group"),
        (["--role", "client", "--queue-group", "W"], "queue group"),
        (["--role", "client", "--inbox-prefix", "a.>"], "inbox prefix"),
        (["--role", "client", "--inbox-prefix", 'a"b c'], "inbox prefix"),
        (["--role", "client", "--inbox-prefix", ""], "inbox prefix"),
        (["--role", "client", "--inbox-prefix", "a\udcff"], "inbox prefix"),
    ],
)
def test_invalid_names_are_rejected(
    receipts_contract: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid queue group or inbox prefix is wrong usage."""
    assert main(["permissions", str(receipts_contract), *options]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"is not a valid {words}" in shown.err.replace("name of a ", "")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--role", "admin"],
        ["--role", "service", "--operations", "get"],
        ["--role", "service", "--events", "item-added"],
        ["--role", "service", "--discovery"],
        ["--role", "client", "--max-timeout", "3"],
        ["--role", "client", "--shared-limits"],
        ["--role", "service", "--max-timeout", "0"],
        ["--role", "client", "--operations", "add-item", "get"],
        ["--role", "client", "--operations", ""],
        ["--role", "client", "--discovery", "--events", " , "],
    ],
)
def test_invalid_options_exit_with_2(
    receipts_contract: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing or unknown role, or an option that the role does not have, exits with 2."""
    assert main(["permissions", str(receipts_contract), *options]) == 2
    assert capsys.readouterr().out == ""


def test_service_without_jetstream_has_no_inbox(capsys: pytest.CaptureFixture[str]) -> None:
    """A prefix of its inbox is wrong usage."""
    folder = CONTRACTS / "no-events" / "contract"
    assert main(["permissions", str(folder), "--role", "service", "--inbox-prefix", "mine"]) == 2
    assert "--inbox-prefix changes nothing: " in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_one_user_for_several_contracts(
    receipts_contract: Path, claims: Claims, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each role may call other contracts too: all of them, or only the operations named."""
    loyalty = receipts_contract.parent / "loyalty"

    service = claims(receipts_contract, "--role", "service")
    client = claims(loyalty, "--role", "client", "--operations", "get")
    both = claims(receipts_contract, "--role", "service", "--calls", f"{loyalty}=get")
    assert both["resp"] == service["resp"]
    for each in ("pub", "sub"):
        one, other = service[each]["allow"], client[each]["allow"]
        assert both[each]["allow"] == list(dict.fromkeys([*one, *other]))
    calls = ("--calls", str(loyalty), "--inbox-prefix", "mine")
    everything = claims(receipts_contract, "--role", "client", *calls)
    assert "loyalty.command.card.collect" in everything["pub"]["allow"]
    assert everything["sub"]["allow"].count("mine.>") == 1
    role = ["permissions", str(receipts_contract), "--role", "client"]
    assert main([*role, "--calls", f"{loyalty}=get"]) == 0
    head = "# the client of receipts 1.0.0, which calls loyalty 1.0.0; all else is denied"
    assert capsys.readouterr().out.splitlines()[0] == head
    assert main([*role, "--calls", f"{loyalty}=gte"]) == 1
    assert 'has no operation "gte"; did you mean card.get?' in capsys.readouterr().err
    assert main([*role, "--calls", f"{loyalty}="]) == 2


def test_one_user_that_consumes_events_of_another_service(
    receipts_contract: Path, claims: Claims, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service may process durable events of others: it gets what their consumer needs."""
    loyalty = receipts_contract.parent / "loyalty"

    service = claims(loyalty, "--role", "service")
    consumer = claims(
        receipts_contract, "--role", "consumer", "--consumer", "cards", "--inbox-prefix", "mine"
    )
    role = ["permissions", str(loyalty), "--role", "service"]
    option = f"{receipts_contract}=cards"
    both = claims(loyalty, *role[2:], "--consumes", option, "--inbox-prefix", "mine")
    for each in ("pub", "sub"):
        one, other = service[each]["allow"], consumer[each]["allow"]
        assert both[each]["allow"] == list(dict.fromkeys([*one, *other]))
    twice = ["--consumes", option, "--consumes", f"{receipts_contract}=offers"]
    assert main([*role, *twice, "--calls", str(receipts_contract)]) == 0
    head = (
        "# the service of loyalty 1.0.0, which calls receipts 1.0.0 and consumes receipts 1.0.0;"
        " all else is denied"
    )
    assert capsys.readouterr().out.splitlines()[0] == head
    for wrong, problem in (
        (str(receipts_contract), "requires the name of a consumer after ="),
        (f"{receipts_contract}=", "is not a valid name of a consumer"),
        (f"{CONTRACTS / 'minimal' / 'contract'}=cards", "has no durable events"),
    ):
        assert main([*role, "--consumes", wrong]) == 2
        assert problem in " ".join(capsys.readouterr().err.split())


def test_unreadable_folder_is_rejected(
    tmp_path: Path,
    receipts_contract: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A folder that may not be read is not said to be empty, also beside other contracts."""
    closed = tmp_path / "schemas" / "closed"
    closed.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, _: path != closed)  # root may read everything
    assert main(["check", str(closed.parent)]) == 1
    expected = f"weenats: {closed.as_posix()}: is not readable; permit reading and entering it\n"
    assert capsys.readouterr().err == expected
    shutil.copytree(receipts_contract, closed.parent / "open")
    assert main(["check", str(closed.parent)]) == 1
    assert "is not readable" in capsys.readouterr().err


def test_folder_of_contracts_is_rejected(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with several contract folders is rejected; one contract is expected."""
    assert main(["permissions", str(repository / "schemas"), "--role", "client"]) == 1
    assert "is a folder of contracts" in capsys.readouterr().err


def test_reply_expiry_from_longest_timeout(receipts_contract: Path, tmp_path: Path) -> None:
    """Replies may be sent until 5 s after the longest timeout of a caller."""
    copy = shutil.copytree(receipts_contract.parent, tmp_path / "schemas") / "receipts"
    text = (copy / "service.yaml").read_text()
    slow = text.replace("timeout: 10 ", "timeout: 60 ", 1)
    (copy / "service.yaml").write_text(slow)
    contract = read(copy)
    waits = [of_service(contract, max_timeout=longest).reply_within for longest in (0.0, 50, 90)]
    assert waits == [65, 65, 95]
    assert of_service(read(receipts_contract)).reply_within == 15


def test_empty_permissions_deny_everything() -> None:
    """Empty permissions deny everything; an empty allow list would allow everything."""
    nothing = Permissions((), ())
    assert to_config(nothing) == (
        'permissions: {\n  publish: {deny: [">"]}\n  subscribe: {deny: [">"]}\n}'
    )
    assert to_claims(nothing) == {"pub": {"deny": [">"]}, "sub": {"deny": [">"]}}


def test_reply_expiry_is_whole_milliseconds(receipts_contract: Path) -> None:
    """A fractional reply expiry is rounded to whole milliseconds."""
    permissions = of_service(read(receipts_contract), max_timeout=17.0004)
    assert 'expires: "22000ms"' in to_config(permissions)
    assert to_claims(permissions)["resp"] == {"max": 2, "ttl": 22_000_000_000}
