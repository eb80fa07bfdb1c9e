"""The commands `diff` and `check --against`: whom the change of a contract breaks."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weenats_codegen.cli.errors import CliError, describe
from weenats_codegen.cli.output import console, discard, emit, plain, warn, write
from weenats_codegen.cli.time_limit import time_limit
from weenats_codegen.compatibility.compare import compare, compare_all, ordered
from weenats_codegen.compatibility.findings import (
    Comparison,
    Finding,
    Level,
    NotCompared,
    Running,
)
from weenats_codegen.compatibility.reports import (
    as_annotations,
    as_json,
    as_sarif,
    details,
    instances,
)
from weenats_codegen.compatibility.rules import VERSION_RULES
from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.lines import line_of
from weenats_codegen.revisions import (
    Contracts,
    RevisionError,
    at_revision,
    check_revision,
    moved_since,
    opened,
)

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location

_SCHEMES: Final = ("nats://", "tls://", "ws://", "wss://")
_COLORS: Final = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "cyan"}
_BREAKING: Final = 1
_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was found.

    Attributes:
        comparisons: The comparisons, with locations as users know them.
        not_compared: The running instances whose contract is not known.
    """

    comparisons: tuple[Comparison, ...]
    not_compared: tuple[NotCompared, ...] = ()

    @property
    def code(self) -> int:
        """The exit code."""
        if not all(each.is_compatible for each in self.comparisons):
            return _BREAKING
        return _USAGE if self.not_compared else 0


def is_fleet(place: str) -> bool:
    """Return whether a text is the URL of a NATS server, or several separated by commas.

    Args:
        place: The text.
    """
    return place.strip().startswith(_SCHEMES)


def servers_of(place: str) -> list[str]:
    """Return the URLs of the NATS servers in a text.

    Args:
        place: The URLs, separated by commas.
    """
    return [part.strip() for part in place.split(",") if part.strip()]


def diff(old: str, new: str, output: str) -> int:
    """Compare two versions of contracts, and print whom the change breaks.

    Args:
        old: The old versions: a folder, a file, a git revision, or the URL of a NATS server for
            those that run.
        new: The new versions.
        output: `text`, `json`, `sarif` or `github`.

    Returns:
        The exit code: 0 compatible, 1 breaking, 2 wrong usage.
    """

    def compared() -> _Outcome:
        if is_fleet(old) and is_fleet(new):
            raise CliError("one of both must be contracts in files")
        if is_fleet(old):
            return _with_fleet(opened(new), old, is_old=True)
        if is_fleet(new):
            return _with_fleet(opened(old), new, is_old=False)
        return _compared([opened(old)], opened(new))

    return _reported(compared, output)


def check_against(schemas: Sequence[Path], against: str, output: str) -> int:
    """Compare contracts with what they were, and print whom the change breaks.

    Args:
        schemas: Contract folders, or folders that contain some.
        against: A git revision that has the same folders, a folder with the old versions, or the
            URL of a NATS server for those that run.
        output: `text`, `json`, `sarif` or `github`.

    Returns:
        The exit code: 0 compatible, 1 breaking, 2 wrong usage.
    """

    def compared() -> _Outcome:
        new = Contracts(tuple(read_contracts(schemas)))
        if is_fleet(against):
            return _with_fleet(new, against, is_old=True)
        if not against or Path(against).exists() or ":" in against:
            return _compared([opened(against)], new)
        check_revision(against)
        old = [at_revision(against, path) for path in schemas]
        known = {contract.service for side in old for contract in side.contracts}
        added = {contract.service for contract in new.contracts} - known
        return _compared([*old, *moved_since(against, added)] if added else old, new)

    return _reported(compared, output)


def _compared(old: Sequence[Contracts], new: Contracts) -> _Outcome:
    comparisons = compare_all([each for side in old for each in side.contracts], new.contracts)
    return _Outcome(tuple(_located(each, [*old, new]) for each in comparisons))


def _with_fleet(files: Contracts, url: str, *, is_old: bool) -> _Outcome:
    """Compare contracts with what runs.

    Args:
        files: The contracts.
        url: The URLs of the NATS servers.
        is_old: Whether what runs is the old version.
    """
    from weenats.errors import ServiceError
    from weenats_codegen.cli.running_contracts import MAX_SECONDS, find_fleet

    services = {each.service: each for each in files.contracts}
    try:
        fleet = asyncio.run(find_fleet(servers_of(url), services.keys(), files.contracts))
    except ServiceError as error:
        raise CliError(str(error)) from error
    comparisons: list[Comparison] = []
    not_compared = [*fleet.not_compared]
    for each in fleet.contracts:
        sides = (each.contract, services[each.contract.service])
        try:
            with time_limit(MAX_SECONDS):
                found = compare(*(sides if is_old else sides[::-1]))
        except Exception as error:  # noqa: BLE001 - whatever another party sent
            why = str(error) if isinstance(error, TimeoutError) else type(error).__name__
            reason = f"its contract cannot be compared: {why}"
            instances, running = each.running.instances, each.contract
            not_compared.append(NotCompared(running.service, running.version, instances, reason))
        else:
            located = _located(found, [each.contracts, files])
            comparisons.append(replace(located, running=each.running))
    seen = {each.contract.service for each in fleet.contracts}
    seen |= {each.service for each in fleet.not_compared}
    alone = [contract for name, contract in services.items() if name not in seen]
    comparisons += compare_all(*(([], alone) if is_old else (alone, [])))
    return _Outcome(tuple(sorted(comparisons, key=_order)), tuple(not_compared))


def _order(comparison: Comparison) -> tuple[str, str, str]:
    return comparison.service, comparison.old_version, comparison.new_version


def _reported(compared: Callable[[], _Outcome], output: str) -> int:
    try:
        found = compared()
        _print(found, output)
    except BrokenPipeError:  # 1 would stand for a breaking change
        discard()
        return _USAGE
    except (ContractError, RevisionError, CliError, OSError) as error:
        for line in [str(error)] if isinstance(error, RevisionError) else describe(error):
            warn(line)
        return _USAGE
    return found.code


def _print(found: _Outcome, output: str) -> None:
    shown, missing = found.comparisons, found.not_compared
    if output == "sarif":
        emit(as_sarif(shown, line_of, missing), as_json=True, render=str)
    elif output == "github":
        write("".join(f"{line}\n" for line in as_annotations(shown, line_of, missing)))
    elif output == "json":
        emit(as_json(shown, missing), as_json=True, render=str)
    else:
        lines = [*_lines(shown), *_missing(missing)]
        console().print("\n".join(lines), soft_wrap=True)


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
    return replace(comparison, findings=tuple(ordered(findings)))  # places have other names now


def _lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for comparison in comparisons:
        versions = " -> ".join(filter(None, (comparison.old_version, comparison.new_version)))
        yield f"[bold]{plain(comparison.service)}[/] {plain(versions)}: {_verdict(comparison)}"
        running = comparison.running
        if running is not None:
            yield from (f"  {plain(line)}" for line in (*instances(running), *_use(running)))
        for finding in comparison.findings:
            yield from _finding(finding, running)


def _verdict(comparison: Comparison) -> str:
    errors = {each.rule.id for each in comparison.findings if each.rule.level is Level.ERROR}
    if not errors:
        return "[green]compatible[/]"
    return "[red]breaking[/]" if errors - VERSION_RULES else "[red]wrong version[/]"


def _use(running: Running) -> Iterator[str]:
    """Yield which operations were called since the instances were started, and which were not."""
    used = [f"{name} {count}" for name, count in running.calls.items() if count]
    unused = [name for name, count in running.calls.items() if not count]
    if used:
        yield f"calls: {', '.join(used)}"
    if unused:
        yield f"not called: {', '.join(unused)}"


def _missing(not_compared: Sequence[NotCompared]) -> Iterator[str]:
    for each in not_compared:
        title = f"[bold]{plain(each.service)}[/] {plain(each.version)}"
        yield f"{title}: [red]not compared[/], {plain(each.reason)}"
        yield from (f"  {plain(line)}" for line in instances(each))


def _finding(finding: Finding, running: Running | None) -> Iterator[str]:
    level, breaks = finding.rule.level, finding.rule.breaks.value
    color = _COLORS[level]
    who = "" if breaks == "nobody" else f" ({breaks})"
    yield f"  [{color}]{level.value}[/] {finding.rule.id}{who}: {plain(finding.message)}"
    yield f"    {plain(str(finding.location))}"
    for line in details(finding, running):
        yield f"    {plain(line)}"
