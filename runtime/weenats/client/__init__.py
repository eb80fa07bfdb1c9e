"""Calls to services: the base of generated clients, tokens and retries."""

from weenats.client.client import CallOptions, ServiceClient
from weenats.client.tokens import CachedToken, TokenProvider, TokenSource
from weenats.protocol.deadline import DEFAULT_TIMEOUT

__all__ = [
    "DEFAULT_TIMEOUT",
    "CachedToken",
    "CallOptions",
    "ServiceClient",
    "TokenProvider",
    "TokenSource",
]
