"""Runs a Python block of a document in a fork, with what most blocks import imported already."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from shutil import copytree
from types import ModuleType
from typing import Final

import pytest

import receipts
from testkit.documents import Block, Document
from testkit.forks import forked
from testkit.paths import REPOSITORY
from weenats_codegen.generate import generate

_PYTEST_INI: Final = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""
_LIMIT: Final = 110.0
"""Seconds that a block may take."""
_Contracts = tuple[tuple[str, str], ...]
"""The name of the file and the text of each."""
_PACKAGES: Final[dict[_Contracts, Path]] = {}
"""The folders with the packages of contracts, which all blocks below them import."""


def run_block(document: Document, block: Block, folder: Path) -> str:
    """Run a block in a process and a folder of its own.

    A block with a file name beside its language is saved under that name for the blocks below it. A
    contract with such a name is one of the samples' contracts for them, and has a package.

    Args:
        document: its document.
        block: the block.
        folder: an empty folder, its working directory.

    Returns:
        What it printed if it failed, its traceback included; "" when it succeeded.
    """
    log = folder / "output.txt"
    (folder / "schemas").symlink_to(REPOSITORY / "schemas")
    contracts = tuple(
        (each.note, each.text)
        for each in document.of_kind("yaml")
        if each.is_contract and each.line < block.line
    )
    if contracts and contracts not in _PACKAGES:
        _PACKAGES[contracts] = _generate(contracts, folder)
    packages = _PACKAGES.get(contracts)
    with forked(_run, document, block, packages, cwd=folder, stdout=log) as process:
        process.join(_LIMIT)
        if process.exitcode == 0:
            return ""
        return f"exit code {process.exitcode}\n{log.read_text()}"


def _generate(contracts: _Contracts, folder: Path) -> Path:
    """Generate the packages of contracts, beside the samples' libraries; return their folder."""
    copytree(REPOSITORY / "schemas/shop", folder / "contracts/shop")
    files = [folder / "contracts" / Path(note).relative_to("schemas") for note, _ in contracts]
    for file, (_, text) in zip(files, contracts, strict=True):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    generate([file.parent for file in files], folder / "packages")
    return folder / "packages"


def _run(document: Document, block: Block, packages: Path | None) -> None:
    sys.warnoptions.append("error")  # what pytest looks at
    warnings.simplefilter("error")
    sys.path.insert(0, str(Path.cwd()))
    for each in document.of_kind("python"):
        if each.note and each.line < block.line:
            Path(each.note).write_text(each.text)
    if packages is not None:
        sys.path.insert(0, str(packages))
    if "def test_" in block.text:
        _run_tests(document, block)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    # With as many empty lines before it, tracebacks name the lines of the document.
    code = compile("\n" * (block.line - 1) + block.text, document.path, "exec")
    exec(code, main.__dict__)  # noqa: S102 - what documents show is run


def _run_tests(document: Document, block: Block) -> None:
    settings = [each.text for each in document.of_kind("ini")]
    Path("pytest.ini").write_text(settings[0] if settings else _PYTEST_INI)
    Path("test_block.py").write_text(block.text)
    Path("generated").symlink_to(Path(receipts.__path__[0]).parent)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the other plugins take a second
    # Only this file: the packages of the samples have tests of their own.
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "test_block.py"]
    assert pytest.main(options) == pytest.ExitCode.OK
