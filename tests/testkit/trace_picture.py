"""Draws the trace of one call of the sample: `python -m testkit.trace_picture [FILE]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from receipts import AddItem, Finalize, ReceiptFinalized, ReceiptsClient
from receipts.handlers import Receipts
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder, ReceivedEvent
from weenats.testing import NatsServer

PICTURE: Final = Path(__file__).parents[2] / "runtime" / "docs" / "trace.svg"
_LABELS, _BARS, _ROW, _HEAD = 500, 460, 28, 30
_COLORS: Final = {
    "CLIENT": "#0969da",
    "SERVER": "#1a7f37",
    "INTERNAL": "#8250df",
    "PRODUCER": "#bc4c00",
    "CONSUMER": "#9a6700",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A span and its depth in the trace."""

    span: ReadableSpan
    depth: int


def rows(spans: Sequence[ReadableSpan]) -> list[Row]:
    """Return the spans of a trace, each below its parent, in order of their start."""

    def below(parent: int | None, depth: int) -> Iterator[Row]:
        children = [each for each in spans if (each.parent and each.parent.span_id) == parent]
        for each in sorted(children, key=lambda span: span.start_time or 0):
            yield Row(each, depth)
            context = each.get_span_context()
            assert context is not None
            yield from below(context.span_id, depth + 1)

    return list(below(None, 0))


async def recorded() -> list[Row]:
    """Finalize a receipt while a subscriber listens; return its trace."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    heard = asyncio.Event()

    async def note(_event: ReceivedEvent[ReceiptFinalized]) -> None:
        heard.set()

    with NatsServer() as nats:
        service = NatsServiceBuilder(Receipts(), nats.url).with_telemetry().build()
        async with service, ReceiptsClient.connect(nats.url) as bare:
            receipts = bare.with_telemetry()
            async with await receipts.subscribe_receipt_finalized(note):
                for key in ("warm up", "drawn"):
                    await receipts.add_item(key, AddItem(name="Tea", price=0.1, quantity=3))
                    exporter.clear()
                    heard.clear()
                    await receipts.finalize(key, Finalize())
                    await asyncio.wait_for(heard.wait(), LIMIT)
    return rows(exporter.get_finished_spans())


def drawn(tree: Sequence[Row]) -> str:
    """Return the picture: a bar for each span, on one time scale."""
    begin = min(row.span.start_time or 0 for row in tree)
    end = max(row.span.end_time or 0 for row in tree)
    height = _HEAD + _ROW * (len(tree) - 1) + 18
    width = _LABELS + _BARS + 90
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="ui-monospace, monospace" font-size="12">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff" stroke="#d0d7de"/>',
        *(line for number, row in enumerate(tree) for line in _bar(number, row, begin, end)),
        "</g></svg>",
    ]
    return "\n".join(lines) + "\n"


def _bar(number: int, row: Row, begin: int, end: int) -> Iterator[str]:
    start, stop = row.span.start_time or 0, row.span.end_time or 0
    scale = _BARS / (end - begin)
    middle = _HEAD + _ROW * number
    color = _COLORS[row.span.kind.name]
    left, wide = _LABELS + (start - begin) * scale, max(2.0, (stop - start) * scale)
    yield (
        f'<text x="{14 + 16 * row.depth}" y="{middle}" fill="#1f2328">{escape(row.span.name)} '
        f'<tspan fill="{color}" font-size="10">{row.span.kind.name}</tspan></text>'
    )
    yield (
        f'<rect x="{left:.1f}" y="{middle - 11}" width="{wide:.1f}" height="14" rx="2" '
        f'fill="{color}" fill-opacity="0.85"/>'
    )
    yield (
        f'<text x="{left + wide + 6:.1f}" y="{middle}" fill="#59636e" font-size="10">'
        f"{(stop - start) / 1e6:.2f} ms</text>"
    )


def draw(target: Path) -> None:
    """Trace a call and draw it into a file; the tracer provider of the process is set for good."""
    target.write_text(drawn(asyncio.run(recorded())), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if sys.argv[1:] else PICTURE)
