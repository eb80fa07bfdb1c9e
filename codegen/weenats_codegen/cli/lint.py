"""The command `lint`: what breaks the rules of contracts, and what hurts later."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.output import emit, write
from weenats_codegen.lint.linter import RULES
from weenats_codegen.loading import report
from weenats_codegen.parser.diagnostics import did_you_mean
from weenats_codegen.parser.source import find_contracts

if TYPE_CHECKING:
    from rich.table import Table

    from weenats_codegen.lint.rule import Finding, Level

_COLORS: Final[dict["Level", str]] = {"error": "red", "warning": "yellow"}


def lint(schemas: Sequence[Path], fail_on: "Level", *, as_json: bool) -> None:
    """Print what breaks rules in some contracts.

    Raises:
        CliError: There is a finding of the level `fail_on`, or of a higher one.
    """
    reports = [report(folder) for folder in find_contracts(schemas)]
    # A schema of a library is a finding of each contract that uses it.
    findings = list(dict.fromkeys(finding for each in reports for finding in each.findings))
    counts = {level: sum(each.rule.level == level for each in findings) for level in _COLORS}
    ignored = sum(each.ignored for each in reports)
    result = {
        "findings": [_as_json(finding) for finding in findings],
        "errors": counts["error"],
        "warnings": counts["warning"],
        "ignored": ignored,
    }
    if findings and not as_json:  # without wrapping, for editors and logs
        write("".join(f"{_line(finding)}\n" for finding in findings))
    else:
        emit(result, as_json=as_json, render=lambda: _clean(len(reports), ignored))
    if counts["error"] or (findings and fail_on == "warning"):
        found = " and ".join(_count(number, level) for level, number in counts.items() if number)
        raise CliError(f"{found}; `weenats lint --explain RULE` says why and what is right")


def list_rules(*, as_json: bool) -> None:
    """Print every rule."""
    result = [
        {"rule": rule.id, "level": rule.level, "summary": rule.summary} for rule in RULES.values()
    ]
    emit(result, as_json=as_json, render=_rules_table)


def explain(name: str, *, as_json: bool) -> None:
    """Print the page of a rule.

    Raises:
        typer.BadParameter: There is no such rule.
    """
    rule = RULES.get(name)
    if rule is None:
        hint = did_you_mean(name, RULES, "`weenats lint --rules` lists them")
        raise typer.BadParameter(f"there is no rule {name}; {hint}")
    result = {
        "rule": rule.id,
        "level": rule.level,
        "summary": rule.summary,
        "why": rule.why,
        "wrong": rule.wrong,
        "right": rule.right,
    }
    if as_json:
        emit(result, as_json=True, render=str)
    else:
        write(f"{rule.page}\n")


def _as_json(finding: "Finding") -> dict[str, str]:
    location, message, remedy = finding.diagnostic
    return {
        "rule": finding.rule.id,
        "level": finding.rule.level,
        "file": location.file,
        "pointer": location.pointer,
        "message": message,
        "remedy": remedy,
    }


def _clean(contracts: int, ignored: int) -> str:
    accepted = f"; {_count(ignored, 'finding')} ignored with a reason" if ignored else ""
    return f"[green]clean[/]: {_count(contracts, 'contract')}{accepted}"


def _line(finding: "Finding") -> str:
    return f"{finding.rule.level} {finding.rule.id} {finding.diagnostic}"


def _rules_table() -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for column in ("rule", "level", "what is wrong"):
        table.add_column(column, no_wrap=column != "what is wrong")
    for rule in RULES.values():
        table.add_row(
            f"[bold]{rule.id}[/]", f"[{_COLORS[rule.level]}]{rule.level}[/]", rule.summary
        )
    return table


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
