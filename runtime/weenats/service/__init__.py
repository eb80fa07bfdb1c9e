"""Serving a contract: handlers, the builder, and the running instance."""

from weenats.service.builder import NatsServiceBuilder
from weenats.service.endpoint import Endpoint
from weenats.service.handlers import ServiceHandlers
from weenats.service.instance import NatsService

__all__ = ["Endpoint", "NatsService", "NatsServiceBuilder", "ServiceHandlers"]
