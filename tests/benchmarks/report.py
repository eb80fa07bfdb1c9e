"""Tables of results: for people as the performance guide shows them, for programs as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        title: what was measured.
        columns: the heading of each column, and how it formats a number.
        rows: the values.
    """

    title: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Value]]

    def text(self) -> str:
        """Return it in Markdown, in columns of the same width."""
        rows = [
            [
                each if isinstance(each, str) else format(each, form)
                for each, (_, form) in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]
        headings = [heading for heading, _ in self.columns]
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        left = [not form for _, form in self.columns]

        def line(cells: Sequence[str]) -> str:
            padded = zip(cells, widths, left, strict=True)
            cells = [
                cell.ljust(width) if is_left else cell.rjust(width)
                for cell, width, is_left in padded
            ]
            return f"| {' | '.join(cells)} |"

        rule = "|".join(
            "-" * (width + 1) + ("-" if is_left else ":")
            for width, is_left in zip(widths, left, strict=True)
        )
        return "\n".join([f"{self.title}:", "", line(headings), f"|{rule}|", *map(line, rows)])

    def facts(self) -> dict[str, Any]:
        """Return it as JSON, with all digits."""
        headings = [heading for heading, _ in self.columns]
        rows = [dict(zip(headings, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows}
