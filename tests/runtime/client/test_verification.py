"""What semantic versions promise a client about a running service."""

from __future__ import annotations

import pytest

from weenats.client.verification import _is_promised


@pytest.mark.parametrize(
    ("own", "running"),
    [("1.0.0", "1.0.1"), ("1.9.0", "1.10.0"), ("0.3.1", "0.3.2"), ("1.0.0", "1.1.0+build.7")],
)
def test_promised(own: str, running: str) -> None:
    """A higher version with the same major number is compatible; before 1.0.0 the minor counts."""
    assert _is_promised(own, running)
    assert not _is_promised(running, own)


@pytest.mark.parametrize(
    ("own", "running"),
    [
        *[("1.0.0", "1.0.0"), ("1.0.0", "2.0.0"), ("0.3.1", "0.4.0"), ("0.9.0", "1.0.0")],
        *[("1.0.0", "1.1.0-rc.1"), ("1.0.0-rc.1", "1.0.0"), ("1.0.0", "1." + "9" * 5000 + ".0")],
        ("1.0.0", ""),
    ],
)
def test_not_promised(own: str, running: str) -> None:
    """Equal versions, pre-releases and numbers that nobody uses promise nothing."""
    assert not _is_promised(own, running)
