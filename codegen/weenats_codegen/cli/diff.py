"""The commands `diff` and `check --against`: whom the change of a contract breaks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.cli.errors import describe
from weenats_codegen.cli.output import console, emit, plain, warn, write
from weenats_codegen.compatibility.compare import compare_all
from weenats_codegen.compatibility.findings import Comparison, Finding, Level
from weenats_codegen.compatibility.reports import as_annotations, as_json, as_sarif, details
from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.lines import line_of
from weenats_codegen.revisions import Contracts, RevisionError, at_revision, is_revision, opened

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location

_COLORS: Final = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
_USAGE: Final = 2


def diff(old: str, new: str, output: str) -> int:
    """Compare two versions of contracts, and print whom the change breaks.

    Args:
        old: The old versions: a folder, a file, or a git revision.
        new: The new versions.
        output: `text`, `json`, `sarif` or `github`.

    Returns:
        The exit code: 0 compatible, 1 breaking, 2 wrong usage.
    """
    return _reported(lambda: ([opened(old)], opened(new)), output)


def check_against(schemas: Sequence[Path], against: str, output: str) -> int:
    """Compare contracts with what they were, and print whom the change breaks.

    Args:
        schemas: Contract folders, or folders that contain some.
        against: A git revision that has the same folders, or a folder with the old versions.
        output: `text`, `json`, `sarif` or `github`.

    Returns:
        The exit code: 0 compatible, 1 breaking, 2 wrong usage.
    """

    def read() -> tuple[list[Contracts], Contracts]:
        new = Contracts(tuple(read_contracts(schemas)))
        if Path(against).is_dir() or not is_revision(against):
            return [opened(against)], new
        return [at_revision(against, path) for path in schemas], new

    return _reported(read, output)


def _reported(read: Callable[[], tuple[list[Contracts], Contracts]], output: str) -> int:
    try:
        old, new = read()
    except (ContractError, RevisionError) as error:
        for line in [str(error)] if isinstance(error, RevisionError) else describe(error):
            warn(line)
        return _USAGE
    comparisons = compare_all([each for side in old for each in side.contracts], new.contracts)
    shown = [_located(comparison, [*old, new]) for comparison in comparisons]
    if output == "sarif":
        emit(as_sarif(shown, line_of), as_json=True, render=str)
    elif output == "github":
        write("".join(f"{line}\n" for line in as_annotations(shown, line_of)))
    elif output == "json":
        emit(as_json(shown), as_json=True, render=str)
    else:
        console().print("\n".join(_lines(shown)), soft_wrap=True)
    return int(not all(each.is_compatible for each in shown))


def _located(comparison: Comparison, sides: Sequence[Contracts]) -> Comparison:
    """Return a comparison with locations as users know them."""

    def known(location: "Location") -> "Location":
        for side in sides:
            location = side.location(location)
        return location

    findings = [
        replace(
            finding,
            location=known(finding.location),
            old_location=finding.old_location and known(finding.old_location),
        )
        for finding in comparison.findings
    ]
    return replace(comparison, findings=tuple(findings))


def _lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for comparison in comparisons:
        versions = " -> ".join(filter(None, (comparison.old_version, comparison.new_version)))
        verdict = "[green]compatible[/]" if comparison.is_compatible else "[red]breaking[/]"
        yield f"[bold]{plain(comparison.service)}[/] {plain(versions)}: {verdict}"
        for finding in comparison.findings:
            yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    level, breaks = finding.rule.level, finding.rule.breaks.value
    color = _COLORS[level]
    who = "" if breaks == "nobody" else f" ({breaks})"
    yield f"  [{color}]{level.value}[/] {finding.rule.id}{who}: {plain(finding.message)}"
    yield f"    {plain(str(finding.location))}"
    for line in details(finding):
        yield f"    {plain(line)}"
