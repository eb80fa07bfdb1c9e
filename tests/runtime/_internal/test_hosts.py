"""Which hosts are certainly this machine."""

from __future__ import annotations

import pytest

from weenats._internal.hosts import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Addresses of IPv4 in IPv6 count as well, with every Python."""
    assert is_loopback(host) is expected
