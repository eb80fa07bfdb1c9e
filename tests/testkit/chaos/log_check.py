"""The log records that processes may write during faults; any other warning is unexpected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_HARMLESS: Final = {"DEBUG", "INFO"}
_EXPECTED_WARNINGS: Final[tuple[tuple[str, str], ...]] = (
    (
        "weenats.transport",
        r"NATS: |NATS ended the connection: |NATS refused a |.*, no other NATS server yet: ",
    ),
    ("weenats.auth", r".* refused a caller: |the keys at .* cannot be fetched: "),
    ("weenats.service", r"a request on .* has no reply subject and was dropped"),
    ("weenats.service", r"a request on .* was dropped, since its reply subject is no inbox"),
    (
        "weenats.service",
        r"the (reply|error) of .* could not be sent: |the error of .* cannot be sent unchanged: ",
    ),
    ("weenats.events", r"a message on .* does not match the contract: "),
    ("weenats.circuit_breaker", r".*"),
    ("weenats.retry", r"calls to receipts are not retried for now: "),
    ("weenats.monitoring", r"a snapshot of receipts cannot be published: "),
    ("weenats.health", r"the health check jwks failed: "),
    # nats-py subscribes anew on a connection that broke again; the next attempt follows.
    ("asyncio", r"socket\.send\(\) raised exception"),
)
"""The warnings that faults explain: logger, and pattern of the message."""
_EXPECTED_ERRORS: Final = (
    # What a run does to credentials a server refuses, until they are renewed.
    ("weenats.transport", r"NATS: 'Authorization Violation'$"),
)


def unexpected_records(log: Path) -> Iterator[str]:
    """Return the unexpected records of a log, each kind once.

    A line that is not a record is unexpected: tracebacks and warnings of Python bypass the log.
    """
    seen = set()
    with log.open(errors="replace") as lines:
        for line in lines:
            objection = _objection(line)
            if objection is not None and (kind := re.sub(r"[0-9]+", "#", objection)) not in seen:
                seen.add(kind)
                yield f"{log.stem} logged {objection}"


def _objection(line: str) -> str | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return line.strip()
    if record["level"] in _HARMLESS:
        return None
    expected = {"WARNING": _EXPECTED_WARNINGS, "ERROR": _EXPECTED_ERRORS}.get(record["level"], ())
    if "exception" not in record and _is_among(expected, record):
        return None
    text = f"{record['level']} {record['logger']}: {record['message']}"
    return f"{text}\n{record['exception']}" if "exception" in record else text


def _is_among(expected: Iterable[tuple[str, str]], record: Mapping[str, Any]) -> bool:
    return any(
        record["logger"] == logger and re.match(pattern, record["message"])
        for logger, pattern in expected
    )
