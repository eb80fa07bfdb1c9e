"""What a comparison of two versions of a contract reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Location


class Level(StrEnum):
    """How bad a finding is; only errors make a change incompatible."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Party(StrEnum):
    """Who breaks."""

    OLD_CLIENT = "old client"
    OLD_SERVICE = "old service"
    EVENT_CONSUMER = "event consumer"
    PUBLISHER = "publisher"
    STORED_EVENT = "stored event"
    NOBODY = "nobody"


class Change(StrEnum):
    """The part of a semantic version that has to rise."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of finding.

    Attributes:
        id: Its identifier, which does not change.
        level: How bad it is.
        breaks: Who breaks.
        change: The part of the version that has to rise.
        text: What it means, as a sentence.
    """

    id: str
    level: Level
    breaks: Party
    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document that one side accepts and the other one refuses.

    Attributes:
        value: The document.
        accepted_by: The version that accepts it, `old` or `new`.
        refused_by: The version that refuses it.
        refused_at: Where the document is wrong: a JSON pointer into it.
        keyword: The keyword that refuses it.
    """

    value: JsonValue
    accepted_by: str
    refused_by: str
    refused_at: str
    keyword: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between two versions of a contract that matters.

    Attributes:
        rule: What kind of difference it is.
        message: What differs, and why that matters.
        location: Its place in the new version, or where it was there before it was removed; in the
            old version for a service that is gone.
        old_location: Its place in the old version; None if it has none.
        used_by: The operations, events and errors that it concerns.
        document: The document that proves it; None for what is not about schemas.
        tried: For what is not known: what was tried.
    """

    rule: Rule
    message: str
    location: Location
    old_location: Location | None = None
    used_by: tuple[str, ...] = ()
    document: Document | None = None
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """The instances that run one of the versions.

    Attributes:
        instances: Their ids, sorted.
        calls: How often each operation was called since they were started; empty if not known.
    """

    instances: tuple[str, ...]
    calls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NotCompared:
    """Instances whose contract is not known.

    Attributes:
        service: The service.
        version: The version that they report.
        instances: Their ids, sorted.
        reason: Why it is not known.
    """

    service: str
    version: str
    instances: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.service} {self.version} is not compared: {self.reason}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two versions of a contract.

    Attributes:
        service: The name of the service.
        old_version: The old version; "" if there is none.
        new_version: The new version; "" if there is none.
        findings: The differences: errors first, then by place.
        running: The instances that run one of them; None if they were not asked.
    """

    service: str
    old_version: str
    new_version: str
    findings: tuple[Finding, ...]
    running: Running | None = None

    @property
    def is_compatible(self) -> bool:
        """Whether there is no error: nobody breaks, and the version has risen as it has to."""
        return all(finding.rule.level is not Level.ERROR for finding in self.findings)
