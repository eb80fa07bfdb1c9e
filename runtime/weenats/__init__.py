"""weenats: contract-first, typed services over NATS.

This package exports what most applications need. Other public names are in its public modules, such
as `weenats.discovery`, `weenats.formats`, `weenats.logging`, `weenats.settings` and
`weenats.testing`.
"""

from typing import TYPE_CHECKING

from weenats._internal.lazy import lazy_exports

if TYPE_CHECKING:
    from weenats.auth import (
        AuthConfig,
        InvalidTokenError,
        JwtAuthConfig,
        NoAuthConfig,
        TokenValidator,
    )
    from weenats.circuit_breaker import CircuitState, CircuitStateChange
    from weenats.client import CachedToken, CallOptions, ServiceClient, ServiceSyncClient
    from weenats.context import Key, MessageContext, RequestContext, Response
    from weenats.contract import (
        Aggregate,
        AuthRequirement,
        Command,
        Entity,
        Event,
        Query,
        ServiceContract,
    )
    from weenats.errors import (
        AbortedError,
        AlreadyExistsError,
        CancelledError,
        Code,
        ConnectionClosedError,
        ConnectionLostError,
        DeadlineExceededError,
        FailedPreconditionError,
        IncompatibleContractError,
        InternalError,
        InvalidArgumentError,
        MessageTooLargeError,
        NoRespondersError,
        NotFoundError,
        PermissionDeniedError,
        ResourceExhaustedError,
        ServiceError,
        UnauthenticatedError,
        UnavailableError,
        UnimplementedError,
        WrongEventLoopError,
    )
    from weenats.events import (
        EventHandler,
        EventSubscription,
        PublishOptions,
        ReceivedEvent,
        SubscribeOptions,
        SyncEventHandler,
        SyncEventSubscription,
    )
    from weenats.interceptors import CallNext, Interceptor
    from weenats.model import Model
    from weenats.principal import Principal
    from weenats.protocol.identifiers import new_message_id
    from weenats.protocol.messages import AggregateId
    from weenats.service import Endpoint, NatsService, NatsServiceBuilder, ServiceHandlers
    from weenats.service.health import CustomCheck
    from weenats.service.monitoring import CustomMetric
    from weenats.telemetry import Sampling, TelemetryManager, TelemetrySettings
    from weenats.transport import ConnectionOptions, NatsTransport, Transport
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "weenats.auth": """
                AuthConfig InvalidTokenError JwtAuthConfig NoAuthConfig TokenValidator
            """,
            "weenats.circuit_breaker": "CircuitState CircuitStateChange",
            "weenats.client": "CachedToken CallOptions ServiceClient ServiceSyncClient",
            "weenats.context": "Key MessageContext RequestContext Response",
            "weenats.contract": """
                Aggregate AuthRequirement Command Entity Event Query ServiceContract
            """,
            "weenats.errors": """
                AbortedError AlreadyExistsError CancelledError Code ConnectionClosedError
                ConnectionLostError DeadlineExceededError FailedPreconditionError
                IncompatibleContractError InternalError InvalidArgumentError
                MessageTooLargeError NoRespondersError NotFoundError PermissionDeniedError
                ResourceExhaustedError ServiceError UnauthenticatedError UnavailableError
                UnimplementedError WrongEventLoopError
            """,
            "weenats.events": """
                EventHandler EventSubscription PublishOptions ReceivedEvent SubscribeOptions
                SyncEventHandler SyncEventSubscription
            """,
            "weenats.interceptors": "CallNext Interceptor",
            "weenats.model": "Model",
            "weenats.principal": "Principal",
            "weenats.protocol.identifiers": "new_message_id",
            "weenats.protocol.messages": "AggregateId",
            "weenats.service": "Endpoint NatsService NatsServiceBuilder ServiceHandlers",
            "weenats.service.health": "CustomCheck",
            "weenats.service.monitoring": "CustomMetric",
            "weenats.telemetry": "Sampling TelemetryManager TelemetrySettings",
            "weenats.transport": "ConnectionOptions NatsTransport Transport",
        },
    )

__all__ = [
    "AbortedError",
    "Aggregate",
    "AggregateId",
    "AlreadyExistsError",
    "AuthConfig",
    "AuthRequirement",
    "CachedToken",
    "CallNext",
    "CallOptions",
    "CancelledError",
    "CircuitState",
    "CircuitStateChange",
    "Code",
    "Command",
    "ConnectionClosedError",
    "ConnectionLostError",
    "ConnectionOptions",
    "CustomCheck",
    "CustomMetric",
    "DeadlineExceededError",
    "Endpoint",
    "Entity",
    "Event",
    "EventHandler",
    "EventSubscription",
    "FailedPreconditionError",
    "IncompatibleContractError",
    "Interceptor",
    "InternalError",
    "InvalidArgumentError",
    "InvalidTokenError",
    "JwtAuthConfig",
    "Key",
    "MessageContext",
    "MessageTooLargeError",
    "Model",
    "NatsService",
    "NatsServiceBuilder",
    "NatsTransport",
    "NoAuthConfig",
    "NoRespondersError",
    "NotFoundError",
    "PermissionDeniedError",
    "Principal",
    "PublishOptions",
    "Query",
    "ReceivedEvent",
    "RequestContext",
    "ResourceExhaustedError",
    "Response",
    "Sampling",
    "ServiceClient",
    "ServiceContract",
    "ServiceError",
    "ServiceHandlers",
    "ServiceSyncClient",
    "SubscribeOptions",
    "SyncEventHandler",
    "SyncEventSubscription",
    "TelemetryManager",
    "TelemetrySettings",
    "TokenValidator",
    "Transport",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "WrongEventLoopError",
    "new_message_id",
]
