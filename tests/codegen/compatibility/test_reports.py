"""Reports for programs, of what the command line does not show every day."""

from __future__ import annotations

from typing import Any

from weenats_codegen.compatibility.findings import Comparison, Finding
from weenats_codegen.compatibility.reports import as_annotations, as_json, as_sarif, details
from weenats_codegen.compatibility.rules import RULES
from weenats_codegen.parser.diagnostics import Location

_FINDING = Finding(
    RULES["not-known"], "50 %, or so", Location("a:b,c.yaml", "/queries"), tried=("x", "y")
)
_COMPARISONS = [Comparison("shop", "1.0.0", "1.1.0", (_FINDING,))]


def test_what_was_tried_is_reported() -> None:
    """For what is not known, every report says what was tried."""
    document: Any = as_json(_COMPARISONS)
    assert document["contracts"][0]["findings"][0]["tried"] == ["x", "y"]
    assert [*details(_FINDING)] == ["tried: x", "tried: y"]


def test_places_without_a_line() -> None:
    """A place whose file cannot be read is reported without a line; commands are escaped."""
    log: Any = as_sarif(_COMPARISONS, lambda _: None)
    [result] = log["runs"][0]["results"]
    assert "region" not in result["locations"][0]["physicalLocation"]
    [text] = as_annotations(_COMPARISONS, lambda _: None)
    assert text == (
        "::warning file=a%3Ab%2Cc.yaml,title=not-known (nobody)::"
        "50 %25, or so%0Atried: x%0Atried: y"
    )
