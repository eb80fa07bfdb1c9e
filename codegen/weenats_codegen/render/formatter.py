"""Formatting by ruff, independent of any configuration: two processes for all files together."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # ruff has no type annotations

from weenats_codegen.render.literals import LINE_LENGTH

# I: sorted imports, F401: no unused imports, PIE790: no needless pass, RUF022: a sorted __all__.
_RULES: Final = "I,F401,PIE790,RUF022"
_OPTIONS: Final = ("--isolated", "--no-cache", "--quiet", "--target-version=py311")


def format_sources(files: Mapping[str, str], *, first_party: str = "") -> dict[str, str]:
    """Return the files formatted and without unused imports.

    Args:
        files: Texts by relative path; those that are not Python are returned as they are.
        first_party: A package whose imports are separated from those of other libraries.
    """
    with tempfile.TemporaryDirectory(prefix="weenats-") as folder:
        root = Path(folder)
        sources = {name: root / name for name in files if name.endswith(".py")}
        for name, path in sources.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8", newline="\n")
        isort = f"known-first-party={json.dumps([first_party])}, split-on-trailing-comma=false"
        # Libraries are sorted as they are where ruff looks for packages in other folders.
        config = f"--config=src=[]\nlint.isort={{{isort}}}"
        _ruff("check", "--fix", f"--select={_RULES}", config, *_OPTIONS, ".", folder=root)
        _ruff("format", f"--line-length={LINE_LENGTH}", *_OPTIONS, ".", folder=root)
        return {
            name: sources[name].read_text(encoding="utf-8") if name in sources else text
            for name, text in files.items()
        }


def _ruff(*arguments: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed program, arguments from this module, no shell
        (str(find_ruff_bin()), *arguments), cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"ruff {arguments[0]} failed: {done.stdout}{done.stderr}".strip()
        raise RuntimeError(message)
