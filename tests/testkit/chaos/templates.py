"""A valid message for every subject of a running service and its clients."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ulid import ULID

from receipts.operations import CONTRACT, RECEIPT_AGGREGATE
from testkit.chaos.frames import Frame
from weenats.protocol import subjects
from weenats.protocol.subjects import Kind

_PAYLOADS: Final[Mapping[str, Any]] = {
    "add-item": {"name": "Tea", "price": 0.1, "quantity": 3},
    "remove-item": {"name": "Tea"},
    "finalize": {},
    "void-receipt": {"reason": "a mistake"},
}
OPERATIONS: Final[Mapping[str, Any]] = {
    **{
        subjects.build(CONTRACT.name, Kind.COMMAND, RECEIPT_AGGREGATE.name, name): payload
        for name, payload in _PAYLOADS.items()
    },
    subjects.build(CONTRACT.name, Kind.QUERY, RECEIPT_AGGREGATE.name, "get"): None,
}
"""The subjects of the operations, with a payload for each."""


def requests(token: str | None, key: str) -> list[Frame]:
    """Return a request for each operation."""
    return [_request(subject, payload, token, key) for subject, payload in OPERATIONS.items()]


def questions(instances: Sequence[str] = ()) -> list[Frame]:
    """Return the requests of discovery and health."""
    asked = [subjects.health(CONTRACT.name)]
    for verb in ("PING", "INFO", "STATS"):
        asked += [subjects.discovery(verb), subjects.discovery(verb, CONTRACT.name)]
        asked += [subjects.discovery(verb, CONTRACT.name, each) for each in instances]
    return [Frame(subject, "", b"{}") for subject in asked]


def notices(inboxes: Sequence[str] = ()) -> list[Frame]:
    """Return messages without an answer: a cancellation, an event, a snapshot, replies."""
    failure = {
        "success": False,
        "error": {"code": "CANCELLED", "message": "forged"},
        "duration": 1.0,
    }
    aggregate = {"type": RECEIPT_AGGREGATE.name, "key": "forged"}
    event = {
        "id": str(ULID()),
        "type": "item-added",
        "aggregate": aggregate,
        "revision": 1,
        "timestamp": _now(),
        "data": {"name": "Tea", "price": 0.1, "quantity": 3, "lineTotal": 0.3},
        "metadata": _metadata(None),
    }
    on_events = subjects.build(CONTRACT.name, Kind.EVENT, RECEIPT_AGGREGATE.name, "item-added")
    return [
        Frame(subjects.cancel(CONTRACT.name), "", b""),
        Frame(on_events, "", json.dumps(event).encode()),
        Frame(subjects.monitoring(CONTRACT.name), "", b"{}"),
        *(Frame(inbox, "", json.dumps(failure).encode()) for inbox in inboxes),
    ]


def _request(subject: str, payload: Any, token: str | None, key: str) -> Frame:
    kind = "command" if ".command." in subject else "query"
    body = {
        "aggregateId": {"type": RECEIPT_AGGREGATE.name, "key": key},
        **({} if payload is None else {kind: payload}),
        "metadata": _metadata(token),
    }
    return Frame(subject, "", json.dumps(body).encode(), b"\r\nWee-Timeout: 5000\r\n\r\n")


def _metadata(token: str | None) -> dict[str, Any]:
    proof = {} if token is None else {"authentication": {"type": "jwt", "token": token}}
    return {
        "messageId": str(ULID()),
        "timestamp": _now(),
        "correlation": {"correlationId": "forged"},
        **proof,
        "context": {"weeAttempt": 1},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
