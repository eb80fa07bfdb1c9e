"""The terminal: what is printed on it cannot control it."""

from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from typing_extensions import override

from weenats_codegen.cli.output import output_named
from weenats_codegen.parser.diagnostics import escaped

_WIDTH: Final = 80


class Terminal(Console):
    """A console that escapes all text that is not printable, wherever it comes from.

    Colors and the movements of the cursor are segments of their own, and remain. Text such as
    `urn:100:x` is no name of an emoji.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of rich
        super().__init__(emoji=False, **options)
        if self.width < 1:  # COLUMNS=0 stands for an unknown width
            self.width = _WIDTH

    @override
    def print(self, *objects: Any, **options: Any) -> None:
        with output_named():
            super().print(*objects, **options)

    @override
    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=escaped(segment.text, keep="\n"))

    @override
    def on_broken_pipe(self) -> None:
        """Let the command end as with other output; rich would end the process."""
        raise BrokenPipeError
