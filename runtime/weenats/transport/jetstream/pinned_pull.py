"""Pinned consumer (ADR-42): one reader at a time, ordered, with pipelining."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.errors import ServiceError
from weenats.transport.jetstream.api import call
from weenats.transport.jetstream.messages import ACK_PREFIX
from weenats.transport.jetstream.pull import Pull

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import JsonValue

    from weenats.transport.base import Delivery, Transport
    from weenats.transport.jetstream.config import ConsumerConfig, ConsumerInfo
    from weenats.transport.jetstream.messages import PulledMessage

__all__ = ["ExclusivePull", "for_one_reader", "is_exclusive"]
_NANOSECONDS: Final = 1_000_000_000
_GROUP: Final = "one"
_PIN_HEADER: Final = "Nats-Pin-Id"
_PIN_TIMEOUT: Final = 6.0
"""After how many seconds without a request of the reader the server pins another one."""
_HELD: Final = 0.8
"""The part of that time for which a reader relies on being pinned."""
_EXPIRES: Final = 2.0
"""How long the server keeps a request, in seconds; each one is a heartbeat of the reader."""
_HEARTBEAT: Final = 1.0
_WRONG_PIN: Final = "423"
_CHECK_AGAIN: Final = 0.5
_UNPIN_TIMEOUT: Final = 1.0


def for_one_reader(config: ConsumerConfig) -> ConsumerConfig:
    """Return the settings of a pinned consumer, for `ExclusivePull`.

    An acknowledgement of a message is one of all messages before it.

    Args:
        config: its other settings; `max_ack_pending` bounds the pipelining.
    """
    terms: dict[str, JsonValue] = {
        "priority_groups": [_GROUP],
        "priority_policy": "pinned_client",
        "priority_timeout": round(_PIN_TIMEOUT * _NANOSECONDS),
    }
    return replace(config, acknowledgement="all", other={**config.other, **terms})


def is_exclusive(config: ConsumerConfig) -> bool:
    """Return whether a consumer is pinned to one reader; a server before 2.11 ignores that.

    Args:
        config: its settings, as the server has them.
    """
    return config.other.get("priority_policy") == "pinned_client"


class ExclusivePull(Pull):
    """Reads a pinned consumer: while it is pinned, no other reader gets messages.

    Use it with `async with` and `take`. The server pins one reader, and another one after six
    seconds without a request of it, or when it leaves. A reader has to process messages in the
    order of `take`, and to stop when `holds` is false.

    Args:
        transport: the connection.
        stream: the name of the stream.
        consumer: the name of a consumer with settings of `for_one_reader`.
        info: returns what the server knows of the consumer.
        batch: how many messages are asked for ahead.

    Attributes:
        turn: how often it was pinned, or began anew after messages were lost.
    """

    def __init__(
        self,
        transport: Transport,
        stream: str,
        consumer: str,
        info: Callable[[], Awaitable[ConsumerInfo]],
        batch: int,
    ) -> None:
        super().__init__(transport, stream, consumer, info, batch)
        self.turn = 0
        self._pin = ""
        self._pin_line = b""
        self._asked = 0.0
        self._heard = 0.0
        self._next = 0
        self._complete = 0
        self._last = 0

    def holds(self, turn: int) -> bool:
        """Return whether this reader is certainly still pinned.

        Args:
            turn: the value of `turn` when it took its messages.
        """
        # A request that was sent says little: the server of the consumer may be gone.
        since = min(self._asked, self._heard)
        return turn == self.turn and bool(self._pin) and monotonic() - since < _PIN_TIMEOUT * _HELD

    async def take(self) -> list[PulledMessage]:
        """Return the next messages in their order, at least one, each one once in a turn.

        Raises:
            StopAsyncIteration: it was closed.
            ServiceError: see `Pull.__anext__`.
        """
        while True:
            await self._wait_for_arrival()
            if self._complete != self.turn:
                await self._wait_for_earlier()
            found = {each.sequence: each for each in self._arrived}
            arrived = [found[sequence] for sequence in sorted(found)]
            self._arrived.clear()
            self._refill()
            if repeated := [each for each in arrived if each.sequence <= self._last]:
                repeated[-1].ack()  # the first one was lost
            if new := arrived[len(repeated) :]:
                self._last = new[-1].sequence
                return new

    @override
    async def _end(self) -> None:
        """End it, and let the server pin another reader at once."""
        await super()._end()
        with suppress(ServiceError, TimeoutError):
            if self._pin and self.holds(self.turn):
                what = f"{_GROUP} of {self._operation}"
                body: dict[str, JsonValue] = {"group": _GROUP}
                operation = f"CONSUMER.UNPIN.{self._operation}"
                await call(self._transport, operation, body, what=what, timeout=_UNPIN_TIMEOUT)
            else:  # the server pins its last request with the next message, unless it is asked
                async with asyncio.timeout(_UNPIN_TIMEOUT):
                    await self._info()

    async def _wait_for_earlier(self) -> None:
        """Wait until everything that was delivered and not acknowledged has arrived here.

        Some of it went to an earlier reader, or was lost with a connection.
        """
        while self._complete != self.turn:
            turn, here = self.turn, {each.sequence for each in self._arrived}
            info = await self._info()
            # Nothing but what is acknowledged is missing from the beginning: ack means all before.
            waited_for = sum(each > info.acknowledged for each in here)
            if turn == self.turn and waited_for == info.unacknowledged:
                self._complete, self._last = turn, info.acknowledged
                return
            self._arrival.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_AGAIN):
                    await self._arrival.wait()

    @override
    def _on_delivery(self, delivery: Delivery) -> None:
        self._heard = monotonic()
        if delivery.status == _WRONG_PIN:
            self._pin, self._outstanding = "", 0
            self._request()
            return
        if not delivery.reply.startswith(ACK_PREFIX):
            super()._on_delivery(delivery)
            return
        if not self._pin or self._pin_line not in delivery.block:
            self._begin_turn(delivery.headers.get(_PIN_HEADER, ""))
        super()._on_delivery(delivery)
        message = self._arrived[-1]
        if self._next and message.consumer_sequence != self._next:  # one was lost on the way
            self._begin_turn(self._pin)
            self._arrived.append(message)
        self._next = message.consumer_sequence + 1

    def _begin_turn(self, pin: str) -> None:
        self._pin, self._pin_line = pin, pin.encode()
        self.turn += 1
        self._next = 0
        self._arrived.clear()  # they are delivered again

    @override
    def _settle_again(self) -> None:
        super()._settle_again()
        self._begin_turn(self._pin)  # what was on the way is lost, or it takes another way

    @override
    def _on_end_of_request(self, remaining: str) -> None:
        super()._on_end_of_request(remaining)
        if remaining.isdecimal():
            self._request()  # also if it takes no messages now: as a heartbeat

    @override
    def _terms(self, batch: int) -> dict[str, JsonValue]:
        self._asked = monotonic()
        terms: dict[str, JsonValue] = {
            "batch": batch,
            "expires": round(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": round(_HEARTBEAT * _NANOSECONDS),
            "group": _GROUP,
        }
        return {**terms, "id": self._pin} if self._pin else terms
