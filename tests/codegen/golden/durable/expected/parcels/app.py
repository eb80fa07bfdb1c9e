# A stub: `weenats generate` replaces it until you change it. Checksum: a7bd48ef79b6fe2b
"""Run the service parcels: `weenats run parcels.app:builder`.

The settings come from environment variables, such as NATS_URL; `weenats run --help` lists them.
"""

import logging

from weenats.logging import configure
from weenats.service import NatsServiceBuilder, run
from weenats.settings import EnvironmentSettings

from .handlers import Parcels

_LOG = logging.getLogger(__name__)


def builder() -> NatsServiceBuilder:
    """Return the builder of the service; add limits, interceptors and health checks here."""
    settings = EnvironmentSettings()
    serving = settings.builder(Parcels()).with_health(http=settings.health_http)
    return serving.with_streams("apply")


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure(json=EnvironmentSettings().log_json)
    async with builder().build() as service:
        _LOG.info("instance %s is running", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    run(main())
