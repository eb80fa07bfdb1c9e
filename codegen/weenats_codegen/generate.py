"""The pipeline from contracts to packages: `generate` writes them, `check` compares them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weenats_codegen.ir.contract import Contract
from weenats_codegen.ir.library import with_inner
from weenats_codegen.libraries import Libraries
from weenats_codegen.loading import read
from weenats_codegen.output.lock import locked_for_reading
from weenats_codegen.output.stubs import HandlerMismatch, is_stub, mismatches, seal
from weenats_codegen.output.transaction import is_interrupted
from weenats_codegen.output.writer import Report, diff, write
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.source import find_contracts, root_of
from weenats_codegen.render.formatter import format_sources
from weenats_codegen.render.libraries import render_library
from weenats_codegen.render.package import render

__all__ = ["Freshness", "HandlerMismatch", "Report", "check", "generate"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """The result of `check`.

    Attributes:
        diff: What `generate` would change, as a diff; "" if nothing.
        mismatches: The differences between the handlers of users and their contracts.
        interrupted: Whether a run of `generate` was killed, so that packages may be incomplete.
    """

    diff: str
    mismatches: tuple[HandlerMismatch, ...]
    interrupted: bool = False


def generate(paths: Sequence[Path], out: Path) -> Report:
    """Write the package of every contract.

    Args:
        paths: Contract folders, or folders that contain some.
        out: The folder for the packages.

    Returns:
        What was written, and how handlers differ from their contracts.

    Raises:
        ContractError: A contract is invalid; nothing is written.
        OSError: A file cannot be written; everything is as it was before.
    """
    contracts = read_contracts(paths)
    report = write(out, package_files(contracts))
    return replace(report, mismatches=mismatches(out, contracts))


def check(paths: Sequence[Path], out: Path) -> Freshness:
    """Compare existing packages with what `generate` would write.

    Args:
        paths: Contract folders, or folders that contain some.
        out: The folder of the packages.

    Returns:
        The differences.

    Raises:
        ContractError: A contract is invalid.
        OSError: A package cannot be read, or another run has been writing it for too long.
    """
    contracts = read_contracts(paths)
    files = package_files(contracts)
    with locked_for_reading(out):
        return Freshness(diff(out, files), mismatches(out, contracts), is_interrupted(out))


def read_contracts(paths: Sequence[Path]) -> list[Contract]:
    """Return every contract.

    Args:
        paths: Contract folders, or folders that contain some.

    Raises:
        ContractError: A contract is invalid; the error has the diagnostics of all contracts.
    """
    contracts: list[Contract] = []
    diagnostics: list[Diagnostic] = []
    libraries: dict[Path, Libraries] = {}
    for folder in find_contracts(paths):
        root = root_of(folder)
        shared = libraries.setdefault(root.resolve(), Libraries(root))
        try:
            contracts.append(read(folder, shared))
        except ContractError as error:
            diagnostics += error.diagnostics
    diagnostics += _clashes(contracts)
    if diagnostics:
        raise ContractError(diagnostics)
    return contracts


def package_files(contracts: Sequence[Contract]) -> dict[str, str]:
    """Return every file of every package by relative path."""
    files = {
        f"{contract.package}/{name}": text
        for contract in contracts
        for name, text in render(contract).items()
    }
    for library in with_inner(each for contract in contracts for each in contract.libraries):
        rendered = render_library(library)
        files |= {f"{library.package}/{name}": text for name, text in rendered.items()}
    formatted = format_sources(files)
    return {name: seal(text) if is_stub(name) else text for name, text in formatted.items()}


def _clashes(contracts: Sequence[Contract]) -> Iterator[Diagnostic]:
    """Yield the contracts and libraries that have the same service, or the same package."""
    services: dict[str, str] = {}
    packages: dict[str, str] = {}
    for contract in contracts:
        other = services.setdefault(contract.service, contract.file)
        if other != contract.file:
            message = f"has the same service name {contract.service} as {other}"
            yield Diagnostic(Location(contract.file, "/service"), message, "rename one of them")
            continue
        other = packages.setdefault(contract.package, contract.file)
        if other != contract.file:
            message = f"has the same Python package {contract.package} as {other}"
            remedy = "set python: {package: ...} in one of them"
            yield Diagnostic(Location(contract.file), message, remedy)
    for library in (each for contract in contracts for each in contract.libraries):
        other = packages.setdefault(library.package, library.path)
        if other != library.path:
            message = f"has the same Python package {library.package} as {other}"
            yield Diagnostic(Location(library.path), message, "rename one of the folders")
