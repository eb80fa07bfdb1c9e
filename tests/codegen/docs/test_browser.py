"""The page in Chromium: desktop and phone, light and dark, accessible, without broken links."""

from __future__ import annotations

import threading
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from testkit.chromium import Browser, Tab
from testkit.npm import npm_file
from testkit.paths import REPOSITORY
from weenats_codegen.docs.page import page
from weenats_codegen.docs.serve import PageServer
from weenats_codegen.generate import read_contracts

SAMPLE = REPOSITORY / "schemas/receipts"
GOLDEN = REPOSITORY / "tests/codegen/golden"
DESKTOP, PHONE = 1440, 390
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
};
"""
VISIBLE_CODES = """
const codes = [...document.querySelectorAll("table.errors .code")].filter((each) => {
  const box = each.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
});
return codes.map((each) => each.textContent);
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of the sample, and one of several contracts."""
    folder = tmp_path_factory.mktemp("pages")
    contracts = read_contracts([SAMPLE])
    (folder / "sample.html").write_text(page(contracts), encoding="utf-8")
    several = [*contracts, *read_contracts([GOLDEN / name / "contract" for name in (
        "full", "hostile-text", "events-only", "any-schema", "limits", "deprecated")])]  # fmt: skip
    (folder / "several.html").write_text(page(several), encoding="utf-8")
    return folder


def look(tab: Tab) -> Any:
    """Return what is to be seen in a page."""
    tab.evaluate(npm_file("axe-core/axe.min.js").read_text(encoding="utf-8"))
    return tab.evaluate(LOOK)


@pytest.mark.parametrize(
    ("name", "width", "is_dark"),
    [
        *(("sample", width, is_dark) for width in (DESKTOP, PHONE) for is_dark in (False, True)),
        *(("several", DESKTOP, False), ("several", PHONE, True)),
    ],
)
def test_page_in_browser(
    name: str, width: int, is_dark: bool, pages: Path, browser: Browser
) -> None:
    """Accessible, no broken link, nothing wider than the window, and the search finds errors."""
    with browser.tab(width=width, is_dark=is_dark) as tab:
        found = look(tab.open(pages / f"{name}.html"))
        assert len(tab.requested()) == 1, "only the page itself is loaded"
    assert found["violations"] == []
    assert found["broken"] == []
    assert found["twice"] == 0
    assert found["isDark"] is is_dark
    assert found["content"] <= found["width"] == width
    assert found["isListOpen"] is (width == DESKTOP)
    assert found["found"] == ["command finalize"]
    assert found["everything"] >= 10
    assert (found["background"] == "rgb(255, 255, 255)") is not is_dark


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_error_codes_are_quick_to_find(width: int, pages: Path, browser: Browser) -> None:
    """The first screen shows error codes; a click on an operation shows all of its own."""
    with browser.tab(width=width, height=844) as tab:
        assert tab.open(pages / "sample.html").evaluate(VISIBLE_CODES)[:1] == [
            "FAILED_PRECONDITION"
        ]
        tab.evaluate("""
          document.querySelector("nav.side a[href$='.op-remove-item']").click();
          await new Promise((resolve) => requestAnimationFrame(resolve));
        """)
        codes = tab.evaluate(VISIBLE_CODES)
        assert codes[:3] == ["NOT_FOUND", "FAILED_PRECONDITION", "NOT_FOUND"]


def test_hostile_page_runs_nothing(pages: Path, browser: Browser) -> None:
    """Texts of a contract are shown as they are, and never run."""
    script = "return [typeof window.hostile, document.querySelectorAll('main script').length];"
    with browser.tab(width=DESKTOP) as tab:
        assert tab.open(pages / "several.html").evaluate(script) == ["undefined", 0]


@pytest.mark.slow
def test_pictures_differ(pages: Path, browser: Browser) -> None:
    """The page is drawn, in light and in dark."""
    pictures: list[bytes] = []
    for is_dark in (False, True):
        with browser.tab(width=800, height=600, is_dark=is_dark) as tab:
            pictures.append(tab.open(pages / "sample.html").screenshot())
    assert all(each.startswith(b"\x89PNG") and len(each) > 10_000 for each in pictures)
    assert pictures[0] != pictures[1]


@pytest.mark.slow
def test_failing_script_is_reported(browser: Browser) -> None:
    """A script that fails makes the test fail."""
    with browser.tab(width=DESKTOP) as tab, pytest.raises(AssertionError, match="no such"):
        tab.evaluate("throw new Error('no such');")


@pytest.mark.slow
def test_browser_loads_a_changed_contract(tmp_path: Path, browser: Browser) -> None:
    """A served page loads itself again after a change: also when there are problems meanwhile."""
    folder = copytree(SAMPLE.parent, tmp_path / "schemas") / SAMPLE.name
    file = folder / "service.yaml"
    text = file.read_text()
    quicker = "const set = window.setInterval; window.setInterval = (what) => set(what, 20);"
    title = "return document.querySelector('h1').textContent;"
    description = "return document.querySelector('main section p').textContent;"
    with PageServer([folder], 0) as server, browser.tab(width=DESKTOP) as tab:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            tab.send("Page.addScriptToEvaluateOnNewDocument", source=quicker)
            asked = """while (performance.getEntriesByName(location.origin + "/state").length < 2)
                         await new Promise((resolve) => setTimeout(resolve, 10));"""
            tab.open(server.url).evaluate(asked)
            replace(file, "service: [")
            assert tab.loaded().evaluate(title) == "The contracts have problems"
            tab.evaluate(asked)
            replace(file, text.replace("Keeps receipts", "Keeps all receipts"))
            assert tab.loaded().evaluate(description).startswith("Keeps all receipts")
        finally:
            tab.send("Page.navigate", url="about:blank")
            server.shutdown()
            thread.join()


def replace(file: Path, text: str) -> None:
    """Change a file at once: a page that is loaded meanwhile would find half of it."""
    other = file.with_suffix(".new")
    other.write_text(text)
    other.replace(file)
