"""Run the receipts service: `python -m receipts.app`, with settings from the environment.

`weenats run --help` lists the variables: NATS_URL, WEENATS_JWKS_URI and others.
"""

import logging
from time import perf_counter

from weenats import (
    CallNext,
    NatsServiceBuilder,
    RequestContext,
    Response,
)
from weenats.logging import configure
from weenats.service import run
from weenats.settings import EnvironmentSettings

from .handlers import Receipts

_LOG = logging.getLogger(__name__)


async def audit(context: RequestContext, call_next: CallNext) -> Response:
    """Log the caller, duration and outcome of every operation: an interceptor of the service."""
    started, outcome = perf_counter(), "failed"
    try:
        response = await call_next(context)
        outcome = "done"
        return response
    finally:
        caller = context.principal.id if context.principal else "an unknown caller"
        elapsed = (perf_counter() - started) * 1000
        _LOG.info("%s: %s of %s in %.1f ms", outcome, context.operation.name, caller, elapsed)


async def store_answers() -> bool:
    """Return whether the store is healthy; query your database here."""
    return True


def builder() -> NatsServiceBuilder:
    """Return the builder; requests pass the interceptors in the order in which they are added."""
    settings = EnvironmentSettings()
    if settings.jwks_uri is None:
        _LOG.warning("WEENATS_JWKS_URI is not set: callers are not authenticated")
    return (
        settings.builder(Receipts())
        .with_queue_group(
            "receipt-workers", max_concurrency=settings.max_concurrency or 50, self_eject=True
        )
        .with_rate_limit(max_requests_per_second=100, per_client=settings.jwks_uri is not None)
        .with_interceptor(audit)
        .with_circuit_breaker(failure_threshold=5, recovery_timeout=30)
        .with_telemetry(
            environment=settings.environment or "production", exporter_url=settings.exporter_url
        )
        .with_health(
            http=settings.health_http, custom_checks=[{"name": "store", "check": store_answers}]
        )
        .with_monitoring(interval=15)
        .with_drain_timeout(settings.drain_timeout or 20)
    )


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure(json=True)
    async with builder().build() as service:
        _LOG.info("instance %s is running", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    run(main())
