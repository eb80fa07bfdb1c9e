"""Resident memory of the process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weenats.service.monitoring import monitor
from weenats.service.monitoring.monitor import resident_bytes

MEGABYTE = 2**20


@pytest.mark.timing
def test_resident_memory_grows_with_allocations() -> None:
    """Writing to 64 MB increases the resident memory by about as much."""
    before = resident_bytes()
    held = bytearray(64 * MEGABYTE)
    held[::4096] = b"x" * len(held[::4096])
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert after - before > 48 * MEGABYTE
    del held


@pytest.mark.parametrize("text", [None, "", "x y z", "5"])
def test_peak_memory_is_used_without_proc(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a readable /proc the peak size is returned."""
    exact = resident_bytes()
    statm = tmp_path / "statm"
    if text is not None:
        statm.write_text(text)
    monkeypatch.setattr(monitor, "_STATM", statm)
    largest = resident_bytes()
    assert exact is not None
    assert largest is not None
    assert largest > MEGABYTE
    assert largest < 100 * exact


def test_unsupported_platform_returns_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform with neither source returns None."""
    monkeypatch.setattr(monitor, "_STATM", tmp_path / "statm")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert resident_bytes() is None
