"""Two versions of a contract -> what differs between them and matters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from weenats_codegen.compatibility.errors import compare_errors
from weenats_codegen.compatibility.events import compare_events
from weenats_codegen.compatibility.findings import Change, Comparison, Finding, Level
from weenats_codegen.compatibility.keys import compare_keys
from weenats_codegen.compatibility.messages import MessageSchemas
from weenats_codegen.compatibility.operations import compare_operations
from weenats_codegen.compatibility.rules import RULES, VERSION_RULES
from weenats_codegen.compatibility.stored import compare_stored
from weenats_codegen.compatibility.versions import (
    covers,
    largest,
    lowest_version,
    parsed,
    raised,
)
from weenats_codegen.parser.diagnostics import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weenats_codegen.ir.contract import Contract

_LEVELS: Final = (Level.ERROR, Level.WARNING, Level.NOTE)


def compare(old: Contract, new: Contract) -> Comparison:
    """Return what differs between two versions of the contract of a service.

    Args:
        old: The old version, which clients, services and consumers run.
        new: The new version.
    """
    schemas = MessageSchemas(old.bundle, new.bundle)
    findings = [
        *compare_operations(old, new, schemas),
        *compare_events(old, new, schemas),
        *compare_errors(old, new, schemas),
        *compare_keys(old, new, schemas),
        *compare_stored(old, new, schemas),
    ]
    findings += _version(old, new, findings)
    return Comparison(new.service, old.version, new.version, tuple(ordered(_joined(findings))))


def compare_all(old: Sequence[Contract], new: Sequence[Contract]) -> list[Comparison]:
    """Return what differs between some contracts and their old versions, by service.

    Args:
        old: The old versions.
        new: The new versions.
    """
    before = {contract.service: contract for contract in old}
    after = {contract.service: contract for contract in new}
    return [
        compare(before[name], after[name])
        if name in before and name in after
        else _alone(before.get(name), after.get(name))
        for name in sorted(before | after)
    ]


def _alone(old: Contract | None, new: Contract | None) -> Comparison:
    """Return the comparison of a contract with nothing."""
    if new is not None:
        message = f"the service {new.service} is new"
        finding = Finding(RULES["service-added"], message, Location(new.file))
        return Comparison(new.service, "", new.version, (finding,))
    assert old is not None  # noqa: S101 - for type checkers
    message = f"the service {old.service} is gone, or has another name"
    location = Location(old.file)
    finding = Finding(RULES["service-removed"], message, location, location)
    return Comparison(old.service, old.version, "", (finding,))


def _version(old: Contract, new: Contract, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield how the version should have risen."""
    location, old_location = (Location(each.file, "/version") for each in (new, old))
    before, after = parsed(old.version), parsed(new.version)
    if after < before:
        message = f"the version {new.version} is lower than {old.version}"
        yield Finding(RULES["version-lowered"], message, location, old_location)
        return
    needed = largest([finding.rule.change for finding in findings])
    if needed is Change.NONE and old.digest != new.digest and old.version == new.version:
        needed = Change.PATCH
    if not covers(raised(before, after), needed):
        what = (
            "other changes, such as names of schemas, need"
            if needed is Change.PATCH
            else f"{needed.value} changes need"
        )
        lowest = lowest_version(old.version, needed)
        message = f"{what} version {lowest} or higher, and it is {new.version}"
        yield Finding(RULES["version-not-raised"], message, location, old_location)


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, with those as one that are about the same part of a schema."""
    result: dict[tuple[str, Location, str], Finding] = {}
    for finding in findings:
        at = finding.document.refused_at if finding.document else ""
        message = finding.message.replace(f" at {at}", "", 1) if at else finding.message
        key = (finding.rule.id, finding.location, message)
        if key in result:
            users = dict.fromkeys((*result[key].used_by, *finding.used_by))
            result[key] = replace(result[key], used_by=tuple(users))
        else:
            result[key] = finding
    return list(result.values())


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which they are reported: errors first, then by place.

    Among errors, those about the version follow from the others, and are the last.

    Args:
        findings: The findings.
    """
    return sorted(
        findings,
        key=lambda each: (
            _LEVELS.index(each.rule.level),
            each.rule.id in VERSION_RULES,
            each.location,
            each.rule.id,
            each.message,
        ),
    )
