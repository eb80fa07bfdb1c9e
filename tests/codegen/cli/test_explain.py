"""The command `explain`, which starts nothing."""

import json
from pathlib import Path

import pytest

from weenats_codegen.cli.main import main

TARGET = "receipts.handlers:Receipts"


def test_every_operation_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Each operation is printed with its settings and their sources."""
    assert main(["explain", TARGET]) == 0
    shown = capsys.readouterr().out
    for words in ("add-item", "receipts.query.receipt.get", "max queue time", "5 s", "default"):
        assert words in shown


def test_one_operation_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """One operation is one JSON document; durations are seconds."""
    assert main(["explain", TARGET, "get", "--json"]) == 0
    (policy,) = json.loads(capsys.readouterr().out)
    assert (policy["operation"], policy["kind"]) == ("get", "query")
    settings = {each["name"]: (each["value"], each["source"]) for each in policy["settings"]}
    assert settings["drain timeout"] == (30.0, "default")
    assert settings["rate limit"] == (None, "default")


def test_a_builder_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting of a builder has the name of its method as the source."""
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


def test_an_operation_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown operation is a line with the known ones."""
    assert main(["explain", TARGET, "ad-item"]) == 1
    told = capsys.readouterr().err
    assert "there is no operation ad-item" in told
    assert "add-item" in told
