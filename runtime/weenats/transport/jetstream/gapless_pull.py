"""Messages of a consumer that has one reader and no acknowledgements, until one was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.transport.jetstream.messages import ACK_PREFIX
from weenats.transport.jetstream.pull import Pull

if TYPE_CHECKING:
    from weenats.transport.base import Delivery

__all__ = ["GaplessPull"]
_LAST: Final = "Nats-Last-Consumer"
"""The header of a heartbeat with the number of the last delivery."""


class GaplessPull(Pull):
    """Reads a new consumer without acknowledgements; it ends when a message was lost on the way.

    The server does not deliver a lost message again. That one was lost is known from the number of
    the next message, or from the next heartbeat if no other message follows.

    Args:
        transport: the connection.
        stream: the name of the stream.
        consumer: the name of the consumer.
        info: returns what the server knows of the consumer.
        batch: how many messages are asked for ahead.
    """

    _received = 0

    @override
    def _on_delivery(self, delivery: Delivery) -> None:
        super()._on_delivery(delivery)
        if delivery.reply.startswith(ACK_PREFIX):
            self._received += 1
            is_complete = self._arrived[-1].consumer_sequence == self._received
        else:
            last = delivery.headers.get(_LAST, "")
            is_complete = not last.isdecimal() or int(last) <= self._received
        if not is_complete:
            self._is_closed = True
            self._arrival.set()
