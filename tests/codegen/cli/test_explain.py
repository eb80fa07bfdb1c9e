"""The `weenats explain` command: shows all settings without starting a service."""

import json
from pathlib import Path

import pytest

from testkit.paths import GOLDEN
from weenats_codegen.cli.main import main

TARGET = "receipts.handlers:Receipts"


def test_explain_prints_all_operations(capsys: pytest.CaptureFixture[str]) -> None:
    """Every operation is shown with its settings and the source of each setting."""
    assert main(["explain", TARGET]) == 0
    shown = capsys.readouterr().out
    for words in ("add-item", "receipts.query.receipt.get", "max queue time", "5 s", "default"):
        assert words in shown


def test_common_settings_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What all operations share is shown once, before them, what differs with each of them."""
    assert main(["explain", TARGET]) == 0
    shown = capsys.readouterr().out
    assert shown.count("drain timeout") == 1
    assert shown.index("all operations") < shown.index("drain timeout") < shown.index("add-item")
    assert shown.count("idempotent") > 1


def test_explain_json_one_operation(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json one operation is one JSON document; durations are in seconds."""
    assert main(["explain", TARGET, "get", "--json"]) == 0
    (policy,) = json.loads(capsys.readouterr().out)
    assert (policy["operation"], policy["kind"]) == ("receipt.get", "query")
    settings = {each["name"]: (each["value"], each["source"]) for each in policy["settings"]}
    assert settings["drain timeout"] == (30.0, "default")
    assert settings["rate limit"] == (None, "default")


def test_explain_builder_from_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings of a builder are shown with the method that set them; nothing connects."""
    (tmp_path / "told.py").write_text(
        "from receipts.handlers import Receipts\n"
        "from weenats import NatsServiceBuilder\n"
        "built = NatsServiceBuilder(Receipts(), 'nats://127.0.0.1:1').with_rate_limit(100)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "told:built", "add-item"]) == 0
    shown = capsys.readouterr().out
    assert "100 a second" in shown
    assert "with_rate_limit" in shown


def test_explain_unknown_operation(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown operation is an error that lists the known operations."""
    assert main(["explain", TARGET, "ad-item"]) == 1
    told = capsys.readouterr().err
    assert "there is no operation ad-item" in told
    assert "add-item" in told


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_explain_reports_settings_that_do_not_fit(
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Settings with which no service starts are shown all the same; then comes why, and 1."""
    (tmp_path / "unfit.py").write_text(
        "from receipts.handlers import Receipts\n"
        "from weenats import NatsServiceBuilder\n"
        "builder = NatsServiceBuilder(Receipts()).with_rate_limit(100, per_client=True)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["explain", "unfit:builder", "get", *options]) == 1
    shown = capsys.readouterr()
    assert "receipts.query.receipt.get" in shown.out
    assert shown.err.startswith("weenats: the service cannot start: with_rate_limit(per_client")
    assert shown.err.count("\n") == 1


def test_explain_shows_how_long_replies_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`once` is a duration like the others."""
    monkeypatch.syspath_prepend(str(GOLDEN / "once" / "expected"))
    assert main(["explain", "ledger.handlers:Ledger"]) == 0
    assert "86400 s" in capsys.readouterr().out
