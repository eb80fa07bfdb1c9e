"""Hooks of MkDocs: the documents where they are in the repository, and the reference."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

import llms
from mkdocs.structure.files import File, Files
from reference import Reference

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

_LOG: Final = logging.getLogger("mkdocs.hooks.weenats")  # of MkDocs: `strict` counts its warnings
_DOCUMENTS: Final = ("[A-Z]*.md", "[a-z]*/README.md", "runtime/docs/*", "codegen/docs/*", "LICENSE")
_NOTE: Final = re.compile(r"^(```\w+) .+$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of the repository, a page for each public module, and `llms.txt`."""
    for pattern in _DOCUMENTS:
        for path in sorted(llms.REPOSITORY.glob(pattern)):
            name = path.relative_to(llms.REPOSITORY).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    pages = [page for section in llms.sections() for page in section.pages if page.module]
    reference = Reference([page.module for page in pages])
    for page in pages:
        files.append(File.generated(config, page.path, content=reference.page(page.module)))
    for name in reference.undocumented():
        _LOG.warning("%s is public and has no docstring", name)
    files.append(File.generated(config, "llms.txt", content=llms.text(_address)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leave out the notes of code blocks, which say to the tests what a block is."""
    return _NOTE.sub(r"\1", markdown)


def on_page_content(html: str, **_: object) -> str:
    """Make cells of headers without text plain cells, which screen readers pass over."""
    return html.replace("<th></th>", "<td></td>")


def on_post_page(output: str, **_: object) -> str:
    """Give the dialog of the search a name."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"', 1)


def _address(path: str) -> str:
    """Return where the page of a document is in the site."""
    return path.replace("README.md", "index.md").removesuffix("md") + "html"
