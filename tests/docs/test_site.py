"""The site of the guides: strict, complete, accessible, and usable without a network."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
from markdown_it import MarkdownIt
from typing_extensions import override

from testkit.chromium import Browser
from testkit.documents import DOCUMENTS, Document
from testkit.npm import npm_file
from testkit.paths import REPOSITORY
from testkit.processes import without_coverage
from testkit.shared_folders import shared_folder
from weenats_codegen.docs import guides

pytestmark = pytest.mark.site
CONFIGURATION = "runtime/site/mkdocs.yml"
SIZES = DESKTOP, PHONE = 1440, 390
GUIDES = "guides-of-the-package.html"  # what `weenats docs --self` opens
PAGES = ("index.html", "runtime/docs/observability.html", "reference/weenats.client.html")
AXE = """
const found = await axe.run(document, {resultTypes: ["violations"]});
return found.violations.map((each) => [each.id, each.nodes[0].html]);
"""
SEARCH = """
const input = document.querySelector("input.md-search__input");
input.focus(); input.value = "idempotent"; input.dispatchEvent(new Event("keyup"));
let found = null;
while ((found = document.querySelector(".md-search-result__item a")) === null)
  await new Promise((resolve) => setTimeout(resolve, 20));
return found.href;
"""


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", CONFIGURATION, "-d", site],
        cwd=root,
        env=without_coverage(NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    return shared_folder(tmp_path_factory, "site", fill)


def fill(folder: Path) -> None:
    """Build the site of this checkout, and the page of the package."""
    done = build(REPOSITORY, folder)
    assert done.returncode == 0, done.stderr
    (folder / GUIDES).write_text(guides.page("1.0.0"), encoding="utf-8")


def test_warnings_fail_the_build(tmp_path: Path) -> None:
    """Broken links and anchors, guides without a place, and names without a docstring fail it."""
    for folder in ("runtime", "codegen/docs"):
        copytree(
            REPOSITORY / folder, tmp_path / folder, ignore=ignore_patterns("__pycache__", "*.pyc")
        )
    for each in (*DOCUMENTS, Document(REPOSITORY / "LICENSE")):
        target = tmp_path / str(each)
        target.parent.mkdir(exist_ok=True)
        copy(each.path, target)
    with (tmp_path / "README.md").open("a") as readme:
        readme.write("\n[a](runtime/docs/nothing.md) [b](runtime/docs/client.md#nothing)\n")
    (tmp_path / "runtime/docs/unknown.md").write_text("# Unknown\n")
    model = tmp_path / "runtime/weenats/model.py"
    head = re.compile(r'(^class Model\([^\n]*\):\n) +""".*?"""', re.MULTILINE | re.DOTALL)
    text = model.read_text()
    assert head.search(text)
    model.write_text(head.sub(r"\1", text))
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    for part in ("nothing.md", "'#nothing'", "unknown.md", "Model is public and has no docstring"):
        assert part in done.stderr


class Elements(HTMLParser):
    """Counts the elements of the content of a page."""

    TAGS = frozenset({
        "a", "blockquote", "em", "h1", "h2", "h3", "h4", "img", "li", "ol", "pre", "strong",
        "table", "tr", "ul",
    })  # fmt: skip

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found = Counter[str]()
        self._is_inside = False
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_inside |= tag == "article"
        if self._is_inside and tag in self.TAGS and ("class", "headerlink") not in attrs:
            self.found[tag] += 1

    @override
    def handle_endtag(self, tag: str) -> None:
        self._is_inside &= tag != "article"


def page_of(site: Path, each: Document) -> Path:
    """Return the page of a document."""
    return site / str(each).replace("README.md", "index.md").replace(".md", ".html")


@pytest.mark.parametrize("each", DOCUMENTS, ids=str)
def test_pages_are_what_is_written(each: Document, site: Path) -> None:
    """A page has the lists, tables and code blocks that CommonMark sees in the document."""
    markdown = MarkdownIt("commonmark").enable("table")
    expected = Elements(f"<article>{markdown.render(each.text)}</article>").found
    assert Elements(page_of(site, each).read_text(encoding="utf-8")).found == expected


def test_reference_has_every_exported_name(site: Path) -> None:
    """The page of a module documents each name that it exports, or links to where it is."""
    pages = sorted((site / "reference").glob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        documented = {each.rpartition(".")[2] for each in re.findall(r'<h2 id="([^"]+)"', text)}
        elsewhere = re.search(r"<p>Also here: .*?</p>", text, re.DOTALL)
        linked = re.findall(r"<code>(\w+)</code>", elsewhere[0]) if elsewhere else []
        exported = importlib.import_module(page.stem).__all__
        assert documented | set(linked) == set(exported), page.stem
        assert "doc-symbol-module" not in text, "a function, not the module of its name"


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """No page loads a script, a style, a font or a picture from a network."""
    loaded = {
        address
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*>", page.read_text())
        for address in re.findall(r'(?:src|href)="?([^"\s>]+)', tag)
    }
    loaded |= {
        address
        for style in site.rglob("*.css")
        for address in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", style.read_text())
    }
    assert len(loaded) > 10
    assert [each for each in loaded if re.match(r"(?!data:)\w+:|//", each)] == []


@pytest.mark.parametrize(
    ("page", "width", "is_dark"),
    [
        *((page, width, is_dark) for page in PAGES for width in SIZES for is_dark in (False, True)),
        *((GUIDES, DESKTOP, False), (GUIDES, PHONE, True)),
    ],
)
def test_site_in_browser(
    page: str, width: int, is_dark: bool, site: Path, browser: Browser
) -> None:
    """Accessible, nothing wider than the window, light or dark as the user prefers."""
    with browser.tab(width=width, is_dark=is_dark) as tab:
        tab.open(site / page)
        tab.evaluate(npm_file("axe-core/axe.min.js").read_text(encoding="utf-8"))
        assert tab.evaluate(AXE) == []
        assert tab.evaluate("return document.documentElement.scrollWidth;") <= width
        background = tab.evaluate("return getComputedStyle(document.body).backgroundColor;")
        assert (background == "rgb(255, 255, 255)") is not is_dark
        assert {each.partition(":")[0] for each in tab.requested()} <= {"data", "file"}


def test_search_works_in_files(site: Path, browser: Browser) -> None:
    """The search finds a guide without a server."""
    with browser.tab(width=DESKTOP) as tab:
        found = tab.open(site / "index.html").evaluate(SEARCH)
        assert found.startswith(site.as_uri())
        assert {each.partition(":")[0] for each in tab.requested()} <= {"data", "file"}
