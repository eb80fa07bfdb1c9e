"""The commits of a service in their stream."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats.aggregates.relay_cache import RecentCommits
from weenats.errors import (
    ConnectionClosedError,
    DeadlineExceededError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from weenats.transport.jetstream import (
    JetStream,
    JetStreamRefusedError,
    StreamFullError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from weenats.transport.base import Transport
    from weenats.transport.jetstream import PublishAck, StoredMessage

__all__ = ["PARTITIONS", "CommitStore", "Position", "commit_stream"]
PARTITIONS: Final = 16
"""The number of partitions of commits; the events of one partition are published in order."""
_ATTEMPT: Final = 2.0
"""How long one attempt to store a commit may take, in seconds."""
_PATIENCE: Final = 5.0
"""How long to try again, in seconds: a cluster may choose another leader."""
_MARGIN: Final = 0.1
"""How long before the deadline to give up, in seconds, so that the caller gets to know why."""
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
_NO_ROLLUP: Final = 10111
"""Error of the API: the stream does not permit rollups."""
_ROLLUP: Final = b"Nats-Rollup: sub\r\n"
_FINAL: Final = (ConnectionClosedError, PermissionDeniedError, StreamFullError)


def commit_stream(service: str) -> str:
    """Return the name of the stream of the commits of a service.

    Args:
        service: the name of the service.
    """
    return f"{service}-commits"


class Position(NamedTuple):
    """Where a commit is to be stored.

    Attributes:
        subject: the subject of the aggregate.
        previous: the sequence of its last commit, 0 if there is none.
        message_id: the id by which the stream knows the commit of a repeated command.
        deadline: when to give up, on the monotonic clock.
    """

    subject: str
    previous: int
    message_id: str
    deadline: float


class CommitStore:
    """Reads and writes the commits of a service.

    Args:
        transport: the connection.
        service: the name of the service.

    Attributes:
        recent: the last commits of this instance.
    """

    def __init__(self, transport: Transport, service: str) -> None:
        self._jetstream = JetStream(transport)
        self._stream = commit_stream(service)
        self.recent: Final = RecentCommits()

    async def append(self, position: Position, body: bytes, headers: bytes) -> PublishAck:
        """Store a commit, once, whatever happens to the connection meanwhile.

        Args:
            position: where.
            body: the commit.
            headers: encoded header lines.

        Returns:
            Where it is; `duplicate` if the command was committed before.

        Raises:
            WrongSequenceError: the last commit is another one.
            ServiceError: see JetStream.publish.
        """
        began, attempt = monotonic(), 0
        subject, previous, message_id, deadline = position
        while True:
            try:
                return await self._jetstream.publish(
                    subject,
                    body,
                    headers,
                    message_id=message_id,
                    stream=self._stream,
                    expected_last_subject_sequence=previous,
                    timeout=max(min(deadline - monotonic(), _ATTEMPT), 0),
                )
            except ServiceError as error:
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                end = min(deadline - _MARGIN, began + _PATIENCE)
                if not _may_pass(error) or monotonic() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            attempt += 1

    async def find(self, position: Position) -> int | None:
        """Return the sequence of the commit of a command, None when it was not committed.

        It takes one request, which also finds out whether the aggregate has changed: a message with
        the same id and expectations, which the stream refuses to store because it permits no
        rollups. It looks for duplicates and at the last sequence before it refuses.

        Args:
            position: where the commit would be.

        Raises:
            WrongSequenceError: the last commit is another one.
            ServiceError: see JetStream.publish.
        """
        try:
            ack = await self.append(position, b"", _ROLLUP)
        except JetStreamRefusedError as error:
            if error.error_code != _NO_ROLLUP:
                raise
            return None
        return ack.sequence

    async def last(self, subject: str) -> StoredMessage | None:
        """Return the last commit of an aggregate, from the leader of the stream.

        Args:
            subject: the subject of the aggregate.

        Raises:
            ServiceError: see JetStream.last.
        """
        try:
            return await self._jetstream.last(self._stream, subject, leader=True)
        except NotFoundError:
            return None

    async def get(self, sequence: int) -> StoredMessage:
        """Return a commit; a replica that does not have it yet is asked again.

        Args:
            sequence: its sequence.

        Raises:
            NotFoundError: there is none.
            ServiceError: see JetStream.get.
        """
        for pause in _PAUSES:
            try:
                return await self._jetstream.get(self._stream, sequence)
            except NotFoundError:
                await asyncio.sleep(pause)
        return await self._jetstream.get(self._stream, sequence)

    def read(self, subject: str, start: int) -> AsyncGenerator[StoredMessage]:
        """Yield the commits of an aggregate.

        Args:
            subject: the subject of the aggregate.
            start: the sequence to begin with.

        Raises:
            ServiceError: see JetStream.read.
        """
        return self._jetstream.read(self._stream, subject, start=start)


def _may_pass(error: ServiceError) -> bool:
    """Return whether trying again may help, and cannot store a commit twice."""
    return isinstance(error, UnavailableError | DeadlineExceededError) and not isinstance(
        error, _FINAL
    )
