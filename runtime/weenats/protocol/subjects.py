"""The subject grammar: what services listen on, built, parsed and validated in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_COMPONENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")
_QUEUE_GROUP: Final = re.compile(r"[a-z][a-z0-9-]*")
_VERSION: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_TOKEN: Final = re.compile(r"[^\s.*>\x00-\x1f\x7f]+")
_SHAPE: Final = "{service}.{command|query|events}.{aggregate}.{name}"
_MAX_QUEUE_GROUP_LENGTH: Final = 100


class Kind(StrEnum):
    """What a subject carries; the values are the second component of a subject."""

    COMMAND = "command"
    QUERY = "query"
    EVENT = "events"


class SubjectError(ValueError):
    """A name or a subject that the grammar does not allow."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A parsed subject: `{service}.{command|query|events}.{aggregate}.{name}`."""

    service: str
    kind: Kind
    aggregate: str
    name: str

    def __str__(self) -> str:
        return f"{self.service}.{self.kind.value}.{self.aggregate}.{self.name}"


def _checked(pattern: re.Pattern[str], value: str, what: str) -> str:
    if pattern.fullmatch(value) is None:
        text = f"{value!r} is no valid {what}: it must match ^{pattern.pattern}$"
        raise SubjectError(text)
    return value


def check_service_name(name: str) -> str:
    """Return the name of a service, or raise SubjectError."""
    return _checked(_SERVICE, name, "service name")


def check_component(name: str) -> str:
    """Return the name of an aggregate, operation or event, or raise SubjectError."""
    return _checked(_COMPONENT, name, "subject component")


def check_queue_group(name: str) -> str:
    """Return the name of a queue group, or raise SubjectError."""
    if len(name) > _MAX_QUEUE_GROUP_LENGTH:
        text = (
            f"a queue group name has at most {_MAX_QUEUE_GROUP_LENGTH} characters, not {len(name)}"
        )
        raise SubjectError(text)
    return _checked(_QUEUE_GROUP, name, "queue group name")


def check_inbox_prefix(prefix: str) -> str:
    """Return the prefix of the subjects on which a client takes replies, or raise SubjectError."""
    for part in prefix.split("."):
        _checked(_TOKEN, part, "part of an inbox prefix")
    return prefix


def check_version(version: str) -> str:
    """Return a semantic version (semver.org 2.0.0), or raise SubjectError."""
    return _checked(_VERSION, version, "semantic version")


def build(service: str, kind: Kind, aggregate: str, name: str) -> str:
    """Return the subject of one operation or event, or raise SubjectError."""
    check_service_name(service)
    check_component(aggregate)
    check_component(name)
    return f"{service}.{kind.value}.{aggregate}.{name}"


def parse(subject: str) -> Subject:
    """Take a subject apart, or raise SubjectError; wildcards are not accepted."""
    components = subject.split(".")
    try:
        service, kind, aggregate, name = components
        parsed = Subject(
            check_service_name(service),
            Kind(kind),
            check_component(aggregate),
            check_component(name),
        )
    except ValueError as error:
        if isinstance(error, SubjectError):
            raise
        raise SubjectError(f"{subject!r} is not {_SHAPE}") from None
    return parsed


def all_of(service: str, kind: Kind, aggregate: str | None = None) -> str:
    """Return the wildcard for one kind of subjects of a service, or of one aggregate."""
    check_service_name(service)
    if aggregate is None:
        return f"{service}.{kind.value}.*.*"
    return f"{service}.{kind.value}.{check_component(aggregate)}.*"


def health(service: str) -> str:
    """Return the subject on which a service answers HealthCheck."""
    return f"{check_service_name(service)}.health"


def cancel(service: str) -> str:
    """Return the subject on which callers tell a service which call they give up."""
    return f"{check_service_name(service)}.cancel"


def monitoring(service: str) -> str:
    """Return the subject on which the instances of a service publish snapshots of themselves."""
    return f"{check_service_name(service)}.monitoring"


def discovery(
    verb: str, name: str | None = None, instance_id: str | None = None, *, prefix: str = "$SRV"
) -> str:
    """Return the ADR-32 control subject of a verb (PING, INFO, STATS).

    For all, a service or one instance.

    Raises:
        SubjectError: the name or the instance is not one token of a subject.
    """
    for part in (name, instance_id):
        if part is not None:
            _checked(_TOKEN, part, "part of a discovery subject")
    return ".".join(part for part in (prefix, verb, name, instance_id) if part is not None)
