"""What callers and streams have of the commands of a run, as the checker takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

REPLIED = "replied"
REFUSED = "refused"
UNKNOWN = "unknown"


class Wallet(NamedTuple):
    """The state of a wallet, which is also the result of a command."""

    balance: int
    changes: int


class Attempt(NamedTuple):
    """One of the requests of a call, all of which have its message id.

    Attributes:
        outcome: REPLIED, REFUSED by an error of the contract, or UNKNOWN.
        value: the result, else the name or code of the error.
        began: when, on the monotonic clock of the machine.
    """

    outcome: str
    value: Wallet | str
    began: float


class Call(NamedTuple):
    """A command as its caller knows it.

    Attributes:
        id: its message id.
        key: the key of the wallet.
        command: its name.
        cents: its amount.
        began: when, on the monotonic clock of the machine.
        ended: when the first result came; when the last request ended if none came.
        attempts: its requests, in the order of their outcomes.
    """

    id: str
    key: str
    command: str
    cents: int
    began: float
    ended: float
    attempts: tuple[Attempt, ...]


class Change(NamedTuple):
    """An event in a commit."""

    id: str
    type: str
    cents: int
    balance: int


class StoredCommit(NamedTuple):
    """A commit as it is in the stream.

    Attributes:
        sequence: its place in the stream.
        subject_key: the key in its subject.
        key: the key in its body.
        command: the name of its command.
        message_id: the id of its command.
        previous: the sequence of the commit before it of its key.
        revision: the revision after it.
        changes: its events.
        result: the reply that it keeps.
    """

    sequence: int
    subject_key: str
    key: str
    command: str
    message_id: str
    previous: int
    revision: int
    changes: tuple[Change, ...]
    result: Wallet | None


class StoredEvent(NamedTuple):
    """A durable event as it is in its stream."""

    sequence: int
    id: str
    key: str
    revision: int
    cents: int
    balance: int


class Seen(NamedTuple):
    """What a projection was given of the durable events of a key.

    Attributes:
        events: how many there were.
        revision: that of the last one.
        late: how many came after one of a higher revision, or twice.
    """

    events: int
    revision: int
    late: int


class CommandRun(NamedTuple):
    """All that is known of a run.

    Attributes:
        calls: what the callers did.
        commits: the whole stream of commits, in its order.
        events: the whole stream of durable events, in its order.
        states: revision and state of each key, as `get` shows them in the end.
        view: what the view of a projection has of each key in the end.
    """

    calls: Iterable[Call]
    commits: Iterable[StoredCommit]
    events: Iterable[StoredEvent]
    states: Mapping[str, tuple[int, Wallet]]
    view: Mapping[str, Seen]


def commit_of(sequence: int, subject: str, payload: bytes) -> StoredCommit:
    """Return the commit in a message of the stream."""
    body: dict[str, Any] = json.loads(payload)
    result = body.get("result")
    return StoredCommit(
        sequence=sequence,
        subject_key=subject.rpartition(".")[2],
        key=body["aggregate"]["key"],
        command=body["command"],
        message_id=body["metadata"]["messageId"],
        previous=body["previous"],
        revision=body["revision"],
        changes=tuple(
            Change(each["id"], each["type"], each["data"]["cents"], each["data"]["balance"])
            for each in body["events"]
        ),
        result=None if result is None else Wallet(result["balance"], result["changes"]),
    )


def event_of(sequence: int, payload: bytes) -> StoredEvent:
    """Return the event in a message of the stream."""
    body: dict[str, Any] = json.loads(payload)
    data = body["data"]
    return StoredEvent(
        sequence,
        body["id"],
        body["aggregate"]["key"],
        body["revision"],
        data["cents"],
        data["balance"],
    )


def read_calls(journals: Iterable[Path]) -> Iterator[Call]:
    """Yield the calls in journals, one JSON array a line."""
    for path in journals:
        with path.open() as lines:
            for line in lines:
                *members, attempts = json.loads(line)
                yield Call._make((*members, tuple(_attempt(*each) for each in attempts)))


def _attempt(outcome: str, value: Any, began: float) -> Attempt:
    return Attempt(outcome, value if isinstance(value, str) else Wallet(*value), began)
