"""Connections to NATS: the `Transport` protocol, and its implementation with nats-py."""

from weenats.transport.base import (
    Accepts,
    Delivery,
    OnDelivery,
    Subscription,
    Transport,
)
from weenats.transport.nats import NatsTransport
from weenats.transport.options import ConnectionOptions

__all__ = [
    "Accepts",
    "ConnectionOptions",
    "Delivery",
    "NatsTransport",
    "OnDelivery",
    "Subscription",
    "Transport",
]
