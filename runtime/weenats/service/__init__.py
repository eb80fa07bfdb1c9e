"""Serving a contract: handlers, the builder, and running instances."""

from typing import TYPE_CHECKING

from weenats._internal.lazy import lazy_exports
from weenats.service.handlers import Endpoint, ServiceHandlers

if TYPE_CHECKING:
    from weenats.service.builder import NatsServiceBuilder
    from weenats.service.event_loop import run
    from weenats.service.event_sourced import (
        EventSourcedHandlers,
        StoredAggregate,
        StoredEndpoint,
    )
    from weenats.service.instance import NatsService
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "weenats.service.builder": "NatsServiceBuilder",
            "weenats.service.event_loop": "run",
            "weenats.service.event_sourced": "EventSourcedHandlers StoredAggregate StoredEndpoint",
            "weenats.service.instance": "NatsService",
        },
    )

__all__ = [
    "Endpoint",
    "EventSourcedHandlers",
    "NatsService",
    "NatsServiceBuilder",
    "ServiceHandlers",
    "StoredAggregate",
    "StoredEndpoint",
    "run",
]
