"""A contract folder -> the IR, or everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.build import build
from weenats_codegen.lint import lint
from weenats_codegen.load import load
from weenats_codegen.problems import ContractError

if TYPE_CHECKING:
    from pathlib import Path

    from weenats_codegen.ir import Contract


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
