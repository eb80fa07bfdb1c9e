"""The verb `demo`: tells the story on a terminal, or as one JSON document."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.highlighter import ReprHighlighter
from rich.table import Table
from rich.text import Text

from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol.messages import EndpointStats
from weenats_codegen.cli.output import console, emit, milliseconds
from weenats_codegen.demo.runner import demo as tell_demo


def demo(*, as_json: bool) -> None:
    """Show the whole path, from a contract to statistics."""
    if as_json:
        record = Record()
        tell_demo(record)
        emit(record.steps, as_json=True, person=str)
    else:
        tell_demo(Show())


class Record:
    """Keeps what happened, for a program to read."""

    def __init__(self) -> None:
        self.steps: list[dict[str, object]] = []

    def chapter(self, title: str) -> None:
        """What comes next."""
        self.steps.append({"chapter": title})

    def note(self, text: str) -> None:
        """A fact."""
        self.steps.append({"note": text})

    def files(self, names: Sequence[str]) -> None:
        """What was written."""
        self.steps.append({"files": list(names)})

    def reply(self, call: str, result: Model, milliseconds: float) -> None:
        """A call and what it answered."""
        data = result.model_dump(mode="json", by_alias=True)
        self.steps.append({"call": call, "reply": data, "milliseconds": round(milliseconds, 3)})

    def caught(self, call: str, error: ServiceError, milliseconds: float) -> None:
        """A call and the error that was caught by its class."""
        facts = {"class": type(error).__name__, "code": error.code.value, "message": error.message}
        self.steps.append({"call": call, "caught": facts, "milliseconds": round(milliseconds, 3)})

    def event(self, name: str, key: str, revision: int, data: Model) -> None:
        """An event that arrived."""
        told = data.model_dump(mode="json", by_alias=True)
        self.steps.append({"event": {"name": name, "key": key, "revision": revision, "data": told}})

    def statistics(self, endpoints: Sequence[EndpointStats]) -> None:
        """What the service has counted."""
        counted = [each.model_dump(mode="json", by_alias=True) for each in endpoints]
        self.steps.append({"statistics": counted})


class Show:
    """Draws what happens on the terminal, as it happens."""

    def __init__(self) -> None:
        self._console = console()
        self._code = ReprHighlighter()
        self._chapters = 0

    def chapter(self, title: str) -> None:
        """What comes next."""
        self._chapters += 1
        self._console.print()
        heading = Text.assemble((f" {self._chapters} ", "bold reverse cyan"), "  ", (title, "bold"))
        self._console.print(heading)

    def note(self, text: str) -> None:
        """A fact."""
        self._line("[dim]·[/]", Text(text, "dim"))

    def files(self, names: Sequence[str]) -> None:
        """What was written."""
        for name in names:
            folder, _, file = name.rpartition("/")
            self._line("[green]+[/]", Text.assemble((f"{folder}/", "dim"), file))

    def reply(self, call: str, result: Model, milliseconds: float) -> None:
        """A call and what it answered."""
        self._call(call, milliseconds)
        self._line("[green]←[/]", self._code(repr(result)))

    def caught(self, call: str, error: ServiceError, milliseconds: float) -> None:
        """A call and the error that was caught by its class."""
        self._call(call, milliseconds)
        caught = Text.assemble("except ", (type(error).__name__, "bold red"), f": {error.message}")
        if error.details is not None:
            caught.append_text(Text("  "))
            caught.append_text(self._code(repr(error.details)))
        self._line("[red]✗[/]", caught)

    def event(self, name: str, key: str, revision: int, data: Model) -> None:
        """An event that arrived."""
        head = Text.assemble((name, "bold yellow"), f" {key} revision {revision}  ")
        self._line("[yellow]◆[/]", head.append_text(self._code(repr(data))))

    def statistics(self, endpoints: Sequence[EndpointStats]) -> None:
        """What the service has counted."""
        table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("operation")
        for title in ("requests", "errors", "average"):
            table.add_column(title, justify="right")
        for each in endpoints:
            average = milliseconds(each.average_processing_time) if each.num_requests else ""
            table.add_row(each.name, str(each.num_requests), str(each.num_errors), average)
        self._line(" ", table)

    def _call(self, call: str, milliseconds: float) -> None:
        self._line("[cyan]→[/]", self._code(f"await {call}"), f"{milliseconds:.1f} ms")

    def _line(self, mark: str, content: RenderableType, aside: str = "") -> None:
        """A mark, beside it what may take several lines, at the far right a few words."""
        grid = Table.grid(padding=(0, 1), expand=bool(aside))
        grid.add_column(width=4, justify="right")
        grid.add_column(ratio=1 if aside else None)
        grid.add_column(justify="right", style="dim", no_wrap=True)
        grid.add_row(mark, content, aside)
        self._console.print(grid)
