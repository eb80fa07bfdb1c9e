"""Host names and addresses."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def is_ip(host: str) -> bool:
    """Return whether a host is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_ipv6(host: str) -> bool:
    """Return whether a host is an IPv6 address, without brackets."""
    return ":" in host and is_ip(host)


def is_loopback(host: str) -> bool:
    """Return whether a host is certainly this machine."""
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback  # Python looks at mapped addresses from 3.13 on
