"""The log check reports unexpected records and ignores expected ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testkit.chaos.log_check import unexpected_records


def findings(folder: Path, *lines: str | dict[str, Any]) -> list[str]:
    """Return what the check reports for these log lines."""
    log = folder / "service-0-1.log"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    log.write_text("".join(f"{text}\n" for text in texts))
    return list(unexpected_records(log))


def log_record(level: str, logger: str, message: str, **members: str) -> dict[str, Any]:
    """Return a log record as services write it."""
    return {"level": level, "logger": logger, "message": message, **members}


def test_expected_records_are_ignored(tmp_path: Path) -> None:
    """Information and the warnings and errors that belong to a run are not reported."""
    assert not findings(
        tmp_path,
        log_record("INFO", "weenats.service", "anything"),
        log_record("WARNING", "weenats.transport", "NATS: unexpected EOF"),
        log_record("ERROR", "weenats.transport", "NATS: 'Authorization Violation'"),
        log_record("WARNING", "weenats.auth", "receipts.query.receipt.get refused a caller: x"),
    )


@pytest.mark.parametrize(
    ("line", "objection"),
    [
        (
            log_record("ERROR", "asyncio", "Task exception was never retrieved", exception="boom"),
            "ERROR asyncio: Task exception was never retrieved\nboom",
        ),
        (
            log_record("WARNING", "py.warnings", "coroutine 'x' was never awaited"),
            "WARNING py.warnings: coroutine 'x' was never awaited",
        ),
        (
            log_record("WARNING", "weenats.transport", "NATS: gone", exception="boom"),
            "WARNING weenats.transport: NATS: gone\nboom",
        ),
        (
            log_record("WARNING", "weenats.transport", "something else"),
            "WARNING weenats.transport: something else",
        ),
        (
            log_record("ERROR", "weenats.transport", "NATS: something else"),
            "ERROR weenats.transport: NATS: something else",
        ),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_unexpected_records_are_reported(
    tmp_path: Path, line: str | dict[str, Any], objection: str
) -> None:
    """Errors, exceptions, unknown warnings and plain text are reported once each."""
    assert findings(tmp_path, line, line) == [f"service-0-1 logged {objection}"]
