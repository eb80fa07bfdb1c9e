"""The subjects of services, and the rules for the names in them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Kind",
    "SubjectError",
    "all_on_instance",
    "build",
    "cancel",
    "check_component",
    "check_discovered_name",
    "check_inbox_prefix",
    "check_queue_group",
    "check_service_name",
    "check_version",
    "commits",
    "commits_of",
    "commits_of_key",
    "contract",
    "dead_letter",
    "decode_subject",
    "discovery",
    "encode_subject",
    "health",
    "is_inbox",
    "key_of_token",
    "key_token",
    "matches",
    "monitoring",
    "on_each_instance",
    "on_instance",
    "retry",
    "stored_event",
]
_COMPONENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")
_DISCOVERED: Final = re.compile(r"[A-Za-z0-9_-]+")
_QUEUE_GROUP: Final = re.compile(r"[a-z][a-z0-9-]*")
_VERSION: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_TOKEN: Final = re.compile(r"[^\s.*>\x00-\x1f\x7f\ud800-\udfff]+")
_KEPT: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED: Final = re.compile(r"(?:=[0-9A-F]{2})+")
_MAX_QUEUE_GROUP_LENGTH: Final = 100
_OF_SERVICES: Final = (
    "cancel|command|commits|contract|dead-letters|events|health|instance|monitoring|query|retry"
    "|stream"
)
"""The second tokens of the subjects of services and their streams."""
_NO_INBOX: Final = re.compile(rf"\$|$|{_SERVICE.pattern}\.({_OF_SERVICES})(\.|$)")


class Kind(StrEnum):
    """The kinds of messages; the values are the second component of a subject."""

    COMMAND = "command"
    QUERY = "query"
    EVENT = "events"


class SubjectError(ValueError):
    """A name is not allowed in a subject."""


def _checked(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not isinstance(cast("object", value), str) or pattern.fullmatch(value) is None:
        raise SubjectError(f"{value!r} is not a valid {what}: it must match ^{pattern.pattern}$")
    return value


def check_service_name(name: str) -> str:
    """Check the name of a service.

    Args:
        name: the name.

    Returns:
        The name.

    Raises:
        SubjectError: it is not valid.
    """
    return _checked(_SERVICE, name, "service name")


def check_discovered_name(name: str) -> str:
    """Check the name of a service of any framework (ADR-32).

    Args:
        name: the name.

    Returns:
        The name.

    Raises:
        SubjectError: it is not valid.
    """
    return _checked(_DISCOVERED, name, "service name")


def check_component(name: str) -> str:
    """Check the name of an aggregate, operation or event.

    Args:
        name: the name.

    Returns:
        The name.

    Raises:
        SubjectError: it is not valid.
    """
    return _checked(_COMPONENT, name, "subject component")


def check_queue_group(name: str) -> str:
    """Check the name of a queue group.

    Args:
        name: the name.

    Returns:
        The name.

    Raises:
        SubjectError: it is not valid.
    """
    _checked(_QUEUE_GROUP, name, "queue group name")
    if len(name) > _MAX_QUEUE_GROUP_LENGTH:
        raise SubjectError(
            f"a queue group name has at most {_MAX_QUEUE_GROUP_LENGTH} characters, not {len(name)}"
        )
    return name


def check_inbox_prefix(prefix: str) -> str:
    """Check the prefix of the reply subjects of a client.

    Args:
        prefix: the prefix.

    Returns:
        The prefix.

    Raises:
        SubjectError: it is not valid.
    """
    for part in prefix.split("."):
        _checked(_TOKEN, part, "part of an inbox prefix")
    if not is_inbox(prefix):
        raise SubjectError(f"{prefix!r} is the beginning of subjects of services or of NATS itself")
    return prefix


def is_inbox(reply: str) -> bool:
    """Return whether a reply subject may be one of a caller.

    What is sent to the others is stored or executed. A service, which may publish there, must not
    be made to do so by a caller, who may not.

    Args:
        reply: the reply subject, "" for none.

    Returns:
        False for no subject, those of services and their streams, and those of NATS itself.
    """
    return reply[:1] == "_" or _NO_INBOX.match(reply) is None


def check_version(version: str) -> str:
    """Check a semantic version (semver.org 2.0.0).

    Args:
        version: the version.

    Returns:
        The version.

    Raises:
        SubjectError: it is not valid.
    """
    return _checked(_VERSION, version, "semantic version")


def build(service: str, kind: Kind, aggregate: str | None, name: str) -> str:
    """Return the subject of an operation or an event.

    Args:
        service: the name of the service.
        kind: the kind of message.
        aggregate: the name of the aggregate; None for what belongs to the service itself.
        name: the name of the operation or event.

    Raises:
        SubjectError: a name is not valid.
    """
    check_service_name(service)
    check_component(name)
    if aggregate is None:
        return f"{service}.{kind.value}.{name}"
    return f"{service}.{kind.value}.{check_component(aggregate)}.{name}"


def stored_event(service: str, partition: int | str, event: str) -> str:
    """Return the subject under which a stream keeps an event.

    Args:
        service: the name of the service.
        partition: the partition of its key; "*" for all.
        event: the end of its subject, `{aggregate}.{event}`; ">" for all.
    """
    return f"{service}.stream.{partition}.{event}"


def retry(stream: str, service: str, partition: int | str, consumer: str) -> str:
    """Return the subject of a dead letter that one consumer gets again.

    Args:
        stream: the stream, which keeps it like an event.
        service: the name of the service.
        partition: the partition of the event; "*" for all.
        consumer: the name of the consumer; "*" for all.
    """
    return f"{service}.retry.{stream}.{partition}.{consumer}"


def dead_letter(stream: str, service: str, consumer: str) -> str:
    """Return the subject of the dead letters of a consumer.

    Args:
        stream: the stream of the events.
        service: the name of the service.
        consumer: the name of the consumer; "*" for all.
    """
    return f"{service}.dead-letters.{stream}.{consumer}"


def health(service: str) -> str:
    """Return the subject on which a service answers HealthCheck.

    Args:
        service: the name of the service.

    Raises:
        SubjectError: the name is not valid.
    """
    return f"{check_service_name(service)}.health"


def cancel(service: str) -> str:
    """Return the subject on which callers cancel calls.

    Args:
        service: the name of the service.

    Raises:
        SubjectError: the name is not valid.
    """
    return f"{check_service_name(service)}.cancel"


def contract(service: str) -> str:
    """Return the subject on which a service answers with its contract.

    Args:
        service: the name of the service.

    Raises:
        SubjectError: the name is not valid.
    """
    return f"{check_service_name(service)}.contract"


def commits(service: str) -> str:
    """Return the wildcard of all commits of a service.

    Args:
        service: the name of the service.

    Raises:
        SubjectError: the name is not valid.
    """
    return f"{check_service_name(service)}.commits.>"


def commits_of_key(service: str, partition: int, aggregate: str | None, key: str) -> str:
    """Return the subject of the commits of an aggregate that is kept in a stream.

    Args:
        service: the name of the service.
        partition: that of the key.
        aggregate: the name of the aggregate; None for all that have the key.
        key: the key.

    Raises:
        SubjectError: a name is not valid.
    """
    name = "*" if aggregate is None else check_component(aggregate)
    return f"{check_service_name(service)}.commits.{partition}.{name}.{key_token(key)}"


def commits_of(service: str, aggregate: str) -> str:
    """Return the wildcard of the commits of all keys of an aggregate.

    Args:
        service: the name of the service.
        aggregate: the name of the aggregate.

    Raises:
        SubjectError: a name is not valid.
    """
    return f"{check_service_name(service)}.commits.*.{check_component(aggregate)}.*"


def key_token(key: str) -> str:
    """Return a key as one token of a subject.

    Letters, digits, `-` and `_` stay; every other byte of its UTF-8 becomes `=` and two hexadecimal
    digits.

    Args:
        key: the key.
    """
    if _PLAIN_KEY.fullmatch(key):
        return key
    return "".join(chr(byte) if chr(byte) in _KEPT else f"={byte:02X}" for byte in key.encode())


def key_of_token(token: str) -> str:
    """Return the key of a token.

    Args:
        token: what `key_token` returned.
    """
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(), token)


def monitoring(service: str) -> str:
    """Return the subject on which the instances of a service publish their snapshots.

    Args:
        service: the name of the service.

    Raises:
        SubjectError: the name is not valid.
    """
    return f"{check_service_name(service)}.monitoring"


def on_instance(subject: str, instance_id: str) -> str:
    """Return the subject of an operation on one instance of its service.

    Args:
        subject: the subject of the operation.
        instance_id: the instance.

    Raises:
        SubjectError: the instance is not one token of a subject.
    """
    return _on(_checked(_TOKEN, instance_id, "part of a subject"), subject)


def on_each_instance(subject: str) -> str:
    """Return the wildcard for the subjects of an operation on any instance of its service.

    Args:
        subject: the subject of the operation.
    """
    return _on("*", subject)


def all_on_instance(service: str, instance_id: str | None = None) -> str:
    """Return the wildcard for the subjects of all operations on an instance.

    Args:
        service: the name of the service.
        instance_id: the instance; None for any.

    Raises:
        SubjectError: the name is not valid, or the instance is not one token of a subject.
    """
    check_service_name(service)
    token = "*" if instance_id is None else _checked(_TOKEN, instance_id, "part of a subject")
    return _on(token, f"{service}.>")


def _on(token: str, subject: str) -> str:
    service, _, operation = subject.partition(".")
    return f"{service}.instance.{token}.{operation}"


def discovery(
    verb: str, name: str | None = None, instance_id: str | None = None, *, prefix: str = "$SRV"
) -> str:
    """Return the control subject of a verb (ADR-32).

    Args:
        verb: PING, INFO or STATS.
        name: the service; None for all services.
        instance_id: the instance; None for all instances.
        prefix: the first token of the subject.

    Raises:
        SubjectError: the name or the instance is not one token of a subject.
    """
    for part in (name, instance_id):
        if part is not None:
            _checked(_TOKEN, part, "part of a discovery subject")
    return ".".join(part for part in (prefix, verb, name, instance_id) if part is not None)


def decode_subject(subject: bytes) -> str:
    """Return a received subject as text.

    NATS allows any bytes. Those that are not UTF-8 are kept, so that such a caller can be answered.

    Args:
        subject: the subject as on the wire.
    """
    try:
        return subject.decode()
    except UnicodeDecodeError:
        return subject.decode("utf-8", "surrogateescape")


def encode_subject(subject: str) -> bytes:
    """Return a subject as on the wire; undoes `decode_subject`.

    Args:
        subject: the subject.

    Raises:
        UnicodeEncodeError: it is not valid Unicode.
    """
    return subject.encode("utf-8", "surrogateescape")


def matches(pattern: Sequence[str], tokens: Sequence[str]) -> bool:
    """Return whether a subject matches a pattern, both as their tokens.

    Args:
        pattern: the tokens of the pattern, which may be wildcards.
        tokens: the tokens of the subject.
    """
    for position, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > position
        if position == len(tokens) or part not in {"*", tokens[position]}:
            return False
    return len(pattern) == len(tokens)
