"""Replies: one inbox subscription for all requests, each of which waits on a future of its own."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import contextmanager
from contextvars import Context
from os import urandom
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats._internal.tasks import retrieve, start_task
from weenats.errors import DeadlineExceededError, NoRespondersError, ServiceError, connection_error
from weenats.protocol.timeouts import Clock, DeadlineTimer
from weenats.transport.base import (
    MAX_REPLIES,
    MAX_REPLY_BYTES,
    NO_RESPONDERS,
    Accepts,
    Delivery,
)
from weenats.transport.nats_py.connection import new_inbox
from weenats.transport.nats_py.errors import permission_denied

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from weenats.transport.nats_py.connection import Interest, NatsConnection

__all__ = ["Arrivals", "ReplyInbox", "RequestMux", "gather_replies", "is_full"]
Arrivals = asyncio.Queue[Delivery | ServiceError]
"""Replies to one message, or the error that ends the waiting for them."""
_TOKEN_LENGTH: Final = 16
"""Hexadecimal digits of the random token that ends a reply subject: 64 bits."""
_TOKENS_AT_ONCE: Final = 256
"""How many tokens are made by one system call."""
_Pending = tuple[str, asyncio.Future[Delivery], Accepts | None]
"""The subject of a request, the future of its reply, and what returns whether a message is it."""


class RequestMux:
    """Matches replies to requests, and fails requests whose deadline passes.

    Each reply subject ends with a random token. A service knows the reply subjects of the requests
    that it got; if it could guess those of other requests, it could answer or cancel them.

    It belongs to the event loop of its first request, of which it keeps a reference: before Python
    3.12, asking for the running loop takes a system call.

    Args:
        inbox: the prefix of the reply subjects.
        clock: returns monotonic seconds.

    Attributes:
        wildcard: the subject to subscribe to for replies.
    """

    def __init__(self, inbox: str, clock: Clock = monotonic) -> None:
        self.wildcard = f"{inbox}.*"
        self._prefix = f"{inbox}."
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tokens = ""
        self._used = 0
        self._pending: dict[str, _Pending] = {}
        self._foreign: dict[str, int] = {}
        self._gatherings: set[tuple[str, Arrivals]] = set()
        self._timer = DeadlineTimer[str](self._expire, clock)

    def open(
        self, subject: str, deadline: float, accepts: Accepts | None
    ) -> tuple[str, asyncio.Future[Delivery]]:
        """Register a request.

        Args:
            subject: the subject of the request.
            deadline: when the request fails, on the monotonic clock.
            accepts: returns whether a message is the reply; None accepts every message.

        Returns:
            The reply subject, and the future of the reply.
        """
        start = self._used
        if start == len(self._tokens):
            self._tokens, start = urandom(_TOKENS_AT_ONCE * _TOKEN_LENGTH // 2).hex(), 0
        end = self._used = start + _TOKEN_LENGTH
        reply = self._prefix + self._tokens[start:end]
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Delivery] = loop.create_future()
        self._pending[reply] = (subject, future, accepts)
        self._timer.add(reply, deadline)
        return reply, future

    def discard(self, reply: str) -> None:
        """Forget a request; unknown ones are ignored.

        Args:
            reply: the reply subject of the request.
        """
        if self._pending.pop(reply, None) is not None:
            self._foreign.pop(reply, None)
            self._timer.discard(reply)

    def on_delivery(self, delivery: Delivery) -> None:
        """Hand a reply to its request; late and foreign ones are dropped.

        Args:
            delivery: the reply.
        """
        subject = delivery.subject
        pending = self._pending.get(subject)
        if pending is None:
            return
        requested, future, accepts = pending
        if future.done():
            return
        if not delivery.payload and delivery.status == NO_RESPONDERS:
            future.set_exception(
                connection_error(NoRespondersError, f"no responders on {requested}")
            )
        elif accepts is None or accepts(delivery):
            future.set_result(delivery)
        else:
            # Another subscriber of the subject answered first, for example a stream.
            self._foreign[subject] = self._foreign.get(subject, 0) + 1
            return
        # As `discard`, without a call: all replies take this way.
        del self._pending[subject]
        self._timer.deadlines.pop(subject, None)
        if self._foreign:
            self._foreign.pop(subject, None)

    @contextmanager
    def gathering(self, subject: str) -> Generator[Arrivals]:
        """Return the queue of the replies to one message, which `fail` ends as well.

        Args:
            subject: the subject of the message.
        """
        arrivals: Arrivals = asyncio.Queue()
        self._gatherings.add((subject, arrivals))
        try:
            yield arrivals
        finally:
            self._gatherings.discard((subject, arrivals))

    def fail(self, error: Callable[[str], ServiceError], subject: str | None = None) -> None:
        """Fail all requests, or some of them.

        Args:
            error: returns the error for the subject of a request.
            subject: the subject of the requests, the reply subject of one, or the wildcard.
        """
        for reply, (requested, future, _) in list(self._pending.items()):
            if subject in (None, requested, reply, self.wildcard):
                self.discard(reply)
                _fail(future, error(requested))
        for requested, arrivals in self._gatherings:
            if subject in (None, requested):
                arrivals.put_nowait(error(requested))

    async def wait_answered(self, timeout: float) -> None:
        """Wait until the present requests have ended, up to `timeout` seconds."""
        if waiting := [future for _, future, _ in self._pending.values()]:
            await asyncio.wait(waiting, timeout=timeout)

    def close(self) -> None:
        """Stop the timer."""
        self._timer.close()

    def _expire(self, reply: str) -> None:
        subject, future, _ = self._pending.pop(reply)
        text = f"no reply from {subject} in time"
        if foreign := self._foreign.pop(reply, 0):
            text += (
                f"; {foreign} message(s) arrived that are not a service's reply: a JetStream stream"
                " that stores this subject answers also while no service runs"
            )
        _fail(future, connection_error(DeadlineExceededError, text))


def _fail(future: asyncio.Future[Delivery], error: ServiceError) -> None:
    if not future.done():
        future.set_exception(error)


class ReplyInbox:
    """The inbox of a transport, which the first request opens.

    Args:
        prefix: the prefix of its subject.

    Attributes:
        mux: matches replies to requests.
        interest: the subscription, None while the inbox is not open.
    """

    def __init__(self, prefix: str) -> None:
        self.mux = RequestMux(new_inbox(prefix))
        self.interest: Interest | None = None
        self._opening: asyncio.Task[None] | None = None

    async def open(self, connection: NatsConnection, subject: str, deadline: float) -> None:
        """Open the inbox; concurrent requests wait together.

        Args:
            connection: the current connection.
            subject: the subject of the request, for the error.
            deadline: when the request fails, on the monotonic clock.

        Raises:
            PermissionDeniedError: the server denies the inbox.
            ConnectionLostError: the connection broke meanwhile.
            DeadlineExceededError: the deadline passed.
        """
        if self._opening is None:
            # A task in an empty context: it outlives the request that needs it first.
            self._opening = start_task(self._open(connection), context=Context())
            self._opening.add_done_callback(retrieve)
        opening = asyncio.shield(self._opening)
        try:
            async with asyncio.timeout(max(deadline - monotonic(), 0)):
                await opening
        except TimeoutError:
            raise connection_error(
                DeadlineExceededError, f"no reply from {subject} in time"
            ) from None

    async def _open(self, connection: NatsConnection) -> None:
        """Subscribe, and return once the server has accepted the subscription.

        No request is sent before: it would be executed without a way to reply.
        """
        interest = connection.register(self.mux.wildcard, "", self.mux.on_delivery)
        try:
            await connection.fence()
            if not interest.denied:
                self.interest = interest
        finally:
            self._opening = None
            if self.interest is None:
                interest.drop()
        if interest.denied:
            raise permission_denied("subscription", interest.subject, of_inbox=True)

    def on_denied(self, subject: str) -> None:
        """Fail all requests if the server has denied the inbox; the next one opens it again.

        Args:
            subject: the subject that the server denied.
        """
        if self.interest is not None and subject == self.interest.subject:
            interest, self.interest = self.interest, None
            self.mux.fail(
                lambda _: permission_denied("subscription", subject, of_inbox=True), subject
            )
            interest.drop()


async def gather_replies(
    arrived: Arrivals, *, timeout: float, quiet: float, accepts: Accepts | None = None
) -> list[Delivery]:
    """Return the messages that arrive, up to `MAX_REPLIES` or `MAX_REPLY_BYTES`.

    Args:
        arrived: where they arrive.
        timeout: the time limit in seconds.
        quiet: the pause after a message that ends it earlier, in seconds.
        accepts: returns whether a message is a reply; None accepts every message.

    Raises:
        ServiceError: it arrived, because the connection is lost.
    """
    replies: list[Delivery] = []
    size = 0
    end = monotonic() + timeout
    pause = timeout
    with contextlib.suppress(TimeoutError):
        while not is_full(len(replies), size) and (pause := min(pause, end - monotonic())) > 0:
            async with asyncio.timeout(pause):
                delivery = await arrived.get()
            if isinstance(delivery, ServiceError):
                raise delivery
            if delivery.status == NO_RESPONDERS:
                break
            if accepts is None or accepts(delivery):
                replies.append(delivery)
                size += delivery.size
                pause = quiet
    return replies


def is_full(number: int, size: int) -> bool:
    """Return whether no more replies are gathered.

    Args:
        number: the number of replies.
        size: their size in bytes.
    """
    return number >= MAX_REPLIES or size >= MAX_REPLY_BYTES
