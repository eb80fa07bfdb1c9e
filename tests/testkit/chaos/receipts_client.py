"""The generated client with all features."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

from receipts import ReceiptsClient
from testkit.chaos.settings import ProcessSettings
from weenats import CachedToken


def receipts_client(settings: ProcessSettings) -> ReceiptsClient:
    """Return a client with tokens of the issuer, telemetry and retries."""

    def fetch() -> str:
        with urlopen(settings.issuer + settings.name, timeout=2) as reply:  # noqa: S310 - ours
            text: bytes = reply.read()
        return text.decode()

    token = CachedToken(lambda: asyncio.to_thread(fetch))
    connected = ReceiptsClient.connect(
        settings.servers, connection=settings.connection, token=token
    )
    return connected.with_telemetry().with_retry(attempts=4)
