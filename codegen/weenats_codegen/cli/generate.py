"""The command `generate`: writes the package of every contract."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from weenats_codegen.cli.output import emit, plain, warn
from weenats_codegen.generate import HandlerMismatch, Report, generate_client
from weenats_codegen.generate import generate as generate_packages


def generate(schemas: Sequence[Path], out: Path, *, as_json: bool) -> None:
    """Write the package of every contract, and print which files changed."""
    _show(generate_packages(schemas, out), as_json=as_json)


def generate_client_project(contract: Path, out: Path, package: str, *, as_json: bool) -> None:
    """Write a project with the client of one contract, and print which files changed."""
    _show(generate_client(contract, out, package), as_json=as_json)


def _show(report: Report, *, as_json: bool) -> None:
    result = {
        "written": [path.as_posix() for path in report.written],
        "unchanged": [path.as_posix() for path in report.unchanged],
        "removed": [path.as_posix() for path in report.removed],
        "gaps": [asdict(mismatch) for mismatch in report.mismatches],
    }
    lines = [f"[green]wrote[/]    {plain(path.as_posix())}" for path in report.written]
    lines += [f"[yellow]removed[/]  {plain(path.as_posix())}" for path in report.removed]
    if count := len(report.unchanged):
        lines.append(f"{count} file{'s' * (count != 1)} unchanged")
    emit(result, as_json=as_json, render=lambda: "\n".join(lines))
    for note in report.notes:
        warn(str(note))
    warn_of_mismatches(report.mismatches)


def warn_of_mismatches(mismatches: Iterable[HandlerMismatch]) -> None:
    """Warn of handlers that do not match their contract."""
    for mismatch in mismatches:
        for line in mismatch.lines:
            warn(line)
