"""The guides of weenats itself, which travel with the package, as one HTML page."""

from __future__ import annotations

import base64
import mimetypes
import posixpath
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from markdown_it import MarkdownIt

from weenats_codegen.resources import guides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it.token import Token

LIST: Final = "runtime/docs/llms.txt"
"""The list of the documents, in the order in which a newcomer reads."""
_SECTION: Final = re.compile(r"^## (.+)\n\n((?:- .+\n)+)", re.MULTILINE)
_ENTRY: Final = re.compile(r"^- \[(.+?)\]\((.+?)\)", re.MULTILINE)
_SOURCE: Final = re.compile(r'(?<=src=")[^"]+|(?<=srcset=")[^"]+')
_STYLE: Final = Path(__file__).parent / "templates" / "style.css"
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>weenats {version}</title>
<link rel="icon" href="data:,">
<style>{style}img{{max-width:100%}}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="layout">
<nav class="side" aria-label="Contents"><p class="brand">weenats {version}</p>
<div class="list">{contents}</div></nav>
<main id="content"><h1>weenats {version}</h1>{articles}</main>
</div>
</body>
</html>
"""


class Guide(NamedTuple):
    """A document.

    Attributes:
        title: Its title in the contents.
        path: Its path from the root of the documents.
    """

    title: str
    path: str


def page(version: str) -> str:
    """Return the page.

    Args:
        version: The version of weenats.
    """
    sections = list(_sections())
    paths = {guide.path for _, members in sections for guide in members}
    articles = "".join(
        f'<article id="{path}">{_Article(path, paths).html()}</article>'
        for path in _in_order(sections)
    )
    return _PAGE.format(
        version=escape(version),
        style=_STYLE.read_text(encoding="utf-8"),
        contents="".join(_contents(title, members) for title, members in sections),
        articles=articles,
    )


def _sections() -> Iterator[tuple[str, list[Guide]]]:
    """Yield the sections of the list with their documents."""
    folder = posixpath.dirname(LIST)
    for title, lines in _SECTION.findall((guides() / LIST).read_text(encoding="utf-8")):
        yield (
            title,
            [
                Guide(name, posixpath.normpath(posixpath.join(folder, link)))
                for name, link in _ENTRY.findall(lines)
            ],
        )


def _in_order(sections: Iterable[tuple[str, Sequence[Guide]]]) -> Iterator[str]:
    for _, members in sections:
        for guide in members:
            yield guide.path


def _contents(title: str, members: Sequence[Guide]) -> str:
    items = "".join(f'<li><a href="#{each.path}">{escape(each.title)}</a></li>' for each in members)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>"


class _Article:
    """A document as HTML, with links into the page."""

    def __init__(self, path: str, paths: Iterable[str]) -> None:
        self._path = path
        self._paths = frozenset(paths)
        self._seen: dict[str, int] = {}

    def html(self) -> str:
        markdown = MarkdownIt("commonmark").enable("table")
        tokens = markdown.parse((guides() / self._path).read_text(encoding="utf-8"))
        for token, following in zip(tokens, [*tokens[1:], None], strict=True):
            self._adapt(token, following)
        html = str(markdown.renderer.render(tokens, markdown.options, {}))
        html = html.replace("<th></th>", "<td></td>").replace("<pre>", '<pre tabindex="0">')
        html = html.replace(
            "<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>'
        )
        return html.replace("</table>", "</table></div>")

    def _adapt(self, token: Token, following: Token | None) -> None:
        if token.type == "fence":
            token.info = token.info.partition(" ")[0]
        elif token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{int(token.tag[1]) + 1}"
            if token.type == "heading_open" and following is not None:
                token.attrSet("id", f"{self._path}:{self._slug(following.content)}")
        for child in token.children or ():
            if child.type == "link_open":
                self._link(child)
            elif child.type == "image":
                child.attrSet("src", self._picture(str(child.attrGet("src"))))
            elif child.type == "html_inline":
                child.content = _SOURCE.sub(lambda each: self._picture(each[0]), child.content)

    def _slug(self, heading: str) -> str:
        """Return the anchor of a heading, as code hosts make it."""
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = self._seen[slug] = self._seen.get(slug, -1) + 1
        return f"{slug}-{number}" if number else slug

    def _link(self, token: Token) -> None:
        target, _, anchor = str(token.attrGet("href")).partition("#")
        if ":" in target:
            return
        path = self._resolved(target) if target else self._path
        if path in self._paths:
            token.attrSet("href", f"#{path}:{anchor}" if anchor else f"#{path}")
        else:
            del token.attrs["href"]  # a file of the repository that is not a document

    def _resolved(self, link: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(self._path), link))

    def _picture(self, link: str) -> str:
        """Return a picture as a data URL."""
        path = guides() / self._resolved(link)
        kind, _ = mimetypes.guess_type(path.name)
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
