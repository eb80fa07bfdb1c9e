"""A contract folder -> the IR, or every error in the contract."""

from pathlib import Path

from weenats_codegen.ir.builder import build
from weenats_codegen.ir.bundler import bundle_contract
from weenats_codegen.ir.contract import Contract
from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import load


def read(folder: Path) -> Contract:
    """Return the contract in a folder.

    Raises:
        ContractError: The contract is invalid, or there is none.
    """
    source = load(folder)
    bundle = bundle_contract(source)  # reads the files that are referred to
    diagnostics = lint(source, bundle)
    if diagnostics:
        raise ContractError(diagnostics)
    return build(source, bundle)
