"""What the command line writes to a terminal: its own colors, and nothing else that controls it."""

from __future__ import annotations

import json
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from weenats_codegen.cli.main import main
from weenats_codegen.cli.output import emit, emit_value, plain, warn
from weenats_codegen.cli.terminal import Terminal
from weenats_codegen.parser.diagnostics import escaped

EVIL = "a\x9b\u202e\x7f\u200b\u2028\x1b[2Jb"
LINE_END = r"\u2028"
SHOWN = r"a\u009b\u202e\u007f\u200b\u2028\u001b[2Jb"


def test_escaped_text_is_as_in_json() -> None:
    """Text in JSON remains the same text, those beyond the basic plane and surrogates included."""
    text = f"{EVIL}\U000e0041\ud800ß語"
    assert escaped(text).isprintable()
    assert json.loads(f'"{escaped(text)}"') == text
    assert escaped("a\nb\tc", keep="\n\t") == "a\nb\tc"


def test_terminal_escapes_text_and_keeps_colors() -> None:
    """Text, markup and cells of tables are escaped; the escape sequences of colors are not."""
    terminal = Terminal(
        file=StringIO(), force_terminal=True, color_system="standard", width=200, highlight=False
    )
    table = Table(plain(EVIL), title=EVIL)
    table.add_row(f"[red]{plain(EVIL)}[/]")
    for each in (EVIL, Text(EVIL), table, f"[bold]{plain(EVIL)}[/]"):
        terminal.print(each)
    assert isinstance(terminal.file, StringIO)
    text = terminal.file.getvalue()
    assert text.count(SHOWN) == 6
    assert "\x1b[31m" in text
    for color in ("\x1b[31m", "\x1b[1m", "\x1b[3m", "\x1b[1;31m", "\x1b[0m"):
        text = text.replace(color, "")
    assert text.replace("\n", "").isprintable()


def test_text_with_colons_has_no_emoji() -> None:
    """Keys and names are shown as they are, wherever they are printed."""
    text = "urn:100:x :smile:"
    terminal = Terminal(file=StringIO(), width=200)
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    table.add_row(f"[red]{plain(text)}[/]")
    for each in (text, table):
        terminal.print(each)
    assert isinstance(terminal.file, StringIO)
    assert terminal.file.getvalue().count(text) == 6


@pytest.mark.parametrize("columns", ["0", "-5", "x", "99999"])
def test_odd_width_hides_nothing(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text appears whatever the environment says of the width of the terminal."""
    monkeypatch.setenv("COLUMNS", columns)
    terminal = Terminal(file=StringIO())
    terminal.print("one line")
    assert isinstance(terminal.file, StringIO)
    assert terminal.file.getvalue() == "one line\n"


@pytest.mark.parametrize("count", [1, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_value_is_whole_json(
    count: int,
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A value for people is the same JSON whatever its length, in colors on a terminal if short."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    value = [{EVIL: EVIL * 100}] * count
    emit_value(value)
    shown = capsys.readouterr().out
    assert ("\x1b[" in shown) == (is_terminal and count == 1)
    assert json.loads(re.sub(r"\x1b\[[0-9;]*m", "", shown)) == value


def test_json_and_warnings_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON on standard output is the same JSON; a warning is one line."""
    emit({EVIL: EVIL}, as_json=True, render=str)
    warn(f"{EVIL}\nsecond")
    out, err = capsys.readouterr()
    assert json.loads(out) == {EVIL: EVIL}
    assert out == f'{{\n  "{SHOWN}": "{SHOWN}"\n}}\n'
    assert err == f"weenats: {SHOWN.replace(LINE_END, ' ')} second\n"


def test_problems_of_a_contract_are_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names in a contract of another party do not control the terminal."""
    folder = tmp_path / "schemas" / "things"
    folder.mkdir(parents=True)
    (folder / "service.yaml").write_text(json.dumps({"service": EVIL, EVIL: {EVIL: EVIL}}))
    assert main(["generate", str(tmp_path / "schemas"), "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert "u009b" in err
    assert (out + err).replace("\n", "").isprintable()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_difference_is_escaped(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """`check` prints lines of files that anybody may have changed."""
    out = tmp_path / "out"
    contract = str(repository / "schemas" / "receipts")
    assert main(["generate", contract, "--out", str(out)]) == 0
    models = out / "receipts" / "models.py"
    models.write_text(f"{models.read_text()}\n# {EVIL}\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["check", contract, "--out", str(out), *options]) == 1
    text = "".join(capsys.readouterr())
    assert "u009b" in text
    assert text.replace("\n", "").isprintable()
