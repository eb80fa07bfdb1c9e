"""Contracts in, packages out: `generate` writes them, `check` says whether they are fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weenats_codegen.loading import read
from weenats_codegen.output.stubs import is_stub, seal
from weenats_codegen.output.writer import Report, diff, gaps, write
from weenats_codegen.parser.diagnostics import ContractError, Problem
from weenats_codegen.parser.source import find_contracts
from weenats_codegen.render.formatter import format_sources
from weenats_codegen.render.models import UnsupportedSchemaError
from weenats_codegen.render.package import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weenats_codegen.ir.contract import Contract
    from weenats_codegen.output.stubs import Gap

__all__ = ["Freshness", "Report", "check", "generate"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How packages stand to their contracts.

    Attributes:
        diff: What `generate` would change, as a diff; "" when everything is fresh.
        gaps: What handlers of users and their contracts do not have in common.
    """

    diff: str
    gaps: tuple[Gap, ...]


def generate(paths: Sequence[Path], out: Path) -> Report:
    """Write the package of every contract.

    Args:
        paths: Contract folders, or folders that hold some.
        out: The folder that gets the packages.

    Raises:
        ContractError: A contract is bad; nothing is written.
        OSError: A file cannot be written; everything is as it was.
    """
    files = package_files(paths)
    report = write(out, files)
    return replace(report, gaps=gaps(out, files))


def check(paths: Sequence[Path], out: Path) -> Freshness:
    """Compare what is there with what `generate` would write.

    Raises:
        ContractError: A contract is bad.
    """
    files = package_files(paths)
    return Freshness(diff(out, files), gaps(out, files))


def package_files(paths: Sequence[Path]) -> dict[str, str]:
    """Return every file of every package by relative path.

    Raises:
        ContractError: A contract is bad; it says everything that is wrong with all of them.
    """
    contracts: list[Contract] = []
    problems: list[Problem] = []
    for folder in find_contracts(paths):
        try:
            contracts.append(read(folder))
        except ContractError as error:
            problems += error.problems
    problems += _clashes(contracts)
    files: dict[str, str] = {}
    if not problems:
        for contract in contracts:
            try:
                rendered = render(contract)
            except UnsupportedSchemaError as error:
                problems.append(Problem(contract.shown, "", str(error), "write the schema simpler"))
            else:
                files |= {f"{contract.package}/{name}": text for name, text in rendered.items()}
    if problems:
        raise ContractError(problems)
    return {
        name: seal(text) if is_stub(name) else text for name, text in format_sources(files).items()
    }


def _clashes(contracts: Sequence[Contract]) -> list[Problem]:
    """Find contracts that name one service, or make one package."""
    problems: list[Problem] = []
    services: dict[str, str] = {}
    packages: dict[str, str] = {}
    for contract in contracts:
        other = services.setdefault(contract.service, contract.shown)
        if other != contract.shown:
            message = f"names the service {contract.service}, and so does {other}"
            problems.append(Problem(contract.shown, "/service", message, "rename one"))
            continue
        other = packages.setdefault(contract.package, contract.shown)
        if other != contract.shown:
            message = f"makes the package {contract.package}, and so does {other}"
            remedy = "set python: {package: ...} in one of them"
            problems.append(Problem(contract.shown, "", message, remedy))
    return problems
