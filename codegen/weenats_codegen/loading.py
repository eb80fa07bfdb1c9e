"""A contract folder -> the IR, or every error in the contract."""

from pathlib import Path

from weenats_codegen.ir.builder import build
from weenats_codegen.ir.bundler import bundle_contract
from weenats_codegen.ir.contract import Contract
from weenats_codegen.libraries import Libraries
from weenats_codegen.lint.linter import lint
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import load, root_of


def read(folder: Path, libraries: Libraries | None = None) -> Contract:
    """Return the contract in a folder.

    Args:
        folder: The folder.
        libraries: The libraries beside it; by default they are read when it uses them.

    Raises:
        ContractError: The contract is invalid, or there is none.
    """
    libraries = libraries or Libraries(root_of(folder))
    source = load(folder, libraries.root)
    bundle = bundle_contract(source, libraries.get)  # reads the files that are referred to
    diagnostics = lint(source, bundle)
    if diagnostics:
        raise ContractError(diagnostics)
    used = libraries.used([origin.package for origin in bundle.external.values()])
    return build(source, bundle, used)
