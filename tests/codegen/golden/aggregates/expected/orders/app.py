# A stub: `weenats generate` replaces it until you change it. Checksum: 7489201bc926c958
"""Run the service orders: `weenats run orders.app:builder`.

NATS_URL is the URL of the NATS servers, nats://localhost:4222 by default.
"""

import asyncio
import logging
import os

from weenats.logging import configure
from weenats.service import NatsServiceBuilder

from .handlers import Orders

_LOG = logging.getLogger(__name__)


def builder() -> NatsServiceBuilder:
    """Return the builder of the service; add authentication, limits and interceptors here."""
    servers = os.environ.get("NATS_URL", "nats://localhost:4222")
    return NatsServiceBuilder(Orders(), servers)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure()
    async with builder().build() as service:
        _LOG.info("instance %s is running", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
