"""The guides of weenats as a page: `weenats docs --self`."""

from __future__ import annotations

import json
import re
import sys
import webbrowser
from pathlib import Path

import pytest

from testkit.documents import DOCUMENTS
from weenats_codegen.cli.main import main
from weenats_codegen.docs.guides import page


@pytest.fixture(scope="module")
def text() -> str:
    """The page."""
    return page("1.2.3")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a browser was asked to open; the home of the user is a folder of the test."""
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", urls.append)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return urls


def test_all_documents_are_in_the_page(text: str) -> None:
    """Each README and guide is an article, and is in the contents."""
    assert {str(each) for each in DOCUMENTS} == set(re.findall(r'<article id="(.+?)">', text))
    contents = text[: text.index("<main")]
    assert set(re.findall(r'<li><a href="#(.+?)">', contents)) == {str(each) for each in DOCUMENTS}


def test_links_of_guides_stay_in_the_page(text: str) -> None:
    """Each link leads to a document or a heading of the page, or to the web."""
    ids = re.findall(r' id="(.+?)"', text)
    links = re.findall(r'<a [^>]*href="(.+?)"', text)
    assert len(ids) == len(set(ids))
    broken = {link for link in links if not link.startswith("https://") and link[1:] not in ids}
    assert broken == set()
    assert "#schemas/README.md:wire-protocol" in links


def test_page_of_guides_needs_no_network(text: str) -> None:
    """Pictures are part of the page, and a policy forbids it to load anything."""
    pictures = re.findall(r'(?:src|srcset)="(.{11})', text)
    assert len(pictures) >= 4
    assert set(pictures) == {"data:image/"}
    assert "default-src 'none'" in text
    assert "weenats 1.2.3" in text


@pytest.mark.slow
@pytest.mark.parametrize("is_terminal", [False, True])
def test_command_opens_the_guides(
    is_terminal: bool,
    opened: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`weenats docs --self` writes the page, and opens it if a person sees the output."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    assert main(["docs", "--self"]) == 0
    (written,) = tmp_path.rglob("guides-*.html")
    assert written.name in capsys.readouterr().out.replace("\n", "")
    assert opened == ([written.as_uri()] if is_terminal else [])


@pytest.mark.slow
def test_command_names_files_as_json(opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` the page and the list of the documents are named, and nothing is opened."""
    assert main(["docs", "--self", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Path(found["page"]).read_text().startswith("<!doctype html>")
    assert Path(found["llms"]).read_text().startswith("# weenats\n")
    assert opened == []
