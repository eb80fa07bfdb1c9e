"""The memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weenats.service.monitoring import process_memory
from weenats.service.monitoring.process_memory import resident_bytes

MEGABYTE = 2**20


@pytest.mark.timing
def test_it_grows_with_what_is_held() -> None:
    """64 MB more that are written to are about 64 MB more resident."""
    before = resident_bytes()
    held = bytearray(64 * MEGABYTE)
    held[::4096] = b"x" * len(held[::4096])
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert after - before > 48 * MEGABYTE
    del held


@pytest.mark.parametrize("text", [None, "", "x y z", "5"])
def test_without_proc(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc is not there or says something else, the largest size so far is told."""
    exact = resident_bytes()
    statm = tmp_path / "statm"
    if text is not None:
        statm.write_text(text)
    monkeypatch.setattr(process_memory, "_STATM", statm)
    largest = resident_bytes()
    assert exact is not None
    assert largest is not None
    assert largest > MEGABYTE
    assert largest < 100 * exact


def test_where_nobody_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform with neither tells nothing."""
    monkeypatch.setattr(process_memory, "_STATM", tmp_path / "statm")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert resident_bytes() is None
