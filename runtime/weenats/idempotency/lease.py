"""The lease of a command that runs: while it is renewed, no instance runs the command again."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger
from weenats.errors import ServiceError
from weenats.idempotency.entries import FREE, done
from weenats.transport.jetstream import WrongSequenceError

if TYPE_CHECKING:
    from weenats._internal.background import Background
    from weenats.transport.jetstream import KeyValue

__all__ = ["Lease"]
LEASE: Final = 10.0
"""Seconds for which an entry stays that is not renewed; then the command may run again."""
_RENEWALS: Final = 3
"""How often a lease is renewed in the time that it lasts."""
_PAUSE: Final = 0.25
"""Seconds until another attempt to write an entry."""
_FREE: Final = 1.0
"""Seconds for which an entry stays whose command may run again."""
_LOG: Final = LimitedLogger("weenats.idempotency")
_LOST: Final = "%s ran longer than its lease, which was not renewed: it may run more than once"


class Lease:
    """Keeps the entry of a command that runs on this instance, until its reply is kept.

    The server removes an entry that was not renewed, by its own clock: how the clocks of instances
    differ does not matter.

    Args:
        bucket: the bucket.
        name: the name of the entry.
        value: the value of the entry, which no other lease has.
        fingerprint: that of the payload.
        subject: the subject of the command, for the log.
        background: runs what goes on when the request has ended.
        revision: the revision of the entry.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of an entry
        self,
        bucket: KeyValue,
        name: str,
        value: bytes,
        fingerprint: str,
        subject: str,
        background: Background,
        revision: int,
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._value = value
        self._fingerprint = fingerprint
        self._revision = revision
        self._subject = subject
        self._background = background
        self._writing = asyncio.Lock()
        self._unknown: set[bytes] = set()
        """What it tried to write since its last success: the acknowledgement may have been lost."""
        self._timer = self._schedule()

    async def keep(self, reply: bytes, seconds: float) -> None:
        """Replace the entry by the reply, and end the lease.

        It ends after the first attempt. If that fails, or the caller is cancelled, further attempts
        follow in the background until the lease would have expired.

        Args:
            reply: the reply.
            seconds: for how long it is kept.
        """
        tried = asyncio.Event()
        self._timer.cancel()
        self._background.run(self._replace(done(self._fingerprint, reply), seconds, tried))
        await tried.wait()

    def release(self, *, is_certain: bool = True) -> None:
        """Let the command run again when it is repeated, and end the lease; does not wait.

        Args:
            is_certain: whether the entry was written; else, it may be written still.
        """
        self._timer.cancel()
        if not is_certain:
            self._unknown.add(self._value)
        self._background.run(self._replace(FREE, _FREE, asyncio.Event()))

    async def _replace(self, value: bytes, seconds: float, tried: asyncio.Event) -> None:
        end = monotonic() + LEASE
        while True:
            error = await self._write(value, seconds)
            if error is None or self._has_lost(error) or monotonic() > end:
                break
            tried.set()
            await asyncio.sleep(_PAUSE)
        tried.set()
        if error is not None and value != FREE:
            _LOG.error("the reply of %s could not be kept: %s", self._subject, error)

    async def _write(self, value: bytes, seconds: float) -> ServiceError | None:
        """Write the entry; return what keeps it from being written."""
        async with self._writing:
            try:
                self._revision = await self._update(value, seconds)
            except ServiceError as error:
                if not isinstance(error, WrongSequenceError):
                    self._unknown.add(value)
                return error
            self._unknown.clear()
        return None

    def _has_lost(self, error: ServiceError | None) -> bool:
        """Return whether another instance has the entry, and not a write of this one."""
        return isinstance(error, WrongSequenceError) and not self._unknown

    async def _update(self, value: bytes, seconds: float) -> int:
        try:
            return await self._bucket.update(self._name, value, self._revision, ttl=seconds)
        except WrongSequenceError as error:
            revision = 0  # it has expired, and the command was not run again
            if error.last:
                found, revision = await self._bucket.state(self._name)
                if found is None or found.payload not in self._unknown:
                    raise  # another instance has it
            elif value == FREE:
                raise
            return await self._bucket.update(self._name, value, revision, ttl=seconds)

    def _schedule(self) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(LEASE / _RENEWALS, self._begin_renewal)

    def _begin_renewal(self) -> None:
        self._timer = self._schedule()
        self._background.run(self._renew())

    async def _renew(self) -> None:
        if self._has_lost(await self._write(self._value, LEASE)):
            self._timer.cancel()
            _LOG.error(_LOST, self._subject)
