"""Messages of a consumer, one after the other, also after the server or the connection was lost."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import cancel_and_wait, finish, start_task
from weenats.errors import (
    ConnectionClosedError,
    PermissionDeniedError,
    ServiceError,
)
from weenats.transport.base import DENIED
from weenats.transport.event_loop import check_event_loop, finish_on
from weenats.transport.jetstream.api import PREFIX
from weenats.transport.jetstream.errors import (
    ConsumerMissingError,
    JetStreamRefusedError,
    StreamMissingError,
)
from weenats.transport.jetstream.messages import ACK_PREFIX, PulledMessage
from weenats.transport.nats_py.errors import permission_denied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import JsonValue

    from weenats.transport.base import Delivery, Subscription, Transport
    from weenats.transport.jetstream.config import ConsumerInfo

__all__ = ["Pull"]
_LOG: Final = LimitedLogger("weenats.events")
_NANOSECONDS: Final = 1_000_000_000
_EXPIRES: Final = 30.0
"""How long the server keeps a request for messages, in seconds."""
_HEARTBEAT: Final = 5.0
"""How often the server says that it still has the request, in seconds."""
_MISSED: Final = 2.5
"""After this many heartbeats the request is taken for lost."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to reach the consumer."""
_HEARTBEAT_STATUS: Final = "100"
_REFUSAL: Final = re.compile(rb"NATS/1\.0 4\d\d ((?:Bad Request|Exceeded Max)[^\r\n]*)")
"""The consumer, whose settings somebody has changed, refuses requests for messages."""
_FINAL: Final = (ConnectionClosedError, PermissionDeniedError)
_MISSING: Final = (ConsumerMissingError, StreamMissingError)
_SINGLE_LIMIT: Final = 2
"""How often in a row a request gets one answer and no more until that is reported."""
_SINGLE: Final = (
    "%s delivers one message to each request, and then nothing for seconds: where another account"
    " exports $JS.API.CONSUMER.MSG.NEXT, it needs `response: stream`"
)
_MISSING_LIMIT: Final = 3
"""How often a consumer has to be missing: a cluster that just started may not know it yet."""


class Pull:
    """Delivers the messages of a consumer; `async with` and `async for`.

    It asks for messages ahead, and asks again after the connection broke, the server restarted or
    the consumer got another leader. Leaving `async with` returns what was not taken to the server,
    for other instances.

    Args:
        transport: the connection.
        stream: the name of the stream.
        consumer: the name of the consumer.
        info: returns what the server knows of the consumer, see JetStream.consumer_info.
        batch: how many messages are asked for ahead.

    Example:
        ```python
        async with JetStream(transport).pull("orders-events", "billing") as messages:
            async for message in messages:
                await handle(message)
                message.ack()
        ```
    """

    def __init__(
        self,
        transport: Transport,
        stream: str,
        consumer: str,
        info: Callable[[], Awaitable[ConsumerInfo]],
        batch: int,
    ) -> None:
        self._transport = transport
        self._operation = f"{stream}.{consumer}"
        self._info = info
        self._batch = batch
        self._arrived: deque[PulledMessage] = deque()
        self._settled: deque[tuple[str, bytes]] = deque(maxlen=batch)
        self._outstanding = 0
        self._last_sign = 0.0
        self._answers = 0
        """How many messages the last request was answered with."""
        self._singles = 0
        """How many requests in a row were answered with one message, though they wanted more."""
        self._failure: ServiceError | None = None
        self._is_closed = False
        self._take: Callable[[PulledMessage], None] | None = None
        self._arrival = asyncio.Event()
        self._doubt = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._subscription: Subscription | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._transport.connect()
        self._subscription = self._transport.subscribe(
            self._transport.new_inbox(), self._on_delivery
        )
        try:
            await self._transport.fence()
            await self._info()
        except BaseException:
            await self._transport.unsubscribe([self._subscription])
            raise
        self._request()
        self._watching = start_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await finish_on(self._loop, self._end)

    async def close(self) -> None:
        """End it; messages that were not taken go back to the server at once.

        It goes on when its caller is cancelled.

        Raises:
            WrongEventLoopError: it was made on another event loop.
        """
        check_event_loop(self._loop)
        await finish(self._end())

    async def _end(self) -> None:
        self._is_closed = True
        self._arrival.set()
        await cancel_and_wait(self._watching)
        if self._subscription is not None:
            await self._transport.unsubscribe([self._subscription])
        with suppress(ServiceError):
            for message in self._arrived:
                message.nak()
        self._arrived.clear()

    def __aiter__(self) -> Self:
        if self._subscription is None:  # it would wait for ever
            raise RuntimeError("messages are pulled in `async with`")
        return self

    async def __anext__(self) -> PulledMessage:
        """Return the next message.

        Raises:
            StopAsyncIteration: it was closed.
            ConsumerMissingError: the consumer was deleted.
            StreamMissingError: the stream was deleted.
            WrongEventLoopError: it was made on another event loop.
            ServiceError: the connection was closed, or the server denies a subject.
        """
        await self._wait_for_arrival()
        message = self._arrived.popleft()
        self._refill()
        return message

    @property
    def has_next(self) -> bool:
        """Whether the next message has arrived."""
        return bool(self._arrived) and not self._is_closed

    async def hand_over(self, take: Callable[[PulledMessage], None]) -> None:
        """Call a function with each message as it arrives; nothing has to wake up for it first.

        Args:
            take: the function, which neither blocks nor raises.

        Raises:
            ServiceError: see `__anext__`.
        """
        self._take = take
        async for message in self:  # which came before
            take(message)

    async def _wait_for_arrival(self) -> None:
        """Wait until a message has arrived.

        Raises:
            StopAsyncIteration: it was closed.
            ServiceError: see `__anext__`.
        """
        check_event_loop(self._loop)
        while True:
            if self._is_closed:
                raise StopAsyncIteration
            if self._arrived:
                return
            if self._failure is not None:
                raise self._failure
            self._arrival.clear()
            await self._arrival.wait()

    def _on_delivery(self, delivery: Delivery) -> None:
        self._last_sign = monotonic()
        self._answers += 1
        if delivery.reply.startswith(ACK_PREFIX):
            self._outstanding = max(self._outstanding - 1, 0)
            message = PulledMessage(self._transport, delivery, self._on_settled)
            if self._take is None or self._arrived or self._is_closed:
                self._arrived.append(message)
                self._arrival.set()
            else:
                self._take(message)
                self._refill()
        elif delivery.status == DENIED:
            self._outstanding = 0
            self._fail(permission_denied("publish", delivery.subject))
        elif (refusal := _REFUSAL.match(delivery.block)) is not None:
            self._outstanding = 0
            reason = refusal[1].decode("ascii", "replace")
            self._fail(JetStreamRefusedError(f"the consumer {self._operation} refuses: {reason}"))
        elif delivery.status != _HEARTBEAT_STATUS:
            self._on_end_of_request(delivery.headers.get("Nats-Pending-Messages", ""))

    def _on_end_of_request(self, remaining: str) -> None:
        if remaining.isdecimal():  # it expired, or the server shuts down in an orderly way
            self._outstanding = max(self._outstanding - int(remaining), 0)
            self._refill()
        else:  # the consumer or its leader is gone
            self._doubt.set()

    def _refill(self) -> None:
        """Ask for more messages when half of the batch was taken."""
        if self._missing > self._batch // 2 and not self._is_closed:
            self._request()

    @property
    def _missing(self) -> int:
        return self._batch - self._outstanding - len(self._arrived)

    def _request(self) -> None:
        missing = self._missing
        if self._subscription is None or missing < 1:
            return
        try:
            self._transport.publish(
                f"{PREFIX}CONSUMER.MSG.NEXT.{self._operation}",
                json.dumps(self._terms(missing)).encode(),
                reply=self._subscription.subject,
            )
        except ServiceError:
            self._doubt.set()
        else:
            self._outstanding += missing
            self._last_sign = monotonic()
            self._answers = 0

    def _terms(self, batch: int) -> dict[str, JsonValue]:
        """Return a request for messages."""
        return {
            "batch": batch,
            "expires": round(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": round(_HEARTBEAT * _NANOSECONDS),
        }

    async def _watch(self) -> None:
        try:
            while True:
                await self._wait_for_doubt()
                await self._wait_for_consumer()
                self._settle_again()
                self._outstanding = 0
                self._request()
        except ServiceError as error:
            self._fail(error)

    def _fail(self, error: ServiceError) -> None:
        self._failure = error
        self._arrival.set()

    def _on_settled(self, reply: str, answer: bytes) -> None:
        self._settled.append((reply, answer))

    def _settle_again(self) -> None:
        """Repeat the last answers, which may be lost; the server ignores those that it has."""
        for reply, answer in self._settled:
            self._transport.publish(reply, answer)

    async def _wait_for_doubt(self) -> None:
        """Wait until the server may have lost the request."""
        broken = asyncio.ensure_future(self._transport.wait_disconnected())
        doubted = asyncio.ensure_future(self._doubt.wait())
        try:
            while not (broken.done() or doubted.done()):
                silence = monotonic() - self._last_sign
                if self._outstanding and silence > _MISSED * _HEARTBEAT:
                    self._note_silence()
                    return
                await asyncio.wait(
                    (broken, doubted), timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            broken.cancel()
            doubted.cancel()
            self._doubt.clear()

    def _note_silence(self) -> None:
        """Report that the server is there, and sends one answer to each request, heartbeats too."""
        self._singles = self._singles + 1 if self._answers == 1 else 0
        if self._singles == _SINGLE_LIMIT:
            _LOG.warning(_SINGLE, self._operation)

    async def _wait_for_consumer(self) -> None:
        missing = 0
        for attempt in range(2**63):
            try:
                await self._info()
            except _FINAL:
                raise
            except _MISSING:
                missing += 1
                if missing == _MISSING_LIMIT:
                    raise
            except ServiceError:
                missing = 0
            else:
                return
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
