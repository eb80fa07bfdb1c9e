"""What tests of transports say often."""

from __future__ import annotations

from time import monotonic

from weenats.transport import OnDelivery, Transport


def soon() -> float:
    """Return a deadline that is far enough."""
    return monotonic() + 10


async def settle(*transports: Transport) -> None:
    """Wait until what each of them sent has reached the ones behind it."""
    for transport in transports:
        await transport.fence()


def answering(transport: Transport, payload: bytes = b"") -> OnDelivery:
    """Reply with a payload, or with that of the request."""
    return lambda delivery: transport.publish(delivery.reply, payload or delivery.payload)
