# A stub: `weenats generate` replaces it until you change it. Checksum: 7c9f8fb3da7cff08
"""The service shapes as it runs: `python -m shapes.app`.

NATS_URL says where NATS is, nats://localhost:4222 if it is not set.
"""

import asyncio
import logging
import os

from weenats.logging import configure
from weenats.service import NatsServiceBuilder

from .handlers import Shapes

_LOG = logging.getLogger(__name__)


def builder() -> NatsServiceBuilder:
    """Return what builds an instance: authentication, limits and interceptors are added here."""
    servers = os.environ.get("NATS_URL", "nats://localhost:4222")
    return NatsServiceBuilder(Shapes(), servers)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure()
    async with builder().build() as service:
        _LOG.info("instance %s serves", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
