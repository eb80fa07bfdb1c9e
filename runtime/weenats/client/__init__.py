"""Clients: typed calls to services, with tokens, retries and telemetry."""

from typing import TYPE_CHECKING

from weenats._internal.lazy import lazy_exports
from weenats.client.call import CallOptions
from weenats.client.client import ServiceClient
from weenats.client.sync_client import ServiceSyncClient
from weenats.client.tokens import CachedToken, TokenProvider, TokenSource
from weenats.protocol.timeouts import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from weenats.client.gathering import InstanceReply
    from weenats.client.pages import Page, iterate_pages, iterate_pages_sync
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "weenats.client.gathering": "InstanceReply",
            "weenats.client.pages": "Page iterate_pages iterate_pages_sync",
        },
    )

__all__ = [
    "DEFAULT_TIMEOUT",
    "CachedToken",
    "CallOptions",
    "InstanceReply",
    "Page",
    "ServiceClient",
    "ServiceSyncClient",
    "TokenProvider",
    "TokenSource",
    "iterate_pages",
    "iterate_pages_sync",
]
