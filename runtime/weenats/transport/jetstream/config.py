"""Stream and consumer configuration, and what the server reports about them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from weenats.errors import InvalidArgumentError, connection_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

__all__ = [
    "ConsumerConfig",
    "ConsumerInfo",
    "Republish",
    "Start",
    "StreamConfig",
    "StreamInfo",
    "changed_settings",
    "to_time",
]
_NANOSECONDS: Final = 1_000_000_000
_SEQUENCES: Final = 2**63
"""No sequence of a stream is as large."""
_OWN_METADATA: Final = "_nats"
"""The prefix of metadata that the server adds."""

Start = Literal["beginning", "new", "last-per-subject"] | int | datetime
"""Where a consumer begins: a sequence, a time, or a place with a name."""
_POLICIES: Final = {"beginning": "all", "new": "new", "last-per-subject": "last_per_subject"}
_STARTS: Final[dict[str, Any]] = {policy: start for start, policy in _POLICIES.items()}


@dataclass(frozen=True, slots=True)
class Republish:
    """A stream sends what it has stored to core subscribers, on another subject.

    Attributes:
        source: the subjects, which may have wildcards.
        destination: the subject; its wildcards are filled from those of `source`, the last ones
            first: `a.stream.*.>` to `a.events.>` leaves out the token of `*`.
        headers_only: whether the payload is left out.
    """

    source: str
    destination: str
    headers_only: bool = False


_OBSTACLES: Final = ("sealed", "no_ack", "subject_transform", "mirror")


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """The settings of a stream.

    Attributes:
        name: the name.
        subjects: the subjects that it stores, which may have wildcards.
        description: the description.
        storage: where messages are kept.
        replicas: how many servers keep them, 1 to 5.
        retention: how long: within the limits, until all consumers or one have acknowledged them.
        discard: which message is refused or removed at a limit, the oldest or the new one.
        max_age: in seconds; None for no limit.
        max_bytes: None for no limit.
        max_messages: None for no limit.
        max_messages_per_subject: None for no limit.
        duplicate_window: how long the ids of messages are remembered, in seconds; None for the
            default of the server, two minutes or `max_age`.
        republish: what is sent to core subscribers after it was stored.
        allow_direct: whether all replicas answer `JetStream.get`.
        allow_rollup: whether a message may replace all earlier ones of its subject.
        allow_ttl: whether messages may have a time to live.
        marker_ttl: how long a marker stays in place of the last message of a subject that got too
            old, in seconds; None for no markers.
        allow_counters: whether the stream adds up numbers (ADR-49).
        allow_atomic: whether messages may be stored together or not at all (ADR-50).
        deny_delete: whether single messages cannot be deleted.
        metadata: key-value strings.
        other: all other members as the server has them; an update keeps them.
    """

    name: str
    subjects: tuple[str, ...] = ()
    description: str = ""
    storage: Literal["file", "memory"] = "file"
    replicas: int = 1
    retention: Literal["limits", "interest", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    max_age: float | None = None
    max_bytes: int | None = None
    max_messages: int | None = None
    max_messages_per_subject: int | None = None
    duplicate_window: float | None = None
    republish: Republish | None = None
    allow_direct: bool = True
    allow_rollup: bool = False
    allow_ttl: bool = False
    marker_ttl: float | None = None
    allow_counters: bool = False
    allow_atomic: bool = False
    deny_delete: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    other: Mapping[str, JsonValue] = field(default_factory=dict[str, Any], repr=False)

    @property
    def obstacles(self) -> Mapping[str, JsonValue]:
        """Settings of `other` with which a stream does not store what is published to it.

        With them it refuses it, acknowledges nothing, or stores it under other subjects.
        """
        return {name: self.other[name] for name in _OBSTACLES if self.other.get(name)}

    def to_json(self) -> dict[str, JsonValue]:
        """Return the settings as the API has them."""
        document: dict[str, JsonValue] = {
            **self.other,
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": self.storage,
            "num_replicas": self.replicas,
            "retention": self.retention,
            "discard": self.discard,
            "max_age": _nanoseconds(self.max_age),
            "max_bytes": _limit(self.max_bytes),
            "max_msgs": _limit(self.max_messages),
            "max_msgs_per_subject": _limit(self.max_messages_per_subject),
            "duplicate_window": _nanoseconds(self.duplicate_window),
            "allow_direct": self.allow_direct,
            "allow_rollup_hdrs": self.allow_rollup,
            "allow_msg_ttl": self.allow_ttl,
            "subject_delete_marker_ttl": _nanoseconds(self.marker_ttl),
            "allow_msg_counter": self.allow_counters,
            "allow_atomic": self.allow_atomic,
            "deny_delete": self.deny_delete,
            "metadata": dict(self.metadata),
        }
        if self.description:
            document["description"] = self.description
        if self.republish is not None:
            document["republish"] = {
                "src": self.republish.source,
                "dest": self.republish.destination,
                "headers_only": self.republish.headers_only,
            }
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StreamConfig:
        """Return settings that the server sent.

        Args:
            document: the member `config` of a response.
        """
        rest = dict(document)
        republish: Mapping[str, Any] | None = rest.pop("republish", None)
        return cls(
            name=rest.pop("name"),
            subjects=tuple(rest.pop("subjects", None) or ()),
            description=rest.pop("description", ""),
            storage=rest.pop("storage"),
            replicas=rest.pop("num_replicas"),
            retention=rest.pop("retention"),
            discard=rest.pop("discard"),
            max_age=_seconds(rest.pop("max_age", 0)),
            max_bytes=_limited(rest.pop("max_bytes", -1)),
            max_messages=_limited(rest.pop("max_msgs", -1)),
            max_messages_per_subject=_limited(rest.pop("max_msgs_per_subject", -1)),
            duplicate_window=_seconds(rest.pop("duplicate_window", 0)),
            republish=None
            if republish is None
            else Republish(
                republish["src"],
                republish["dest"],
                headers_only=republish.get("headers_only", False),
            ),
            allow_direct=rest.pop("allow_direct", False),
            allow_rollup=rest.pop("allow_rollup_hdrs", False),
            allow_ttl=rest.pop("allow_msg_ttl", False),
            marker_ttl=_seconds(rest.pop("subject_delete_marker_ttl", 0)),
            allow_counters=rest.pop("allow_msg_counter", False),
            allow_atomic=rest.pop("allow_atomic", False),
            deny_delete=rest.pop("deny_delete", False),
            metadata=_metadata(rest.pop("metadata", None)),
            other=rest,
        )


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream and what it holds.

    Attributes:
        config: its settings.
        messages: the number of its messages.
        bytes: their size.
        first_sequence: the sequence of the first one.
        last_sequence: the sequence of the last one, 0 before the first one.
        consumers: the number of its consumers.
        leader: the name of the server that leads a cluster's stream, "" without cluster or leader.
        created: when it was created, for example again after it was deleted.
    """

    config: StreamConfig
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    consumers: int
    leader: str
    created: datetime

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StreamInfo:
        """Return what the server sent.

        Args:
            document: a response.
        """
        state: Mapping[str, Any] = document["state"]
        cluster: Mapping[str, Any] = document.get("cluster") or {}
        return cls(
            config=StreamConfig.from_json(document["config"]),
            messages=_whole(state["messages"]),
            bytes=_whole(state["bytes"]),
            first_sequence=_whole(state["first_seq"]),
            last_sequence=_whole(state["last_seq"]),
            consumers=_whole(state["consumer_count"]),
            leader=cluster.get("leader", ""),
            created=to_time(document["created"]),
        )


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    """The settings of a pull consumer.

    Attributes:
        name: the name.
        filters: the subjects that it delivers, which may have wildcards; () for all.
        start: where it begins.
        acknowledgement: whether each message is acknowledged, all up to one, or none.
        ack_wait: after how many seconds without acknowledgement a message is delivered again.
        max_ack_pending: how many messages may be unacknowledged at a time; 1 keeps the order.
        max_deliver: how often a message is delivered; None for no limit.
        backoff: the seconds until each repeated delivery, instead of `ack_wait`.
        durable: whether it stays when nobody uses it.
        inactive_threshold: after how many seconds without use it is removed; None for the default:
            never for a durable one, after 5 seconds for others.
        memory: whether its state is kept in memory.
        replicas: how many servers keep its state; 0 as many as of the stream.
        description: the description.
        metadata: key-value strings.
        other: all other members as the server has them; an update keeps them.
    """

    name: str
    filters: tuple[str, ...] = ()
    start: Start = "beginning"
    acknowledgement: Literal["explicit", "all", "none"] = "explicit"
    ack_wait: float = 30.0
    max_ack_pending: int = 1000
    max_deliver: int | None = None
    backoff: tuple[float, ...] = ()
    durable: bool = True
    inactive_threshold: float | None = None
    memory: bool = False
    replicas: int = 0
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    other: Mapping[str, JsonValue] = field(default_factory=dict[str, Any], repr=False)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the settings as the API has them."""
        document: dict[str, JsonValue] = {
            **self.other,
            "name": self.name,
            "ack_policy": self.acknowledgement,
            "max_deliver": _limit(self.max_deliver),
            "num_replicas": self.replicas,
            "metadata": dict(self.metadata),
            **_start_members(self.start),
        }
        if self.acknowledgement != "none":
            document["ack_wait"] = _nanoseconds(self.ack_wait)
            document["max_ack_pending"] = self.max_ack_pending
        if self.backoff:
            document["backoff"] = [_nanoseconds(each) for each in self.backoff]
        if self.durable:
            document["durable_name"] = self.name
        if len(self.filters) == 1:
            document["filter_subject"] = self.filters[0]
        elif self.filters:
            document["filter_subjects"] = list(self.filters)
        if self.inactive_threshold is not None:
            document["inactive_threshold"] = _nanoseconds(self.inactive_threshold)
        if self.memory:
            document["mem_storage"] = True
        if self.description:
            document["description"] = self.description
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ConsumerConfig:
        """Return settings that the server sent.

        Args:
            document: the member `config` of a response.
        """
        rest = dict(document)
        one = rest.pop("filter_subject", "")
        sequence, time = rest.pop("opt_start_seq", None), rest.pop("opt_start_time", None)
        policy = rest.pop("deliver_policy", "all")
        start: Start = _STARTS.get(policy, "beginning")
        if sequence is not None:
            start = cast("int", sequence)
        elif time is not None:
            start = to_time(time)
        return cls(
            name=rest.pop("name", "") or rest.get("durable_name", ""),
            filters=(one,) if one else tuple(rest.pop("filter_subjects", None) or ()),
            start=start,
            acknowledgement=rest.pop("ack_policy", "explicit"),
            ack_wait=_seconds(rest.pop("ack_wait", 0)) or 0.0,
            max_ack_pending=rest.pop("max_ack_pending", 0),
            max_deliver=_limited(rest.pop("max_deliver", -1)),
            backoff=tuple(each / _NANOSECONDS for each in rest.pop("backoff", None) or ()),
            durable=bool(rest.pop("durable_name", "")),
            inactive_threshold=_seconds(rest.pop("inactive_threshold", 0)),
            memory=rest.pop("mem_storage", False),
            replicas=rest.pop("num_replicas", 0),
            description=rest.pop("description", ""),
            metadata=_metadata(rest.pop("metadata", None)),
            other=rest,
        )


@dataclass(frozen=True, slots=True)
class ConsumerInfo:
    """A consumer and where it is.

    Attributes:
        stream: the name of the stream.
        config: its settings.
        delivered: the sequence of the last delivered message.
        acknowledged: the sequence up to which all messages were acknowledged.
        unacknowledged: how many delivered messages are not acknowledged.
        redelivered: how many of them were delivered more than once.
        pending: how many messages were never delivered.
        waiting: how many requests for messages wait.
        paused: whether an operator lets it deliver nothing for a while.
        deliveries: how many messages were delivered, those that were delivered again included.
    """

    stream: str
    config: ConsumerConfig
    delivered: int
    acknowledged: int
    unacknowledged: int
    redelivered: int
    pending: int
    waiting: int
    paused: bool = False
    deliveries: int = 0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ConsumerInfo:
        """Return what the server sent.

        Args:
            document: a response.
        """
        return cls(
            stream=document["stream_name"],
            config=ConsumerConfig.from_json(document["config"]),
            delivered=_whole(document["delivered"]["stream_seq"]),
            acknowledged=_whole(document["ack_floor"]["stream_seq"]),
            unacknowledged=_whole(document["num_ack_pending"]),
            redelivered=_whole(document["num_redelivered"]),
            pending=_whole(document["num_pending"]),
            waiting=_whole(document["num_waiting"]),
            paused=document.get("paused", False),
            deliveries=_whole(document["delivered"]["consumer_seq"]),
        )


def _whole(number: object) -> int:
    """Return a number that the server sent.

    Raises:
        TypeError: it is something else.
    """
    if type(number) is not int:
        raise TypeError(f"not a whole number: {type(number).__name__}")
    return number


def changed_settings(
    has: StreamConfig | ConsumerConfig, wanted: StreamConfig | ConsumerConfig
) -> set[str]:
    """Return the names of the settings that have other values than those that are wanted.

    Args:
        has: the settings.
        wanted: the settings that are wanted.
    """
    names = {
        each.name
        for each in fields(has)
        if each.name != "other" and getattr(has, each.name) != getattr(wanted, each.name)
    }
    return names | {name for name in has.other if has.other[name] != wanted.other.get(name)}


def to_time(text: str) -> datetime:
    """Return a time of the server, RFC 3339 with up to nine digits, of which six are kept.

    Args:
        text: the time.
    """
    return datetime.fromisoformat(text)


def _start_members(start: Start) -> dict[str, JsonValue]:
    if isinstance(start, datetime):
        with suppress(OverflowError):
            time = start.astimezone(UTC).isoformat()
            return {"deliver_policy": "by_start_time", "opt_start_time": time}
    if type(start) is int and 1 <= start < _SEQUENCES:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    policy = _POLICIES.get(start) if isinstance(start, str) else None
    if policy is None:
        raise connection_error(
            InvalidArgumentError,
            f"start is 'beginning', 'new', a sequence from 1 or a time, not {start!r}",
        )
    return {"deliver_policy": policy}


def _nanoseconds(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * _NANOSECONDS)


def _seconds(nanoseconds: int) -> float | None:
    return nanoseconds / _NANOSECONDS if nanoseconds > 0 else None


def _limit(value: int | None) -> int:
    return -1 if value is None else value


def _limited(value: int) -> int | None:
    return value if value > 0 else None


def _metadata(members: Mapping[str, str] | None) -> dict[str, str]:
    return {
        name: text for name, text in (members or {}).items() if not name.startswith(_OWN_METADATA)
    }
