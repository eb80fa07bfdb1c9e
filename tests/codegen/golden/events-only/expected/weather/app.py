# A stub: `weenats generate` writes it anew until you change it. Seal: 1617f258f68aaf74
"""The service weather as it runs: `python -m weather.app`.

NATS_URL says where NATS is, nats://localhost:4222 if it is not set.
"""

import asyncio
import os

from weenats.service import NatsServiceBuilder

from .handlers import Weather


def builder() -> NatsServiceBuilder:
    """Return what builds an instance: authentication, limits and interceptors are added here."""
    servers = os.environ.get("NATS_URL", "nats://localhost:4222")
    return NatsServiceBuilder(Weather(), servers)


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    async with builder().build() as service:
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
