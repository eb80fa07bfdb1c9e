"""Records that peers can cause are limited in their rate."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import pytest

from testkit.clocks import FakeClock
from testkit.probe import HAPPENED, Happened, ProbeClient
from testkit.waiting import settle
from weenats._internal.limited_log import RateFilter, limited_logger
from weenats.testing import MemoryTransport


def record(text: str, *args: object, level: int = logging.ERROR) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("weenats", level, __file__, 1, text, args, None)


def test_flood_is_cut_and_counted() -> None:
    """Ten alike records pass, then one in a second with the number of those left out."""
    clock = FakeClock()
    limit = RateFilter(clock)
    passed = sum(limit.filter(record("dropped %s: %d", "a", number)) for number in range(1000))
    assert passed == 10
    clock.now += 1
    later = record("dropped %s: %d", "a", 1)
    assert limit.filter(later)
    assert later.getMessage() == "dropped a: 1 (and 990 more like it)"
    assert not limit.filter(record("dropped %s: %d", "a", 2))
    clock.now += 3600
    assert sum(limit.filter(record("dropped %s: %d", "a", 3)) for _ in range(1000)) == 10


def test_other_records_pass() -> None:
    """Other texts, subjects and exceptions are not limited by a flood, nor are lower levels."""
    limit = RateFilter(FakeClock())
    for _ in range(20):
        limit.filter(record("dropped %s", "a"))
    assert limit.filter(record("dropped %s", "b"))
    assert limit.filter(record("refused %s", "a"))
    assert limit.filter(record("dropped %s", "a", level=logging.INFO))
    try:
        raise LookupError  # noqa: TRY301 - to have its traceback
    except LookupError:
        failed = record("dropped %s", "a")
        failed.exc_info = sys.exc_info()
    assert limit.filter(failed)


def test_kinds_are_bounded() -> None:
    """Records of ever new kinds take no memory without bounds."""
    limit = RateFilter(FakeClock())
    for number in range(5000):
        assert limit.filter(record(f"text {number}"))
    assert len(limit._kinds) <= 1000


def test_one_filter_for_each_logger() -> None:
    """A logger that several modules share has one limit."""
    first, second = limited_logger("weenats.test"), limited_logger("weenats.test")
    assert first is second
    assert len(first.filters) == 1


async def test_dropped_events_do_not_flood_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that is too fast, or sends garbage, does not decide how much is logged."""
    monkeypatch.setattr(import_module("weenats.events.subscribe"), "_MAX_QUEUE", 1)
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
