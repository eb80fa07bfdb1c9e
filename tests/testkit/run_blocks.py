"""Runs the Python blocks of a document: `python run_blocks.py DOCUMENT FOLDER`.

Each block runs in a fork of this process, with everything imported already, in a folder of its
own. A block with a file name beside its language is saved under that name for the blocks below it.
Prints a JSON object: the line of each block, and how it failed, or "".
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import receipts
from testkit.documents import Block, Document

PRELOADED = ("receipts.handlers", "weenats.testing")
"""What most blocks import."""
PYTEST_INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""


def run(document: Document, block: Block) -> None:
    """Run a block in the working directory: with pytest if it has tests, else as a program."""
    if "def test_" in block.text:
        settings = [each.text for each in document.of_kind("ini")]
        Path("pytest.ini").write_text(settings[0] if settings else PYTEST_INI)
        Path("test_block.py").write_text(block.text)
        Path("generated").symlink_to(Path(receipts.__path__[0]).parent)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the other plugins take a second
        options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
        assert pytest.main(options) == pytest.ExitCode.OK
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    # With as many empty lines before it, tracebacks name the lines of the document.
    code = compile("\n" * (block.line - 1) + block.text, document.path, "exec")
    exec(code, main.__dict__)  # noqa: S102 - what documents show is run


def run_apart(document: Document, block: Block, folder: Path) -> str:
    """Run a block in a process of its own; return its traceback, "" when it succeeded."""
    folder.mkdir()
    report = folder / "traceback.txt"
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(folder)
            sys.path.insert(0, str(folder))
            for each in document.of_kind("python"):
                if each.note and each.line < block.line:
                    Path(each.note).write_text(each.text)
            run(document, block)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, it fails the block
            report.write_text(traceback.format_exc())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status == 0:
        return ""
    return report.read_text() if report.exists() else f"the process ended with {status}"


def main(path: str, folder: str) -> None:
    """Run all Python blocks of a document, one after another."""
    sys.stdout, results = sys.stderr, sys.stdout
    for name in PRELOADED:
        import_module(name)
    document = Document(Path(path))
    outcomes = {
        block.line: run_apart(document, block, Path(folder) / str(block.line))
        for block in document.of_kind("python")
    }
    json.dump(outcomes, results)


if __name__ == "__main__":
    main(*sys.argv[1:])
