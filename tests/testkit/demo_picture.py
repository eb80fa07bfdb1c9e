"""Draws what `weenats demo` prints: `python -m testkit.demo_picture [FILE]`."""

from __future__ import annotations

import os
import re
import sys
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from testkit.forked_commands import forked_command

PICTURE: Final = Path(__file__).parents[2] / "runtime" / "docs" / "demo.svg"
_WIDTH: Final = 110
_THEME: Final = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        *((36, 41, 46), (207, 34, 46), (26, 127, 55), (154, 103, 0)),
        *((9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129)),
    ],
)
_FRAME: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>{styles} text {{ font-family: ui-monospace, monospace; font-size: {char_height}px }}</style>
<defs>{lines}</defs>
<rect width="{width}" height="{height}" rx="6" fill="#ffffff" stroke="#d0d7de"/>
<g transform="translate(9, 24)">{backgrounds}<g>{matrix}</g></g>
</svg>
"""


def printed() -> str:
    """Run the demo as a person does; return what it prints, with colors."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
        "COLUMNS": str(_WIDTH),
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
    }
    with forked_command("demo", cwd=Path.cwd(), environment=environment) as demo:
        output, log = demo.communicate(60)
    assert demo.returncode == 0, log
    return output


def drawn(output: str) -> str:
    """Return the output of a terminal as a picture."""
    console = Console(file=StringIO(), record=True, width=_WIDTH, force_terminal=True)
    console.print(Text.from_ansi(output.strip("\n")))
    return console.export_svg(title="", theme=_THEME, code_format=_FRAME, unique_id="demo")


def words(picture: str) -> str:
    """Return the text of a picture, without what differs from run to run.

    Line breaks depend on how many digits a duration has, so that spaces are left out.
    """
    text = unescape("".join(re.findall(r"<text [^>]*>([^<]*)</text>", picture)))
    text = re.sub(r"\s", "", text)
    text = re.sub(r"\d+\.\d+(m?s)", r"0.0\1", text)
    return re.sub(r"127\.0\.0\.1:\d+|[0-9A-HJKMNP-TV-Z]{26}", "-", text)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else PICTURE
    target.write_text(drawn(printed()), encoding="utf-8")
