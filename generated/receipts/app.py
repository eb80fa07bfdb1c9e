"""Run the receipts service: `python -m receipts.app`, with settings from the environment.

NATS_URL            the URL of the NATS servers, nats://localhost:4222 by default
NATS_CREDENTIALS    a .creds file, for servers that require credentials
RECEIPTS_JWKS_URI   the URL of the keys of the token issuer; if it is not set, there is no
                    authentication
RECEIPTS_ISSUER     the issuer of the tokens
OTLP_ENDPOINT       an OTLP/HTTP receiver of spans and metrics
"""

import asyncio
import logging
import os
from time import perf_counter

from weenats import (
    AuthConfig,
    CallNext,
    ConnectionOptions,
    JwtAuthConfig,
    NatsServiceBuilder,
    NoAuthConfig,
    RequestContext,
    Response,
)
from weenats.logging import configure

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


def authentication() -> AuthConfig:
    """Return the authentication of callers."""
    jwks_uri = os.environ.get("RECEIPTS_JWKS_URI")
    if jwks_uri is None:
        _LOG.warning("RECEIPTS_JWKS_URI is not set: callers are not authenticated")
        return NoAuthConfig()
    return JwtAuthConfig(
        jwks_uri=jwks_uri,
        algorithms=["EdDSA", "ES256"],
        issuer=os.environ["RECEIPTS_ISSUER"],
        audience="receipts",
    )


async def store_answers() -> bool:
    """Return whether the store is healthy; query your database here."""
    return True


def builder() -> NatsServiceBuilder:
    """Return the builder; requests pass the interceptors in the order in which they are added."""
    auth = authentication()
    return (
        NatsServiceBuilder(
            Receipts(),
            os.environ.get("NATS_URL", "nats://localhost:4222"),
            connection=ConnectionOptions(
                name="receipts", credentials=os.environ.get("NATS_CREDENTIALS")
            ),
        )
        .with_queue_group("receipt-workers", max_concurrency=50, self_eject=True)
        .with_auth(auth)
        .with_rate_limit(max_requests_per_second=100, per_client=isinstance(auth, JwtAuthConfig))
        .with_interceptor(audit)
        .with_circuit_breaker(failure_threshold=5, recovery_timeout=30)
        .with_telemetry(environment="production", exporter_url=os.environ.get("OTLP_ENDPOINT"))
        .with_health(custom_checks=[{"name": "store", "check": store_answers}])
        .with_monitoring(interval=15)
        .with_drain_timeout(20)
    )


async def main() -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    configure(json=True)
    async with builder().build() as service:
        _LOG.info("instance %s is running", service.instance_id)
        await service.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(main())
