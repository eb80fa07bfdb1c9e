"""A contract folder -> the IR, or every error in the contract."""

from pathlib import Path

from weenats_codegen.ir.builder import build
from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.ir.bundler import bundle_contract
from weenats_codegen.ir.contract import Contract
from weenats_codegen.libraries import Libraries
from weenats_codegen.lint.linter import Report, inspect, lint, unreadable
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.source import Source, load, root_of


def read(folder: Path, libraries: Libraries | None = None) -> Contract:
    """Return the contract in a folder.

    Args:
        folder: The folder.
        libraries: The libraries beside it; by default they are read when it uses them.

    Raises:
        ContractError: The contract is invalid, or there is none.
    """
    libraries = libraries or Libraries(root_of(folder))
    source, bundle = _open(folder, libraries)
    diagnostics = lint(source, bundle)
    if diagnostics:
        raise ContractError(diagnostics)
    used = libraries.used([origin.package for origin in bundle.external.values()])
    return build(source, bundle, used)


def report(folder: Path) -> Report:
    """Return what breaks the rules of `weenats lint` in a contract.

    Args:
        folder: The contract's folder.
    """
    try:
        source, bundle = _open(folder, Libraries(root_of(folder)))
    except ContractError as error:
        return unreadable(error)
    return inspect(source, bundle)


def _open(folder: Path, libraries: Libraries) -> tuple[Source, Bundle]:
    source = load(folder, libraries.root)
    return source, bundle_contract(source, libraries.get)  # reads the files that are referred to
