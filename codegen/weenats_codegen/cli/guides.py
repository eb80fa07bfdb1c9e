"""`docs --self`: the guides of the installed version, in the browser."""

import sys
import webbrowser
from importlib.metadata import version
from pathlib import Path

from weenats_codegen import resources
from weenats_codegen.cli.output import emit, plain
from weenats_codegen.docs.guides import LIST, page


def show(*, as_json: bool) -> None:
    """Write the page of the guides into the user's cache, print where it is, and open it.

    It is opened only if a person sees the output.
    """
    number = version("weenats")
    file = Path.home() / ".cache" / "weenats" / f"guides-{number}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(number), encoding="utf-8", newline="\n")
    folder = resources.guides()
    found = {"page": str(file), "llms": str(folder / LIST)}
    lines = f"[green]wrote[/]  {plain(found['page'])}\n[green]source[/] {plain(found['llms'])}"
    emit(found, as_json=as_json, render=lambda: lines)
    if sys.stdout.isatty() and not as_json:
        webbrowser.open(file.as_uri())
