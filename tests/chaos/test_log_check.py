"""What a process should not log is seen; what the circumstances explain is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testkit.chaos.log_check import unexpected_records


def seen(folder: Path, *lines: str | dict[str, Any]) -> list[str]:
    """Return what is objected to in a log."""
    log = folder / "service-0-1.log"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    log.write_text("".join(f"{text}\n" for text in texts))
    return list(unexpected_records(log))


def a_record(level: str, logger: str, message: str, **members: str) -> dict[str, Any]:
    """Return a record as services log it."""
    return {"level": level, "logger": logger, "message": message, **members}


def test_what_is_expected_is_no_news(tmp_path: Path) -> None:
    """Information, and warnings and errors of what a run does, are let pass."""
    assert not seen(
        tmp_path,
        a_record("INFO", "weenats.service", "anything"),
        a_record("WARNING", "weenats.transport", "NATS: nats: unexpected EOF"),
        a_record("ERROR", "weenats.transport", "NATS: nats: 'Authorization Violation'"),
        a_record("WARNING", "weenats.auth", "receipts.query.receipt.get refused a caller: x"),
    )


@pytest.mark.parametrize(
    ("line", "objection"),
    [
        (
            a_record("ERROR", "asyncio", "Task exception was never retrieved", exception="boom"),
            "ERROR asyncio: Task exception was never retrieved\nboom",
        ),
        (
            a_record("WARNING", "py.warnings", "coroutine 'x' was never awaited"),
            "WARNING py.warnings: coroutine 'x' was never awaited",
        ),
        (
            a_record("WARNING", "weenats.transport", "NATS: gone", exception="boom"),
            "WARNING weenats.transport: NATS: gone\nboom",
        ),
        (
            a_record("WARNING", "weenats.transport", "something else"),
            "WARNING weenats.transport: something else",
        ),
        (
            a_record("ERROR", "weenats.transport", "NATS: something else"),
            "ERROR weenats.transport: NATS: something else",
        ),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
)
def test_what_should_not_be_logged_is_seen(
    tmp_path: Path, line: str | dict[str, Any], objection: str
) -> None:
    """Errors, exceptions, unknown warnings and lines past the log are objected to, once each."""
    assert seen(tmp_path, line, line) == [f"service-0-1 logged {objection}"]
