"""nats-py, and what stands around it: the only room that imports nats.

nats-py connects, authenticates, encrypts, pings and reconnects; messages go their own way.
"""

from weenats.nats_connection.connection import (
    ConnectionEvents,
    Interest,
    NatsConnection,
    new_inbox,
)
from weenats.nats_connection.failures import shown
from weenats.nats_connection.opening import open_connection

__all__ = [
    "ConnectionEvents",
    "Interest",
    "NatsConnection",
    "new_inbox",
    "open_connection",
    "shown",
]
