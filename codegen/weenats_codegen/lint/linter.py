"""A contract -> every error in it, all at once; and what hurts later."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from weenats_codegen.ir.bundle import Bundle
from weenats_codegen.lint.aggregates import former_aggregate
from weenats_codegen.lint.errors import CONTRACT_FORMAT, ERRORS, UNREADABLE_FILE, UNREADABLE_VERSION
from weenats_codegen.lint.ignores import UNUSED_IGNORE, accepted, ignores
from weenats_codegen.lint.rule import Finding, Rule, Subject
from weenats_codegen.lint.rules import WARNINGS
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location
from weenats_codegen.parser.source import Source
from weenats_codegen.parser.walk import Node

RULES: Final[dict[str, Rule]] = {rule.id: rule for rule in (*ERRORS, *WARNINGS, UNUSED_IGNORE)}
"""Every rule by its id."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a contract.

    Attributes:
        findings: What breaks rules, sorted.
        ignored: How many findings the contract accepts.
    """

    findings: tuple[Finding, ...]
    ignored: int = 0


def lint(source: Source, bundle: Bundle) -> list[Diagnostic]:
    """Return every error in a contract, sorted.

    Args:
        source: The contract; the errors that were found while reading it are included.
        bundle: Its schemas; the errors in their references are included.
    """
    return sorted({finding.diagnostic for finding in _errors(Subject(source, bundle))})


def inspect(source: Source, bundle: Bundle) -> Report:
    """Return what breaks the rules in a contract; warnings only if there are no errors.

    Args:
        source: The contract.
        bundle: Its schemas.
    """
    subject = Subject(source, bundle)
    errors = _errors(subject)
    if errors:
        return Report(_sorted(errors))
    findings, ignored = accepted(_warnings(subject), ignores(source.root), RULES.values())
    return Report(_sorted(findings), ignored)


def unreadable(error: ContractError) -> Report:
    """Return the report on a contract that cannot be read.

    Args:
        error: Why it cannot be read.
    """
    return Report(tuple(Finding(each, UNREADABLE_FILE) for each in error.diagnostics))


def _errors(subject: Subject) -> list[Finding]:
    former = former_aggregate(subject.root)
    if former is not None:  # what else it breaks follows from it
        return [Finding(former, CONTRACT_FORMAT)]
    found = _found(subject, tuple(each for each in ERRORS if each is not UNREADABLE_VERSION))
    # Old versions of events can be compared with new ones when their schemas are valid.
    return found or _found(subject, (UNREADABLE_VERSION,))


def _found(subject: Subject, rules: tuple[Rule, ...]) -> list[Finding]:
    return [Finding(each, rule) for rule in rules for each in rule.check(subject)]


def _warnings(subject: Subject) -> list[Finding]:
    """Return each warning once, at a place that is in the files."""
    nodes = {place.node.location: place.node for place in subject.source.resources.schemas}
    nodes[subject.root.location] = subject.root
    found: dict[tuple[Diagnostic, str], Finding] = {}
    for diagnostic, rule in _found(subject, WARNINGS):
        there = diagnostic._replace(location=_written(diagnostic.location, nodes))
        found.setdefault((there, rule.id), Finding(there, rule))
    return list(found.values())


def _written(location: Location, nodes: dict[Location, Node]) -> Location:
    """Return the innermost place at a location that is in the files.

    Schemas are translated to one dialect, in which some keywords have other names.
    """
    steps: list[str] = []
    place = location
    while place not in nodes and place.pointer:
        pointer, _, step = place.pointer.rpartition("/")
        place = place._replace(pointer=pointer)
        steps.insert(0, step.replace("~1", "/").replace("~0", "~"))
    node = nodes.get(place)
    for step in steps if node is not None else ():
        following = node.step(step) if node is not None else None
        if following is None:
            break
        node = following
    return location if node is None else node.location


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda each: (each.diagnostic, each.rule.id)))
