"""The `weenats demo` command, with text and JSON output."""

import json
import sys

import pytest

from weenats_codegen.cli.main import main


def test_demo_prints_all_steps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output shows calls, replies, caught errors, events, discovery and statistics."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    for expected in (
        "schemas/receipts/service.yaml",
        "generated/receipts/client.py",
        "await receipts.add_item('r-1', AddItem(name='Tea', price=0.1, quantity=1))",
        "except ItemNotFoundError: ",
        "except ReceiptNotFoundError: ",
        "except InvalidReceiptStateError: ",
        "item-added r-1 revision 1",
        "health: ok",
        "requests",
    ):
        assert expected in " ".join(shown.split()), expected


@pytest.mark.slow
def test_demo_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every step is listed, totals are exact, and no demo module stays imported."""
    loaded = set(sys.modules)
    assert main(["demo", "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    totals = [step["reply"]["total"] for step in steps if "total" in step.get("reply", {})]
    assert totals[:3] == [0.1, 0.3, 9.3]
    caught = [step["caught"]["class"] for step in steps if "caught" in step]
    assert caught == ["ItemNotFoundError", "ReceiptNotFoundError", "InvalidReceiptStateError"]
    events = [step["event"]["data"]["name"] for step in steps if "event" in step]
    assert events == ["Tea", "Sugar", "Coffee"]
    (counted,) = (step["statistics"] for step in steps if "statistics" in step)
    assert {each["name"]: each["num_errors"] for each in counted}["get"] == 1
    assert not {name for name in set(sys.modules) - loaded if name.startswith("receipts")}
