"""Edits of a source by the positions of its syntax tree."""

import ast
from collections.abc import Iterable


class Lines:
    """The positions of the lines of a source.

    Args:
        source: The source.
    """

    def __init__(self, source: str) -> None:
        self._data = source.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        end_line, end_column = node.end_lineno, node.end_col_offset
        if end_line is None or end_column is None:  # pragma: no cover - ast.parse always sets both
            raise ValueError(node)
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[end_line - 1] + end_column

    def edited(self, edits: Iterable[tuple[int, int, str]]) -> str:
        """Return the source with some parts replaced.

        Args:
            edits: Where each part begins and ends, and its new text; none overlaps another.
        """
        pieces: list[bytes] = []
        at = 0
        for start, end, text in sorted(edits, key=lambda edit: edit[:2]):
            pieces += [self._data[at:start], text.encode()]
            at = end
        return b"".join([*pieces, self._data[at:]]).decode()
