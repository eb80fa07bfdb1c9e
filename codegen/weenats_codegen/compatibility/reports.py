"""A comparison as JSON, as SARIF 2.1.0, and as annotations of GitHub Actions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from weenats_codegen.compatibility.findings import (
    Comparison,
    Finding,
    Level,
    NotCompared,
    Running,
)
from weenats_codegen.compatibility.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weenats_codegen.parser.diagnostics import Location

Json = dict[str, object]
_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LONGEST: Final = 300
"""Characters of a document that are shown to people; JSON has all of them."""
_MAX_INSTANCES: Final = 10
_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def as_json(comparisons: Sequence[Comparison], not_compared: Sequence[NotCompared] = ()) -> Json:
    """Return comparisons as one JSON document.

    Args:
        comparisons: The comparison of each contract.
        not_compared: The running instances whose contract is not known.
    """
    return {
        "compatible": all(each.is_compatible for each in comparisons),
        "contracts": [
            {
                "service": each.service,
                "oldVersion": each.old_version or None,
                "newVersion": each.new_version or None,
                "compatible": each.is_compatible,
                **_running(each.running),
                "findings": [*map(_finding, each.findings)],
            }
            for each in comparisons
        ],
        **({"notCompared": [*map(_not_compared, not_compared)]} if not_compared else {}),
    }


def _running(running: Running | None) -> Json:
    if running is None:
        return {}
    return {"instances": [*running.instances], "calls": dict(running.calls)}


def _not_compared(missing: NotCompared) -> Json:
    return {
        "service": missing.service,
        "version": missing.version,
        "instances": [*missing.instances],
        "reason": missing.reason,
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


def as_sarif(
    comparisons: Sequence[Comparison],
    line: Callable[[Location], int | None],
    not_compared: Sequence[NotCompared] = (),
) -> Json:
    """Return comparisons as a SARIF log, which code hosts show beside the code.

    Args:
        comparisons: The comparison of each contract.
        line: Returns the line of a location, None if it is not known.
        not_compared: The running instances whose contract is not known.
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
    results = [
        _result(finding, each.running, used.index(finding.rule.id), line)
        for each in comparisons
        for finding in each.findings
    ]
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    if not_compared:
        notes = [
            {"level": "error", "message": {"text": "\n".join([str(each), *instances(each)])}}
            for each in not_compared
        ]
        run["invocations"] = [{"executionSuccessful": False, "toolExecutionNotifications": notes}]
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _result(
    finding: Finding, running: Running | None, rule: int, line: Callable[[Location], int | None]
) -> Json:
    place: Json = {"artifactLocation": {"uri": quote(finding.location.file)}}
    if (number := line(finding.location)) is not None:
        place["region"] = {"startLine": number}
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": rule,
        "level": finding.rule.level.value,
        "message": {"text": "\n".join(_text(finding, running))},
        "locations": [
            {
                "physicalLocation": place,
                "logicalLocations": [{"fullyQualifiedName": str(finding.location)}],
            }
        ],
    }


def as_annotations(
    comparisons: Sequence[Comparison],
    line: Callable[[Location], int | None],
    not_compared: Sequence[NotCompared] = (),
) -> Iterator[str]:
    """Yield comparisons as workflow commands of GitHub Actions, one line each.

    Args:
        comparisons: The comparison of each contract.
        line: Returns the line of a location, None if it is not known.
        not_compared: The running instances whose contract is not known.
    """
    for missing in not_compared:
        text = _data("\n".join([str(missing), *instances(missing)]))
        yield f"::error title=not compared::{text}"
    findings = [(each.running, finding) for each in comparisons for finding in each.findings]
    for running, finding in findings:
        number = line(finding.location)
        properties = {
            "file": finding.location.file,
            **({} if number is None else {"line": str(number)}),
            "title": f"{finding.rule.id} ({finding.rule.breaks.value})",
        }
        shown = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        text = _data("\n".join(_text(finding, running)))
        yield f"::{_COMMANDS[finding.rule.level]} {shown}::{text}"


def _text(finding: Finding, running: Running | None) -> Iterator[str]:
    yield finding.message
    yield from details(finding, running)
    if running is not None:
        yield from instances(running)


def instances(running: Running | NotCompared) -> Iterator[str]:
    """Yield which instances run a version, in lines.

    Args:
        running: The instances.
    """
    ids = running.instances
    more = f" and {len(ids) - _MAX_INSTANCES} more" if len(ids) > _MAX_INSTANCES else ""
    yield f"running: {', '.join(ids[:_MAX_INSTANCES])}{more}"


def details(finding: Finding, running: Running | None = None) -> Iterator[str]:
    """Yield what proves a finding, in lines.

    Args:
        finding: The finding.
        running: The instances of one of the versions, which count calls.
    """
    if finding.used_by:
        calls: Mapping[str, int] = {} if running is None else running.calls
        users = [
            f"{each} ({calls[each]} calls)" if each in calls else each for each in finding.used_by
        ]
        yield f"concerns: {', '.join(users)}"
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
