"""A contract folder -> the IR, or everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.ir.builder import build
from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import load

if TYPE_CHECKING:
    from pathlib import Path

    from weenats_codegen.ir.contract import Contract


def read(folder: Path) -> Contract:
    """Return the contract in a folder.

    Raises:
        ContractError: It is bad, or there is none.
    """
    source = load(folder)
    problems = lint(source)
    if problems:
        raise ContractError(problems)
    return build(source)
