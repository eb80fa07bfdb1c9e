"""A comparison as JSON, as SARIF 2.1.0, and as annotations of GitHub Actions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from weenats_codegen.compatibility.findings import Comparison, Finding, Level
from weenats_codegen.compatibility.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from weenats_codegen.parser.diagnostics import Location

Json = dict[str, object]
_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LONGEST: Final = 300
"""Characters of a document that are shown to people; JSON has all of them."""
_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def as_json(comparisons: Sequence[Comparison]) -> Json:
    """Return comparisons as one JSON document.

    Args:
        comparisons: The comparison of each contract.
    """
    return {
        "compatible": all(each.is_compatible for each in comparisons),
        "contracts": [
            {
                "service": each.service,
                "oldVersion": each.old_version or None,
                "newVersion": each.new_version or None,
                "compatible": each.is_compatible,
                "findings": [*map(_finding, each.findings)],
            }
            for each in comparisons
        ],
    }


def _finding(finding: Finding) -> Json:
    result: Json = {
        "rule": finding.rule.id,
        "level": finding.rule.level.value,
        "breaks": finding.rule.breaks.value,
        "message": finding.message,
        "location": str(finding.location),
        "oldLocation": None if finding.old_location is None else str(finding.old_location),
        "usedBy": [*finding.used_by],
    }
    document = finding.document
    if document is not None:
        result["document"] = document.value
        result["acceptedBy"] = document.accepted_by
        result["refusedBy"] = document.refused_by
        result["refusedAt"] = document.refused_at
        result["keyword"] = document.keyword
    if finding.tried:
        result["tried"] = [*finding.tried]
    return result


def as_sarif(comparisons: Sequence[Comparison], line: Callable[[Location], int | None]) -> Json:
    """Return comparisons as a SARIF log, which code hosts show beside the code.

    Args:
        comparisons: The comparison of each contract.
        line: Returns the line of a location, None if it is not known.
    """
    findings = [finding for each in comparisons for finding in each.findings]
    used = sorted({finding.rule.id for finding in findings})
    rules = [
        {
            "id": name,
            "shortDescription": {"text": RULES[name].text},
            "defaultConfiguration": {"level": RULES[name].level.value},
            "properties": {"breaks": RULES[name].breaks.value},
        }
        for name in used
    ]
    driver = {"name": "weenats", "rules": rules}
    results = [_result(finding, used.index(finding.rule.id), line) for finding in findings]
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, rule: int, line: Callable[[Location], int | None]) -> Json:
    place: Json = {"artifactLocation": {"uri": finding.location.file}}
    if (number := line(finding.location)) is not None:
        place["region"] = {"startLine": number}
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": rule,
        "level": finding.rule.level.value,
        "message": {"text": "\n".join([finding.message, *details(finding)])},
        "locations": [
            {
                "physicalLocation": place,
                "logicalLocations": [{"fullyQualifiedName": str(finding.location)}],
            }
        ],
    }


def as_annotations(
    comparisons: Sequence[Comparison], line: Callable[[Location], int | None]
) -> Iterator[str]:
    """Yield comparisons as workflow commands of GitHub Actions, one line each.

    Args:
        comparisons: The comparison of each contract.
        line: Returns the line of a location, None if it is not known.
    """
    for finding in (finding for each in comparisons for finding in each.findings):
        number = line(finding.location)
        properties = {
            "file": finding.location.file,
            **({} if number is None else {"line": str(number)}),
            "title": f"{finding.rule.id} ({finding.rule.breaks.value})",
        }
        shown = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        text = _data("\n".join([finding.message, *details(finding)]))
        yield f"::{_COMMANDS[finding.rule.level]} {shown}::{text}"


def details(finding: Finding) -> Iterable[str]:
    """Yield what proves a finding, in lines.

    Args:
        finding: The finding.
    """
    if finding.used_by:
        yield f"concerns: {', '.join(finding.used_by)}"
    document = finding.document
    if document is not None:
        text = json.dumps(document.value, ensure_ascii=True)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        sides = f"accepted by the {document.accepted_by} version, refused by the "
        yield f"{sides}{document.refused_by} one: {text}"
    for each in finding.tried:
        yield f"tried: {each}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
