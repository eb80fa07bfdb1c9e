"""Addresses of issuers and key sets."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from weenats._internal.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection
    from urllib.parse import SplitResult


def check_issuer(issuer: str) -> None:
    """Refuse what cannot be the `iss` of an issuer.

    Raises:
        ValueError: it is no http or https URL, or has parts that issuers do not have.
    """
    url = _split(issuer)
    if url is None or url.username is not None or url.query or url.fragment:
        raise ValueError("the issuer is an https URL without user, query and fragment")


def check_jwks_uri(uri: str, plain_http_hosts: Collection[str]) -> None:
    """Refuse an address that keys cannot be had from safely.

    Raises:
        ValueError: it is no http or https URL, carries a password, or is plain http to a host that
            is neither this machine nor allowed by name.
    """
    url = _split(uri)
    if url is None or url.username is not None or url.fragment:
        raise ValueError("jwks_uri is an https URL without user and fragment")
    host = url.hostname or ""
    allowed = is_loopback(host) or host in {name.lower() for name in plain_http_hosts}
    if url.scheme == "http" and not allowed:
        raise ValueError(
            "jwks_uri is plain http: whoever is on the way can replace the keys; use https, or name"
            " the host in plain_http_hosts"
        )


def _split(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL, None when it is none."""
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        return None
    return url
