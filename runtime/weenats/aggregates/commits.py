"""Commits: one message holds the events of one command, and its reply."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import to_json

from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.state_codec import EncodedEvent
from weenats.aggregates.store import PARTITIONS
from weenats.codec.metadata import message_metadata
from weenats.codec.numbers import dump_digits, load_digits
from weenats.codec.upcasting import DATA_VERSION, version_member
from weenats.codec.validators import typed_dict, validator
from weenats.context import MessageContext
from weenats.protocol import messages
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.partitions import partition_of
from weenats.protocol.subjects import key_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.context import RequestContext
    from weenats.transport.jetstream import StoredMessage

__all__ = ["Commit", "encode_commit", "fingerprint_of", "new_commit", "read_commit"]
_TEMPLATE: Final = (
    b'{"aggregate":{"type":"%b","key":%b},"command":"%b","revision":%d,"previous":%d'
    b',"version":"%b","events":[%b]%b,"fingerprint":"%b"%b,"timestamp":"%b","metadata":%b}'
)
_DIGEST_SIZE: Final = 16
_COMMIT: Final = validator(typed_dict(messages.Commit))


class Commit(NamedTuple):
    """A commit.

    Attributes:
        sequence: its sequence in the stream; 0 if it is not stored yet.
        previous: the sequence of the commit before it of the same aggregate; 0 for the first.
        key: the key of the aggregate.
        command: the name of the command.
        revision: the revision after its last event.
        version: the version of the contract.
        events: its events.
        event_ids: their ids.
        result: the result of the command, JSON text; None without one.
        fingerprint: the hash of the command, its payload and the issuer of its caller.
        principal: the id of the caller; None without authentication.
        timestamp: when the aggregate changed.
        message_id: the id of the command.
        correlation_id: the correlation id of the command.
        causation_id: what caused the command; None when unknown.
    """

    sequence: int
    previous: int
    key: str
    command: str
    revision: int
    version: str
    events: tuple[EncodedEvent, ...]
    event_ids: tuple[str, ...]
    result: bytes | None
    fingerprint: str
    principal: str | None
    timestamp: str
    message_id: str
    correlation_id: str
    causation_id: str | None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.message_id} of {self.command}>"

    @property
    def first_revision(self) -> int:
        """The revision before its first event."""
        return self.revision - len(self.events)


def new_commit(  # noqa: PLR0913 - the parts of a commit
    context: RequestContext,
    events: Sequence[EncodedEvent],
    *,
    result: bytes | None,
    fingerprint: str,
    previous: int,
    revision: int,
) -> Commit:
    """Return a commit that is not stored yet.

    Args:
        context: the command.
        events: its events, at least one.
        result: its result, JSON text; None without one.
        fingerprint: the hash of the command, its payload and the issuer of its caller.
        previous: the sequence of the commit before it; 0 for the first.
        revision: the revision after its last event.
    """
    operation, principal = context.operation, context.principal
    first_id, timestamp = STAMPER.stamp()
    return Commit(
        sequence=0,
        previous=previous,
        key=context.key,
        command=operation.name,
        revision=revision,
        version=operation.contract.version,
        events=tuple(events),
        event_ids=(first_id, *[STAMPER.new_id() for _ in events[1:]]),
        result=result,
        fingerprint=fingerprint,
        principal=None if principal is None else principal.id,
        timestamp=timestamp,
        message_id=context.message_id,
        correlation_id=context.correlation_id,
        causation_id=context.causation_id,
    )


def encode_commit(commit: Commit, aggregate: str, sent: str) -> bytes:
    """Return a commit as it is stored.

    Args:
        commit: the commit.
        aggregate: the name of the aggregate.
        sent: when the command was sent; "" when unknown.
    """
    result, principal, timestamp = commit.result, commit.principal, commit.timestamp
    metadata = MessageContext(
        commit.message_id, commit.correlation_id, sent or timestamp, commit.causation_id
    )
    events = [
        b'{"id":"%b","type":"%b",%b"data":%b}'
        % (identifier.encode(), name.encode(), version_member(version), data)
        for identifier, (name, data, version) in zip(commit.event_ids, commit.events, strict=True)
    ]
    return _TEMPLATE % (
        aggregate.encode(),
        to_json(commit.key),
        commit.command.encode(),
        commit.revision,
        commit.previous,
        commit.version.encode(),
        b",".join(events),
        b"" if result is None else b',"result":%b' % result,
        commit.fingerprint.encode(),
        b"" if principal is None else b',"principal":%b' % to_json(principal),
        timestamp.encode(),
        message_metadata(metadata),
    )


def read_commit(message: StoredMessage) -> Commit:
    """Return a stored commit.

    Args:
        message: the message of the stream.

    Raises:
        BrokenHistoryError: it is not a commit, or one of another key than that of its subject.
    """
    try:
        _COMMIT.validate_json(message.payload)
        document: dict[str, Any] = load_digits(message.payload)
    except ValueError:
        document = {}
    if not document:
        raise BrokenHistoryError(f"message {message.sequence} of {message.stream} is not a commit")
    if not message.subject.endswith(_end_of_subject(**document["aggregate"])):
        raise BrokenHistoryError(
            f"message {message.sequence} of {message.stream} is a commit of another aggregate than"
            " its subject says"
        )
    events: list[dict[str, Any]] = document["events"]
    metadata: dict[str, Any] = document["metadata"]
    message_id: str = metadata["messageId"]
    correlation: dict[str, str] = metadata.get("correlation", {})
    return Commit(
        sequence=message.sequence,
        previous=document["previous"],
        key=document["aggregate"]["key"],
        command=document["command"],
        revision=document["revision"],
        version=document["version"],
        events=tuple(
            EncodedEvent(each["type"], dump_digits(each["data"]), each.get(DATA_VERSION, 1))
            for each in events
        ),
        event_ids=tuple(each["id"] for each in events),
        result=dump_digits(document["result"]) if "result" in document else None,
        fingerprint=document["fingerprint"],
        principal=document.get("principal"),
        timestamp=document["timestamp"],
        message_id=message_id,
        correlation_id=correlation.get("correlationId", message_id),
        causation_id=correlation.get("causationId"),
    )


def _end_of_subject(type: str, key: str) -> str:  # noqa: A002 - a member of the message
    """Return the subject of the commits of an aggregate, without the service."""
    return f".commits.{partition_of(key, PARTITIONS)}.{type}.{key_token(key)}"


def fingerprint_of(*parts: bytes) -> str:
    """Return a hash of some parts, in hexadecimal.

    Args:
        parts: the parts, which are kept apart.
    """
    text = b"".join([b"%d:%b" % (len(part), part) for part in parts])
    return blake2b(text, digest_size=_DIGEST_SIZE).hexdigest()
