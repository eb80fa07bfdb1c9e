"""The pipeline from contracts to packages: `generate` writes them, `check` compares them."""

import errno
import keyword
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from weenats_codegen import naming, reserved
from weenats_codegen.ir.contract import Contract
from weenats_codegen.ir.library import with_inner
from weenats_codegen.libraries import Libraries
from weenats_codegen.loading import read
from weenats_codegen.output.lock import locked_for_reading
from weenats_codegen.output.outdated import Scope
from weenats_codegen.output.stubs import HandlerMismatch, is_stub, mismatches, seal
from weenats_codegen.output.transaction import is_interrupted
from weenats_codegen.output.writer import Report, diff, write
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.folders import contract_files
from weenats_codegen.parser.source import find_contracts, root_of
from weenats_codegen.render.client_project import render_client_project, usage
from weenats_codegen.render.formatter import format_sources
from weenats_codegen.render.libraries import render_copies, render_libraries
from weenats_codegen.render.package import STUBS, render

__all__ = [
    "Freshness",
    "HandlerMismatch",
    "Report",
    "check",
    "check_client",
    "check_distribution",
    "generate",
    "generate_client",
]

_DISTRIBUTION: Final = re.compile(r"[a-z](?:[a-z0-9_-]{0,98}[a-z0-9])?")
_PACKAGE: Final = "set the name with --package"
_EXAMPLE: Final = "example.py"
_OTHER_OUT: Final = "use --out for another folder, such as generated"


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
    _check_apart(out, {contract.package for contract in contracts}, contracts)
    report = write(out, package_files(contracts), _scope(contracts, paths, out))
    notes = tuple(note for contract in contracts for note in contract.notes)
    return replace(report, mismatches=mismatches(out, contracts), notes=notes)


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
    _check_apart(out, {contract.package for contract in contracts}, contracts)
    files = package_files(contracts)
    with locked_for_reading(out):
        changes = diff(out, files, _scope(contracts, paths, out))
        return Freshness(changes, mismatches(out, contracts), is_interrupted(out))


def generate_client(path: Path, out: Path, distribution: str = "") -> Report:
    """Write a project with the client of one contract.

    Args:
        path: The contract's folder.
        out: The folder of the project.
        distribution: The name of the project's distribution; by default `SERVICE-client`.

    Returns:
        What was written.

    Raises:
        ContractError: The contract is invalid, there are several, or the name cannot be used;
            nothing is written.
        OSError: A file cannot be written; everything is as it was before.
    """
    contract = _only_contract(path)
    files = _client_files(contract, out, distribution)
    return replace(write(out, files, _client_scope(contract)), notes=contract.notes)


def check_client(path: Path, out: Path, distribution: str = "") -> Freshness:
    """Compare an existing client project with what `generate_client` would write.

    Args:
        path: The contract's folder.
        out: The folder of the project.
        distribution: The name of the project's distribution; by default `SERVICE-client`.

    Returns:
        The differences.

    Raises:
        ContractError: The contract is invalid, there are several, or the name cannot be used.
        OSError: A file cannot be read, or another run has been writing it for too long.
    """
    contract = _only_contract(path)
    files = _client_files(contract, out, distribution)
    with locked_for_reading(out):
        changes = diff(out, files, _client_scope(contract))
        return Freshness(changes, (), is_interrupted(out))


def check_distribution(name: str) -> str:
    """Return the Python package of a distribution: "acme-receipts" -> "acme_receipts".

    Raises:
        ValueError: The name is not valid, or its package would have the name of another.
    """
    if not _DISTRIBUTION.fullmatch(name):
        message = f"{name!r} is not a valid package name: use lower case, digits, - and _"
        raise ValueError(message)
    package = naming.package_name(name)
    if keyword.iskeyword(package.rstrip("_")) or reserved.is_package(package):
        message = f"the package {package} exists already or is reserved: choose another name"
        raise ValueError(message)
    return package


def _scope(contracts: Sequence[Contract], paths: Sequence[Path], out: Path) -> Scope:
    """Return what a run is responsible for that writes the packages of contracts.

    Generated files name their contract relative to the working directory. In a folder elsewhere
    the name may be that of another project's contract: there a run leaves all other packages alone.
    """
    real = Path(os.path.realpath(out))  # `resolve` raises RuntimeError for a link to itself
    if not real.is_relative_to(Path.cwd()):
        return Scope()
    files = frozenset(contract.file for contract in contracts)
    own = {PurePosixPath(file).parent for file in files}
    return Scope(files, frozenset(PurePosixPath(path.as_posix()) for path in paths) - own)


def _client_scope(contract: Contract) -> Scope:
    """Return what a run is responsible for that writes a client project."""
    return Scope(frozenset({contract.file}), is_client=True)


def _only_contract(path: Path) -> Contract:
    """Return the contract of a folder that has only one."""
    contracts = read_contracts([path])
    if len(contracts) > 1:
        message = f"contains {len(contracts)} contracts, and a client project has one"
        remedy = "use the folder of the contract"
        raise ContractError([Diagnostic(Location(path.as_posix()), message, remedy)])
    return contracts[0]


def _client_files(contract: Contract, out: Path, distribution: str) -> dict[str, str]:
    """Return every file of a client project by relative path."""
    distribution = distribution or f"{contract.service.rstrip('-')}-client"
    try:
        package = check_distribution(distribution)
    except ValueError as error:
        raise ContractError([Diagnostic(Location(contract.file), str(error), _PACKAGE)]) from None
    _check_apart(out, {package}, [contract])
    _refuse_handlers(out / package)
    rendered = render(contract, client_only=True, has_copies=True)
    rendered |= render_copies(contract.libraries)
    sources = {f"{package}/{name}": text for name, text in rendered.items()}
    formatted = format_sources({**sources, _EXAMPLE: usage(contract, package)}, first_party=package)
    example = formatted.pop(_EXAMPLE)
    return formatted | render_client_project(contract, distribution, package, example)


def _check_apart(out: Path, packages: Iterable[str], contracts: Sequence[Contract]) -> None:
    """Refuse packages among the files of contracts, and contracts within packages.

    A folder of its own within that of a contract is apart from it: the contract of the only service
    of a repository may be in the outermost folder.

    Raises:
        ContractError: The folder is that of a contract, of a library, or of several contracts; or a
            package is or contains the folder of one.
    """
    targets = [Path(os.path.realpath(out / package)) for package in packages]
    shared: dict[str, Path] = {}
    for contract in contracts:
        folder = Path(contract.file).parent
        files = {location.file for location in contract.bundle.locations.values()}
        read_from = {folder, *(Path(file).parent for file in files)}
        for each in sorted(read_from | {Path(library.path) for library in contract.libraries}):
            real = os.path.realpath(each)
            if any(Path(real).is_relative_to(target) for target in targets):
                raise _mixed(out, each)
            shared[real] = each
        for outer in (root_of(folder), Path(os.path.realpath(folder)).parent):  # it may be a link
            shared.setdefault(os.path.realpath(outer), folder)
    if mixed := shared.get(os.path.realpath(out), out if contract_files(out) else None):
        raise _mixed(out, mixed)


def _mixed(out: Path, folder: Path) -> ContractError:
    message = f"would mix generated files with those of {folder.as_posix()}"
    return ContractError([Diagnostic(Location(out.as_posix()), message, _OTHER_OUT)])


def _refuse_handlers(package: Path) -> None:
    """Refuse a package that has handlers, which would become part of the distribution."""
    for name in STUBS:
        if os.path.lexists(package / name):
            message = "belongs to a service: use another --out or --package for the client"
            raise FileExistsError(errno.EEXIST, message, os.fspath(package / name))


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
    used = with_inner(each for contract in contracts for each in contract.libraries)
    files |= render_libraries(used)
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
