"""Calls to services: the base of generated clients, tokens and retries."""

from weenats.client.client import DEFAULT_TIMEOUT, CallOptions, ServiceClient
from weenats.client.tokens import CachedToken, TokenProvider, TokenSource

__all__ = [
    "DEFAULT_TIMEOUT",
    "CachedToken",
    "CallOptions",
    "ServiceClient",
    "TokenProvider",
    "TokenSource",
]
