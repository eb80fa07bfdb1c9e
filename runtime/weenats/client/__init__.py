"""Clients: typed calls to services, with tokens, retries and telemetry."""

from weenats.client.call import CallOptions
from weenats.client.client import ServiceClient
from weenats.client.sync_client import ServiceSyncClient
from weenats.client.tokens import CachedToken, TokenProvider, TokenSource
from weenats.protocol.timeouts import DEFAULT_TIMEOUT

__all__ = [
    "DEFAULT_TIMEOUT",
    "CachedToken",
    "CallOptions",
    "ServiceClient",
    "ServiceSyncClient",
    "TokenProvider",
    "TokenSource",
]
