"""nats-py, which connects, authenticates, encrypts, pings and reconnects, and code around it.

This is the only package that imports nats. Messages do not use nats-py, see connection.
"""

from weenats.transport.nats_py.connect import open_connection
from weenats.transport.nats_py.connection import (
    ConnectionEvents,
    Interest,
    NatsConnection,
    new_inbox,
)
from weenats.transport.nats_py.errors import permission_denied, shown

__all__ = [
    "ConnectionEvents",
    "Interest",
    "NatsConnection",
    "new_inbox",
    "open_connection",
    "permission_denied",
    "shown",
]
