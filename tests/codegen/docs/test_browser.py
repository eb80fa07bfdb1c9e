"""The page in Chromium: desktop and phone, light and dark, accessible, without broken links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testkit.chromium import chromium, evaluate, screenshot
from testkit.npm import npm_file
from testkit.paths import REPOSITORY
from weenats_codegen.docs.page import page
from weenats_codegen.generate import read_contracts

GOLDEN = REPOSITORY / "tests/codegen/golden"
DESKTOP, PHONE = 1280, 500  # the narrowest window of Chromium
LOOK = """
const ids = new Set([...document.querySelectorAll("[id]")].map((each) => each.id));
const links = [...document.querySelectorAll("a[href]")].map((each) => each.getAttribute("href"));
const all = document.querySelectorAll("[id]").length;
const axeResult = await axe.run(document, {resultTypes: ["violations"]});
const search = (text) => {
  const input = document.getElementById("search");
  input.value = text; input.dispatchEvent(new Event("input"));
  const shown = [...document.querySelectorAll("article[data-search]:not([hidden]) h3")];
  return shown.map((each) => each.textContent.trim().replace(/\\s+/g, " "));
};
const first = document.querySelector("table.errors .code").getBoundingClientRect();
return {
  isDark: matchMedia("(prefers-color-scheme: dark)").matches,
  width: innerWidth,
  content: document.documentElement.scrollWidth,
  broken: links.filter((link) => !link.startsWith("#") || !ids.has(link.slice(1))),
  twice: all - ids.size,
  violations: axeResult.violations.map((each) => [each.id, each.nodes[0].html]),
  background: getComputedStyle(document.body).backgroundColor,
  isListOpen: document.querySelector("nav.side details").open,
  found: search("empty-receipt"),
  everything: search("").length,
  firstCode: [first.top > 0, first.right < innerWidth],
};
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of the sample, and one of several contracts."""
    chromium()
    folder = tmp_path_factory.mktemp("pages")
    contracts = read_contracts([REPOSITORY / "schemas/receipts"])
    (folder / "sample.html").write_text(page(contracts), encoding="utf-8")
    several = [*contracts, *read_contracts([GOLDEN / name / "contract" for name in (
        "full", "hostile-text", "events-only", "any-schema", "limits", "deprecated")])]  # fmt: skip
    (folder / "several.html").write_text(page(several), encoding="utf-8")
    return folder


def look(file: Path, *, width: int, is_dark: bool) -> Any:
    """Return what is to be seen in a page."""
    axe = npm_file("axe-core/axe.min.js").read_text(encoding="utf-8")
    return evaluate(file, f"{axe};{LOOK}", width=width, is_dark=is_dark)


@pytest.mark.parametrize(("width", "is_dark"), [(DESKTOP, False), (PHONE, True)])
@pytest.mark.parametrize("name", ["sample", "several"])
def test_page_in_browser(name: str, width: int, is_dark: bool, pages: Path) -> None:
    """Accessible, no broken link, nothing wider than the window, and the search finds errors."""
    found = look(pages / f"{name}.html", width=width, is_dark=is_dark)
    assert found["violations"] == []
    assert found["broken"] == []
    assert found["twice"] == 0
    assert found["isDark"] is is_dark
    assert found["content"] <= found["width"]
    assert found["isListOpen"] is (width == DESKTOP)
    assert found["found"] == ["command finalize"]
    assert found["everything"] >= 10
    assert found["firstCode"] == [True, True]
    assert (found["background"] == "rgb(255, 255, 255)") is not is_dark


def test_hostile_page_runs_nothing(pages: Path) -> None:
    """Texts of a contract are shown as they are, and never run."""
    script = "return [typeof window.hostile, document.querySelectorAll('main script').length];"
    assert evaluate(pages / "several.html", script, width=DESKTOP, is_dark=False) == [
        "undefined",
        0,
    ]


def test_pictures_differ(pages: Path) -> None:
    """The page is drawn, in light and in dark."""
    pictures = [
        screenshot(
            pages / "sample.html", pages / f"{is_dark}.png", width=800, height=600, is_dark=is_dark
        )
        for is_dark in (False, True)
    ]
    assert all(each.startswith(b"\x89PNG") and len(each) > 10_000 for each in pictures)
    assert pictures[0] != pictures[1]


def test_result_of_a_failing_script(pages: Path) -> None:
    """A script that fails is reported."""
    found = evaluate(pages / "sample.html", "throw 'no';", width=DESKTOP, is_dark=False)
    assert json.dumps(found) == '{"error": "no"}'
