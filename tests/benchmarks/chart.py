"""The chart of the README: calls a second as shares of raw nats-py."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from report import Table

FILE: Final = Path(__file__).parents[2] / "runtime" / "docs" / "benchmark.svg"
_ROW, _HEAD, _LABEL, _BAR = 30, 34, 330, 420
_STYLE: Final = """
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.bar { fill: #afb8c1 } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #484f58 } .ours { fill: #4493f8 }
}
"""


def drawn(table: Table, in_flight: int) -> str:
    """Return the picture, with a bar for each contender that has this many calls in flight."""
    rows = [(str(row[1]), float(row[3])) for row in table.rows if row[0] == in_flight]
    longest = max(share for _, share in rows)
    width, height = _LABEL + _BAR + 70, _HEAD + _ROW * len(rows) + 10
    title = f"Calls a second, {in_flight} in flight, as a share of raw nats-py"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{title}</title><style>{_STYLE}</style>",
            f'<text class="title" x="10" y="20">{title}</text>',
            *_bars(rows, longest),
            "</svg>\n",
        ]
    )


def _bars(rows: Sequence[tuple[str, float]], longest: float) -> list[str]:
    lines: list[str] = []
    for number, (name, share) in enumerate(rows):
        top = _HEAD + number * _ROW
        length = max(share / longest * _BAR, 1)
        end, shown = _LABEL + 18 + length, f"{share:.2f}"
        kind = "bar ours" if name.startswith("weenats") else "bar"
        lines += [
            f'<text x="{_LABEL}" y="{top + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LABEL + 10}" y="{top}" width="{length:.0f}" height="22"/>',
            f'<text x="{end:.0f}" y="{top + 17}">{shown}</text>',
        ]
    return lines
