"""Records that peers can cause are limited in their rate."""

from __future__ import annotations

import logging
from importlib import import_module

import pytest

from testkit.clocks import FakeClock
from testkit.probe import HAPPENED, Happened, ProbeClient
from testkit.waiting import settle
from weenats._internal.limited_log import LimitedLogger
from weenats.logging import JsonFormatter, TextFormatter
from weenats.testing import MemoryTransport


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the limit."""
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> LimitedLogger:
    """A logger with a limit."""
    return LimitedLogger("weenats.test", clock)


def test_flood_is_cut_and_counted(
    log: LimitedLogger, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten alike records pass, then one in a second with the number of those left out."""
    for number in range(1000):
        log.error("dropped %s: %d", "a", number)
    assert caplog.messages == [f"dropped a: {number}" for number in range(10)]
    clock.now += 1
    log.error("dropped %s: %d", "a", 1)
    log.error("dropped %s: %d", "a", 2)
    assert caplog.messages[10:] == ["dropped a: 1 (and 990 more like it)"]
    clock.now += 3600
    for _ in range(1000):
        log.error("dropped %s: %d", "a", 3)
    assert len(caplog.messages) == 21
    assert {each.filename for each in caplog.records} == {"test_limited_log.py"}


class OddError(Exception):
    """An exception that is false, or has no truth value."""

    def __init__(self, value: int | None) -> None:
        self.value = value

    def __bool__(self) -> bool:
        if self.value is None:
            raise LookupError
        return bool(self.value)


@pytest.mark.parametrize("value", [0, None])
def test_exceptions_that_are_not_true_are_logged(log: LimitedLogger, value: int | None) -> None:
    """An exception that is false, or has no truth value, is in the record and its text."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = log.logger
    logger.addHandler(handler)
    logger.propagate = False  # the formatter of pytest asks for the truth value as well
    try:
        log.error("failed", exc_info=OddError(value))
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    (record,) = records
    assert record.exc_info is not None
    assert record.exc_info[0] is OddError
    for formatter in (JsonFormatter(), TextFormatter()):
        assert "OddError: <it cannot be shown>" in formatter.format(record) or value is not None


def test_other_records_pass(log: LimitedLogger, caplog: pytest.LogCaptureFixture) -> None:
    """Other texts, subjects and exceptions are not limited by a flood, nor are lower levels."""
    caplog.set_level(logging.INFO)
    for _ in range(20):
        log.error("dropped %s", "a")
    log.error("dropped %s", "b")
    log.error("refused %s", "a")
    log.info("dropped %s", "a")
    log.error("dropped %s", "a", exc_info=LookupError())
    try:
        raise ValueError  # noqa: TRY301 - to have its traceback
    except ValueError:
        log.exception("dropped %s", "a")
    assert len(caplog.records) == 15


def test_kinds_are_limited_apart(log: LimitedLogger, caplog: pytest.LogCaptureFixture) -> None:
    """A call may say what tells its records apart, such as the reason of a refusal."""
    for _ in range(20):
        log.error("refused %s: %s", "a", "too old", kind="too old")
    log.error("refused %s: %s", "a", "forged", kind="forged")
    assert len(caplog.records) == 11


def test_kinds_are_bounded(log: LimitedLogger, caplog: pytest.LogCaptureFixture) -> None:
    """Records of ever new kinds take no memory without bounds, and do not flood the log."""
    for number in range(3000):
        log.error("dropped %s", str(number))
    for number in range(3000):
        text = f"dropped {number}: %s"
        log.error(text, "a")
    assert len(caplog.records) == 100 + 3000
    assert len(log._kinds) <= 1001


def test_first_arguments_that_peers_choose(
    log: LimitedLogger, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred records of one text pass, then ten in a second."""
    for number in range(1000):
        log.error("refused %s", str(number))
    assert len(caplog.records) == 100
    clock.now += 1
    for number in range(1000):
        log.error("refused %s", str(number))
    assert len(caplog.records) == 110
    assert caplog.messages[100] == "refused 0 (and 900 more like it)"


async def test_dropped_events_do_not_flood_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that is too fast, or sends garbage, does not decide how much is logged."""
    monkeypatch.setattr(import_module("weenats.events.subscribe"), "MAX_QUEUE", 1)
    transport = MemoryTransport()
    async with ProbeClient(transport) as client:

        async def ignore(event: object) -> None:
            """Handle an event."""

        async with await client.subscribe_happened(ignore, max_concurrency=1):
            for _ in range(1000):
                await client.publish_happened("k", Happened(text="now"), revision=1)
            await settle()
            dropped = [each for each in caplog.messages if "was dropped" in each]
            assert 0 < len(dropped) < 100
            for _ in range(200):
                transport.publish(HAPPENED.subject, b"garbage")
                await settle()
    refused = [each for each in caplog.messages if "does not match" in each]
    assert 0 < len(refused) < 100
