"""The documents of the repository, taken apart: code blocks, tables, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pytest

from testkit.paths import REPOSITORY

_FENCE: Final = re.compile(r"^```(\w*) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\(([^()\s]+)\)")
_PATH: Final = re.compile(r"`([\w./-]+(?:\.py|/))`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        line: the line of its first line of code in the document, from 1.
        kind: the language, such as "python"; "" for drawings and output.
        note: what follows the language, such as the name of a message schema.
        text: the code.
    """

    line: int
    kind: str
    note: str
    text: str

    @property
    def is_contract(self) -> bool:
        """Whether it is a whole contract, with the name of its file."""
        return self.note.endswith("/service.yaml")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the cells of its header and of each row, without the spaces around them."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, number: int) -> list[str]:
        """Return the cells of a column."""
        return [row[number] for row in self.rows]


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(REPOSITORY).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """All but the code blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The fenced code blocks, in order."""
        return tuple(
            Block(self.text.count("\n", 0, found.start(3)) + 1, *found.group(1, 2, 3))
            for found in _FENCE.finditer(self.text)
        )

    def of_kind(self, kind: str) -> list[Block]:
        """Return the code blocks of a language."""
        return [block for block in self.blocks if block.kind == kind]

    @property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        seen: dict[str, int] = {}
        anchors: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            number = seen[slug] = seen.get(slug, -1) + 1
            anchors.add(f"{slug}-{number}" if number else slug)
        return anchors

    @property
    def links(self) -> list[str]:
        """The targets of the links and pictures."""
        return _LINK.findall(self.prose)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables, in order."""
        return tuple(_tables(self.prose))


def _tables(text: str) -> Iterator[Table]:
    for found in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        header, _rule, *rows = (_cells(line) for line in found.splitlines())
        yield Table(header, tuple(rows))


def _cells(line: str) -> tuple[str, ...]:
    parts = re.split(r"(?<!\\)\|", line)[1:-1]
    return tuple(part.strip().replace(r"\|", "|") for part in parts)


def running(document: Document) -> tuple[pytest.MarkDecorator, ...]:
    """Return the markers of tests that run what a document shows: the README alone is fast."""
    return () if str(document) == "README.md" else (pytest.mark.slow,)


def paths(text: str) -> list[str]:
    """Return the Python files and the folders (with a slash at the end) that a text names."""
    return _PATH.findall(text)


def document(path: str) -> Document:
    """Return a document by its path from the root of the repository."""
    return Document(REPOSITORY / path)


DOCUMENTS: Final = tuple(
    Document(path)
    for pattern in ("*.md", "[a-z]*/README.md", "runtime/docs/*.md", "codegen/docs/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
)
"""The README, the change log, the README of each folder, and the guides."""
