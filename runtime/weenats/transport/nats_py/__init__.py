"""nats-py, and what stands around it: the only room that imports nats.

nats-py connects, authenticates, encrypts, pings and reconnects; messages go their own way.
"""

from weenats.transport.nats_py.connect import open_connection
from weenats.transport.nats_py.connection import (
    ConnectionEvents,
    Interest,
    NatsConnection,
    new_inbox,
)
from weenats.transport.nats_py.errors import shown

__all__ = [
    "ConnectionEvents",
    "Interest",
    "NatsConnection",
    "new_inbox",
    "open_connection",
    "shown",
]
