# A stub: `weenats generate` replaces it until you change it. Checksum: 9027f479d39240c6
"""The service vault as it runs: `python -m vault.app`.

NATS_URL says where NATS is, nats://localhost:4222 if it is not set.
"""

import asyncio
import logging
import os

from weenats.logging import configure
from weenats.service import NatsServiceBuilder

from .handlers import Vault

_LOG = logging.getLogger(__name__)


def builder() -> NatsServiceBuilder:
    """Return what builds an instance: authentication, limits and interceptors are added here."""
    servers = os.environ.get("NATS_URL", "nats://localhost:4222")
    return NatsServiceBuilder(Vault(), servers)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure()
    async with builder().build() as service:
        _LOG.info("instance %s serves", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
