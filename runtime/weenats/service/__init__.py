"""Serving a contract: handlers, the builder, and running instances."""

from weenats.service.builder import NatsServiceBuilder
from weenats.service.event_loop import run
from weenats.service.handlers import Endpoint, ServiceHandlers
from weenats.service.instance import NatsService

__all__ = ["Endpoint", "NatsService", "NatsServiceBuilder", "ServiceHandlers", "run"]
