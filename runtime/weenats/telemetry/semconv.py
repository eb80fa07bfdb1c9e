"""The names of attributes, span events and metrics.

They are those of the semantic conventions 1.44 (RPC: release candidate, messaging: development),
and of weenats. They are written out here because the Python package of the conventions is a
pre-release that renames constants between versions.
"""

from typing import Final

from opentelemetry.util.types import AttributeValue

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

# Semantic conventions for RPC.
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
ENVIRONMENT: Final = "deployment.environment.name"

# Semantic conventions for messaging.
SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
CONSUMER_GROUP: Final = "messaging.consumer.group.name"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
BODY_SIZE: Final = "messaging.message.body.size"

# Names of weenats.
OWN_MESSAGE_ID: Final = "messaging.message_id"
OWN_CORRELATION_ID: Final = "messaging.correlation_id"
OWN_CAUSATION_ID: Final = "messaging.causation_id"
OWN_SUBJECT: Final = "messaging.nats.subject"
OWN_QUEUE_GROUP: Final = "messaging.nats.queue_group"
AUTH_METHOD: Final = "auth.message.method"
AUTH_STATUS: Final = "auth.message.status"
AUTH_PRINCIPAL: Final = "auth.message.principal_id"
FEATURE_AUTH: Final = "nats.feature.auth.status"
FEATURE_RATE_LIMIT: Final = "nats.feature.ratelimit.triggered"
RATE_LIMIT_IDENTITY: Final = "ratelimit.identity_type"
FEATURE_CIRCUIT_BREAKER: Final = "nats.feature.circuitbreaker.state"
ATTEMPT: Final = "weenats.attempt"

# Span events.
RETRIED: Final = "retried"
RATE_LIMIT_REFUSED: Final = "rate_limit.refused"
CIRCUIT_BREAKER_REFUSED: Final = "circuit_breaker.refused"
CIRCUIT_BREAKER_CHANGED: Final = "circuit_breaker.changed"
AUTHENTICATION_FAILED: Final = "authentication.failed"
AUTHORIZATION_FAILED: Final = "authorization.failed"
REPLAYED: Final = "once.replayed"
DRAIN_STARTED: Final = "drain.started"

NATS: Final = "nats"
OK: Final = "OK"

# Metrics; durations in seconds.
CLIENT_DURATION: Final = "rpc.client.call.duration"
SERVER_DURATION: Final = "rpc.server.call.duration"
PUBLISH_DURATION: Final = "messaging.client.operation.duration"
SENT: Final = "messaging.client.sent.messages"
CONSUMED: Final = "messaging.client.consumed.messages"
PROCESS_DURATION: Final = "messaging.process.duration"
IN_FLIGHT: Final = "weenats.server.requests.in_flight"
QUEUED: Final = "weenats.server.requests.queued"
DRAINING: Final = "weenats.server.draining"
BREAKERS_OPEN: Final = "weenats.server.circuit_breakers.open"
LIMIT_REFUSALS: Final = "weenats.server.rate_limit.refusals"
JWKS_AGE: Final = "weenats.auth.jwks.age"
PENDING: Final = "weenats.consumer.pending"
UNACKNOWLEDGED: Final = "weenats.consumer.unacknowledged"
REDELIVERED: Final = "weenats.consumer.redelivered"
LAG: Final = "weenats.consumer.lag"
PAUSED: Final = "weenats.consumer.paused"
DEAD_LETTERS: Final = "weenats.consumer.dead_letters"
STREAM: Final = "weenats.stream.name"
SERVICE: Final = "weenats.service.name"
INSTANCE: Final = "weenats.service.instance.id"
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


def of_consumer(stream: str, consumer: str) -> dict[str, AttributeValue]:
    """Return the attributes of the metrics of a durable consumer.

    Args:
        stream: the name of its stream.
        consumer: its name.
    """
    return {SYSTEM: NATS, STREAM: stream, CONSUMER_GROUP: consumer}
