"""`llms.txt`, and the navigation of the site that it comes from."""

from __future__ import annotations

import re
import subprocess
import sys

from testkit.documents import DOCUMENTS, document
from testkit.paths import REPOSITORY

LLMS = REPOSITORY / "runtime/docs/llms.txt"
LINE = re.compile(r"- \[([^]]+)\]\(([^)]+)\): .+\.( \(.+\))?")


def test_llms_is_up_to_date() -> None:
    """The file has the headings that the documents have now."""
    program = REPOSITORY / "runtime/site/llms.py"
    done = subprocess.run(
        [sys.executable, program, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_llms_has_its_standard_form() -> None:
    """A title, a summary, and sections of links with notes."""
    title, empty, summary, *rest = LLMS.read_text().splitlines()
    assert (title, empty) == ("# weenats", "")
    assert summary.startswith("> ")
    assert [
        line for line in rest if line and not line.startswith("## ") and not LINE.fullmatch(line)
    ] == []


def test_llms_links_every_document() -> None:
    """Each README and each guide is linked, with its headings."""
    links = {match[2]: match[3] for match in LINE.finditer(LLMS.read_text())}
    linked = {(LLMS.parent / link).resolve() for link in links}
    assert linked == {each.path for each in DOCUMENTS}
    assert "Wire protocol; Subjects" in links["../../schemas/README.md"]


def test_reference_has_every_public_module() -> None:
    """The reference has a page for each module that the index of the guides calls public."""
    nav = (REPOSITORY / "runtime/site/mkdocs.yml").read_text()
    pages = re.findall(r"reference/([\w.]+)\.md$", nav, re.MULTILINE)
    text = document("runtime/README.md").text
    modules = re.search(r"The public modules are (.*?);", text, re.DOTALL)
    assert modules is not None
    assert sorted(pages) == sorted(["weenats", *re.findall(r"`([\w.]+)`", modules[1])])
