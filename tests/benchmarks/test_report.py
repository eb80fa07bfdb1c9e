"""The tables and the chart of the benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table of calls."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("chart", "report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import report

    columns = [("in flight", "d"), ("contender", ""), ("req/s", ",.0f"), ("x raw", ".2f")]
    rows = [
        (1, "raw", 3000.4, 1.0),
        (64, "raw & bare", 35000.0, 1.0),
        (64, "weenats", 27300.0, 0.78),
    ]
    return report.Table("Calls", columns, rows)


def test_table_is_markdown_and_json(table: Any) -> None:
    """Numbers are formatted for people, and have all digits for programs."""
    assert table.text().splitlines() == [
        "Calls:",
        "",
        "| in flight | contender  |  req/s | x raw |",
        "|----------:|------------|-------:|------:|",
        "|         1 | raw        |  3,000 |  1.00 |",
        "|        64 | raw & bare | 35,000 |  1.00 |",
        "|        64 | weenats    | 27,300 |  0.78 |",
    ]
    facts = table.facts()
    assert facts["rows"][0] == {"in flight": 1, "contender": "raw", "req/s": 3000.4, "x raw": 1.0}


def test_chart_has_a_bar_for_each_contender(table: Any) -> None:
    """The chart shows the rows of one number of calls in flight, in light and dark colors."""
    import chart

    picture = chart.drawn(table, 64)
    root = ET.fromstring(picture)  # noqa: S314 - our own
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("width") for bar in bars] == ["420", "328"]
    assert [bar.get("class") for bar in bars] == ["bar", "bar ours"]
    assert "raw &amp; bare" in picture
    assert ">0.78<" in picture
    assert "prefers-color-scheme: dark" in picture
