"""A lease: while it is held, one instance alone changes a generation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from weenats._internal.tasks import finish, start_task
from weenats.errors import AbortedError, AlreadyExistsError, ServiceError
from weenats.protocol.identifiers import STAMPER
from weenats.transport.jetstream import WrongSequenceError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from weenats.transport.jetstream import KeyValue

__all__ = ["Lease", "LeaseLostError", "lease_key"]
T = TypeVar("T")
LEASE: Final = 10.0
"""Seconds for which a lease lasts that is not renewed."""
_RENEWALS: Final = 3
"""How often a lease is renewed in the time that it lasts."""
_GRACE: Final = 0.5
"""Seconds that the server has to say whether a lease was taken which is not wanted any more."""


class LeaseLostError(AbortedError):
    """An instance was without connection for so long that another one may have the lease."""

    of_connection = True


def lease_key(number: int) -> str:
    """Return the key of the lease of a generation.

    Args:
        number: the number of the generation.
    """
    return f"lease.{number}"


class Lease:
    """The lease of a generation; the server ends it, by its own clock, when it is not renewed.

    An instance that was paused may go on for a moment after another one has taken the lease: the
    views notice it by their position.

    Args:
        bucket: the bucket of the projection.
        number: the number of the generation.
        projection: the name of the projection, for errors.
        owner: who takes it, one lease after the other; somebody new by default. What is left of its
            last lease, because the connection broke, is not waited for.
    """

    def __init__(self, bucket: KeyValue, number: int, projection: str, owner: bytes = b"") -> None:
        self._bucket = bucket
        self._name = f"projection {projection}, generation {number}"
        self._key = lease_key(number)
        self._owner = owner or STAMPER.new_id().encode()
        self._revision = 0
        self._expires = 0.0

    async def take(self) -> bool:
        """Take the lease, and return whether it was free.

        If its caller is cancelled, it is given back: others would wait until it expires.

        Raises:
            ServiceError: see KeyValue.create.
        """
        taking = start_task(self._take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            await finish(self._give_back(taking), timeout=_GRACE)
            raise

    async def _take(self) -> bool:
        expires = monotonic() + LEASE
        try:
            self._revision = await self._bucket.create(self._key, self._owner, ttl=LEASE)
        except AlreadyExistsError:
            found, revision = await self._bucket.state(self._key, leader=True)
            if found is None or found.payload != self._owner:
                if found is not None:
                    await self._bucket.ensure_expiry(self._key, found, LEASE)
                return False
            try:
                self._revision = await self._bucket.update(
                    self._key, self._owner, revision, ttl=LEASE
                )
            except WrongSequenceError:  # it has just expired
                return False
        self._expires = expires
        return True

    async def _give_back(self, taking: asyncio.Task[bool]) -> None:
        with suppress(ServiceError):
            if await taking:
                self._bucket.discard(self._key, self._revision)

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """Run something while the lease, which was taken, is renewed; then give it back.

        Args:
            work: what to do; it is cancelled if the lease is lost.

        Returns:
            Its result.

        Raises:
            LeaseLostError: the lease was lost.
        """
        working, renewing = start_task(work), start_task(self._renew())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise LeaseLostError(f"lost the lease of {self._name}")
        finally:
            working.cancel()
            renewing.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
            if monotonic() < self._expires:  # after a renewal under way, others wait for its end
                with suppress(ServiceError):
                    self._bucket.discard(self._key, self._revision)

    async def _renew(self) -> None:
        """Renew the lease until it is lost."""
        while monotonic() < self._expires:
            await asyncio.sleep(LEASE / _RENEWALS)
            expires = monotonic() + LEASE
            try:
                self._revision = await self._bucket.update(
                    self._key, self._owner, self._revision, ttl=LEASE
                )
            except WrongSequenceError:
                self._expires = 0.0
            except ServiceError:  # the connection may be back in time
                continue
            else:
                self._expires = expires
