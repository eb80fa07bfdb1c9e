"""Writes `llms.txt`, the list of the documents with their headings: `python llms.py [--check]`.

Its form is that of https://llmstxt.org, its order that of the site.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPOSITORY: Final = Path(__file__).parents[2]
FILE: Final = REPOSITORY / "runtime/docs/llms.txt"
_ABOUT: Final = (
    "Contract-first, typed services over NATS for Python: contracts in YAML and JSON Schema,"
    " generated models, clients and handlers, and an asyncio runtime."
)
_TO_ROOT: Final = "../../"
_OF_EACH_GUIDE: Final = {
    *("Overview", "Quick start", "Options", "Behavior", "Errors", "See also", "Documentation"),
}
_CODE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[([^]]*)\]\([^)]*\)")


class Page(NamedTuple):
    """A page of the site.

    Attributes:
        title: Its title in the navigation.
        path: Its Markdown file, from the root of the repository; that of a page of the reference
            is made when the site is built.
    """

    title: str
    path: str

    @property
    def module(self) -> str:
        """The module that a page of the reference documents; "" for other pages."""
        folder, _, name = self.path.rpartition("/")
        return name.removesuffix(".md") if folder == "reference" else ""


class Section(NamedTuple):
    """A part of the navigation."""

    title: str
    pages: Sequence[Page]


class _Loader(yaml.SafeLoader):
    """Reads the configuration without the objects that MkDocs makes of it."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)  # type: ignore[no-untyped-call]


def sections() -> list[Section]:
    """Return the navigation of the site; a page outside of all sections is a section of its own."""
    text = Path(__file__).with_name("mkdocs.yml").read_text(encoding="utf-8")
    config: Any = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    return [
        Section(title, _pages([{title: pages}] if isinstance(pages, str) else pages))
        for part in config["nav"]
        for title, pages in part.items()
    ]


def _pages(entries: list[dict[str, str]]) -> list[Page]:
    return [Page(title, path) for entry in entries for title, path in entry.items()]


def text(link: Callable[[str], str]) -> str:
    """Return `llms.txt`.

    Args:
        link: Returns the link to a document from its path.
    """
    parts = [
        f"## {section.title}\n\n" + "\n".join(_line(page, link) for page in guides) + "\n"
        for section in sections()
        if (guides := [page for page in section.pages if not page.module])
    ]
    about = (
        "Contract-first, typed services over NATS for Python: contracts in YAML and JSON Schema,"
    )
    about += " generated models, clients and handlers, and an asyncio runtime."
    return f"# weenats\n\n> {about}\n\n" + "\n".join(parts)


def _line(page: Page, link: Callable[[str], str]) -> str:
    document = _CODE.sub("", (REPOSITORY / page.path).read_text(encoding="utf-8"))
    headings = [each for each in _headings(document) if each not in _OF_EACH_GUIDE]
    about = _about(document) + (f" ({'; '.join(headings)})" if headings else "")
    return f"- [{page.title}]({link(page.path)}): {about}"


def _headings(document: str) -> Iterator[str]:
    for heading in re.findall(r"^#{2,3} (.+)$", document, re.MULTILINE):
        yield heading.replace("`", "")


def _about(document: str) -> str:
    """Return the first sentence of a document."""
    prose = re.search(r"^(?![#>|\[!\s]).+(?:\n.+)*", document, re.MULTILINE)
    words = " ".join(prose[0].split()) if prose else ""
    sentence = re.match(r".*?\.(?=\s|$)", _LINK.sub(r"\1", words))
    return sentence[0] if sentence else words


def main() -> int:
    """Write the file, or check that it is up to date."""
    found = text(lambda path: _TO_ROOT + path)
    if sys.argv[1:] != ["--check"]:
        FILE.write_text(found, encoding="utf-8")
    elif not FILE.is_file() or FILE.read_text(encoding="utf-8") != found:
        sys.stderr.write("runtime/docs/llms.txt is out of date: make generate\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
