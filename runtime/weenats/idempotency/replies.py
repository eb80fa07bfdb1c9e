"""The bucket of kept replies: who may run a command, and what its repeats are answered."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from weenats._internal.background import Background
from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import start_task
from weenats.errors import FailedPreconditionError, InternalError, ServiceError, UnavailableError
from weenats.idempotency import lease
from weenats.idempotency.entries import Entry, decode_entry, entry_name, fingerprint, running
from weenats.idempotency.lease import Lease
from weenats.protocol.identifiers import STAMPER
from weenats.transport.jetstream import (
    JetStream,
    StreamMissingError,
    WrongSequenceError,
    bucket_config,
)

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StreamConfig

__all__ = ["Replies", "message_id_reused", "replies_bucket", "replies_config"]
_LOG: Final = LimitedLogger("weenats.idempotency")
_TIMEOUT: Final = 2.0
"""Seconds that JetStream has for an answer."""
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25
"""Seconds between two looks at an entry whose command runs."""
_REUSED: Final = "the message id was used before, with another payload or operation"
_UNAVAILABLE: Final = "repeats cannot be recognized now, so the command was not executed"
_INVALID: Final = (
    "the entry {0} is not valid; it expires after the time that `once` says; to let the command be"
    " executed earlier: nats kv del {1} {0}"
)
_ENTRY_SIZE: Final = 512
"""The bytes of an entry without its reply, with headers, at most."""
REASON: Final = "MESSAGE_ID_REUSED"
"""`reason` in the details of the error for a message id that had another payload."""


def message_id_reused() -> FailedPreconditionError:
    """Return the error for a message id that belongs to another command."""
    return FailedPreconditionError(_REUSED, details={"reason": REASON})


def replies_bucket(service: str) -> str:
    """Return the name of the key-value bucket of a service's kept replies.

    Args:
        service: the name of the service.
    """
    return f"{service}-once"


def replies_config(service: str, replicas: int = 1) -> StreamConfig:
    """Return the settings of the stream of a service's kept replies.

    Args:
        service: the name of the service.
        replicas: how many servers keep them.
    """
    config = bucket_config(replies_bucket(service), replicas=replicas)
    # Without markers, so that an entry that has expired is like one that never was.
    return replace(config, description="Replies of commands, by message id.", marker_ttl=None)


class Replies:
    """The kept replies of a service.

    Args:
        service: the name of the service.
        instance: the id of this instance.
        transport: the connection.
        longest: the longest time for which a reply is kept, in seconds.
        replicas: how many servers keep them, if the bucket does not exist yet.

    Attributes:
        stream: the name of the stream of the bucket.
    """

    def __init__(
        self, service: str, instance: str, transport: Transport, longest: int, replicas: int = 1
    ) -> None:
        self._longest = longest
        self._name = replies_bucket(service)
        self._config = replies_config(service, replicas)
        self.stream = self._config.name
        self._instance = instance
        self._transport = transport
        self._jetstream = JetStream(transport, _TIMEOUT)
        self._bucket = self._jetstream.key_value(self._name)
        self._background = Background()
        self._is_repairing = False

    async def open(self) -> None:
        """Create the bucket if there is none.

        Raises:
            FailedPreconditionError: it has settings with which replies are not kept.
            ServiceError: JetStream is not available, or refuses.
        """
        found = (await self._jetstream.ensure_stream(self._config)).config
        name = found.name
        if not found.allow_ttl or not found.allow_direct or found.max_messages_per_subject != 1:
            raise FailedPreconditionError(
                f"the stream {name} cannot keep replies: it needs allow_msg_ttl, allow_direct and"
                " max_msgs_per_subject 1"
            )
        if found.obstacles or self._forgets(found):
            raise FailedPreconditionError(
                f"the stream {name} would not keep replies as long as `once` says: it needs"
                f" retention 'limits', a max_age of at least {self._longest} s or none, with"
                " max_msgs or max_bytes discard: new, and neither sealed, no_ack, subject_transform"
                " nor mirror"
            )

    def _forgets(self, found: StreamConfig) -> bool:
        is_limited = found.max_bytes is not None or found.max_messages is not None
        return (
            (found.max_age is not None and found.max_age < self._longest)
            or found.retention != "limits"
            or (is_limited and found.discard == "old")
        )

    async def close(self, timeout: float) -> None:
        """Finish what runs in the background.

        Args:
            timeout: the seconds within which it has to end.
        """
        await self._background.close(timeout)

    def has_room(self, reply: bytes) -> bool:
        """Return whether a reply fits into an entry.

        Args:
            reply: the reply.
        """
        return len(reply) + _ENTRY_SIZE <= self._transport.max_payload

    async def claim(self, context: RequestContext, seconds: int) -> Lease | Entry:
        """Return the lease of a command that shall run now, or the entry with its kept reply.

        While the command runs elsewhere, it waits until that has ended or its lease has expired.

        Args:
            context: the request.
            seconds: for how long replies are kept.

        Raises:
            FailedPreconditionError: the message id was used with another payload.
            UnavailableError: JetStream does not answer, or the entry is not valid; the command must
                not run.
        """
        name, payload = entry_name(context), fingerprint(context)
        pause = _FIRST_PAUSE
        revision: int | None = 0
        while True:
            try:
                if revision is not None and (
                    claimed := await self._try(context, name, payload, revision)
                ):
                    return claimed
                entry, revision = await self._look(name, seconds)
            except ServiceError as error:
                self._refuse(context, error)
            if entry is not None and entry.state != "free":
                if entry.fingerprint != payload:
                    raise message_id_reused()
                if entry.state == "done":
                    return entry
                revision = None  # it runs elsewhere
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _try(
        self, context: RequestContext, name: str, payload: str, revision: int
    ) -> Lease | None:
        """Claim an entry that is free; when the caller is cancelled, release what is claimed."""
        claiming = start_task(self._replace(context, name, payload, revision))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # It would keep repeats waiting.
            self._background.run(_give_back(claiming))
            raise

    async def _replace(
        self, context: RequestContext, name: str, payload: str, revision: int
    ) -> Lease | None:
        """Replace an entry by a lease; None if it has another revision."""
        value = running(self._instance, STAMPER.new_id(), payload)
        subject = context.operation.subject
        lease_at = partial(Lease, self._bucket, name, value, payload, subject, self._background)
        try:
            return lease_at(await self._bucket.update(name, value, revision, ttl=lease.LEASE))
        except WrongSequenceError:
            return None
        except ServiceError:  # its acknowledgement may be lost: it would keep repeats waiting
            lease_at(revision).release(is_certain=False)
            raise

    async def _look(self, name: str, seconds: int) -> tuple[Entry | None, int]:
        """Return an entry, None if there is none, and the revision that a new one replaces."""
        found, revision = await self._bucket.state(name)
        if found is None:
            return None, revision
        entry = decode_entry(found.payload)
        if entry is None or entry.state != "free":
            # Else its message id could never be used again.
            ttl = lease.LEASE if entry is not None and entry.state == "running" else seconds
            await self._bucket.ensure_expiry(name, found, ttl)
        if entry is None:
            raise InternalError(_INVALID.format(name, self._name))
        return entry, revision

    def _refuse(self, context: RequestContext, error: ServiceError) -> NoReturn:
        _LOG.error("%s was not executed: %s", context.operation.subject, error)
        if isinstance(error, StreamMissingError) and not self._is_repairing:
            self._is_repairing = True
            self._background.run(self._repair())
        raise UnavailableError(_UNAVAILABLE) from None

    async def _repair(self) -> None:
        """Create the bucket again: what was kept is lost, but new replies can be kept."""
        try:
            await self.open()
        except ServiceError as error:
            _LOG.error("the stream %s cannot be used: %s", self._config.name, error)
        finally:
            self._is_repairing = False


async def _give_back(claiming: asyncio.Task[Lease | None]) -> None:
    with suppress(ServiceError):
        claimed = await claiming
        if claimed is not None:
            claimed.release()
