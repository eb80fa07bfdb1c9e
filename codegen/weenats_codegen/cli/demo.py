"""The command `demo`: shows the demo on a terminal, or prints it as one JSON document."""

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.highlighter import ReprHighlighter
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol.messages import EndpointStats
from weenats_codegen.cli.output import console, emit, milliseconds
from weenats_codegen.demo.recorder import Recorder
from weenats_codegen.demo.runner import demo as run_demo

_PIPED_WIDTH: Final = 80
"""Columns in a pipe: remarks stand at the right border."""


def demo(*, as_json: bool) -> None:
    """Run the demo."""
    recorder = Recorder() if as_json else Presenter()
    run_demo(recorder)
    if as_json:
        emit(recorder.steps, as_json=True, render=str)


class Presenter(Recorder):
    """Prints each step on the terminal when it happens."""

    def __init__(self) -> None:
        super().__init__()
        self._console = console(piped_width=_PIPED_WIDTH)
        self._highlight = ReprHighlighter()
        self._chapters = 0

    @override
    def chapter(self, title: str) -> None:
        self._chapters += 1
        self._console.print()
        number = (f" {self._chapters} ", "bold reverse cyan")
        self._console.print(Text.assemble(number, "  ", (title, "bold")))

    @override
    def note(self, text: str) -> None:
        self._line("[dim]·[/]", Text(text, "dim"))

    @override
    def files(self, names: Sequence[str]) -> None:
        for name in names:
            folder, _, file = name.rpartition("/")
            self._line("[green]+[/]", Text.assemble((f"{folder}/", "dim"), file))

    @override
    def reply(self, call: str, result: Model, milliseconds: float) -> None:
        self._call(call, milliseconds)
        self._line("[green]←[/]", self._highlight(repr(result)))

    @override
    def caught(self, call: str, error: ServiceError, milliseconds: float) -> None:
        self._call(call, milliseconds)
        caught = Text.assemble("except ", (type(error).__name__, "bold red"), f": {error.message}")
        if error.details is not None:
            caught.append_text(Text("  ")).append_text(self._highlight(repr(error.details)))
        self._line("[red]✗[/]", caught)

    @override
    def event(self, name: str, key: str, revision: int | None, data: Model) -> None:
        head = Text.assemble((name, "bold yellow"), f" {key} revision {revision}  ")
        self._line("[yellow]◆[/]", head.append_text(self._highlight(repr(data))))

    @override
    def statistics(self, endpoints: Sequence[EndpointStats]) -> None:
        table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("operation")
        for title in ("requests", "errors", "average"):
            table.add_column(title, justify="right")
        for each in endpoints:
            average = milliseconds(each.average_processing_time) if each.num_requests else ""
            table.add_row(each.name, str(each.num_requests), str(each.num_errors), average)
        self._line(" ", table)

    def _call(self, call: str, milliseconds: float) -> None:
        self._line("[cyan]→[/]", self._highlight(f"await {call}"), f"{milliseconds:.1f} ms")

    def _line(self, mark: str, content: RenderableType, aside: str = "") -> None:
        """Print a mark, content of one or more lines, and a few words at the far right."""
        grid = Table.grid(padding=(0, 1), expand=bool(aside))
        grid.add_column(width=4, justify="right")
        grid.add_column(ratio=1 if aside else None)
        grid.add_column(justify="right", style="dim", no_wrap=True)
        grid.add_row(mark, content, aside)
        self._console.print(grid)
