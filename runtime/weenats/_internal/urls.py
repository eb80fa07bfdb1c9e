"""URLs of HTTP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def split_http(text: object) -> SplitResult | None:
    """Split an http or https URL without a fragment; return None if it is not one.

    Args:
        text: the URL, or what was given in its place.
    """
    if not isinstance(text, str):
        return None
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    is_http = url.scheme in {"http", "https"} and url.hostname and port != 0
    return url if is_http and not url.fragment else None
