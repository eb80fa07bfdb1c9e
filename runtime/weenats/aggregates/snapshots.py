"""Snapshots: the states of aggregates, stored every so many events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from weenats._internal.background import Background
from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.cache import Snapshot
from weenats.errors import ServiceError
from weenats.protocol import subjects
from weenats.transport.jetstream import JetStream

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.transport.base import Transport

__all__ = ["Snapshots", "snapshot_bucket"]
_LOG: Final = LimitedLogger("weenats.aggregates")
_STATE: Final = b',"state":'
_MAX_RUNNING: Final = 16


def snapshot_bucket(service: str) -> str:
    """Return the name of the key-value bucket of the snapshots of a service.

    Args:
        service: the name of the service.
    """
    return f"{service}-snapshots"


class Snapshots:
    """The snapshots of one aggregate.

    Nothing depends on them but the time that it takes to read a state. One that is missing,
    damaged, or of another contract, is ignored.

    Args:
        transport: the connection.
        contract: the service.
        aggregate: the name of the aggregate.
        every: after how many events a snapshot is stored.
    """

    def __init__(
        self, transport: Transport, contract: ServiceContract, aggregate: str, every: int
    ) -> None:
        self._bucket = JetStream(transport).key_value(snapshot_bucket(contract.name))
        self._digest = contract.digest
        self._aggregate = aggregate
        self._every = every
        self._background = Background()

    async def load(self, key: str) -> Snapshot | None:
        """Return the snapshot of a key, None if there is none that can be used.

        Args:
            key: the key of the aggregate.
        """
        try:
            entry = await self._bucket.get(self._name(key))
        except ServiceError as error:
            _LOG.warning("the snapshots of %s cannot be read: %s", self._aggregate, error)
            return None
        if entry is None:
            return None
        try:
            return self._decoded(entry.value)
        except (ValueError, KeyError, TypeError):
            _LOG.warning("a snapshot of %s is damaged, and is ignored", self._aggregate)
            return None

    def offer(self, key: str, known: Snapshot) -> Snapshot:
        """Store a snapshot in the background, if enough has happened since the last one.

        Args:
            key: the key of the aggregate.
            known: its state.

        Returns:
            The state, which says whether it is a snapshot.
        """
        if known.revision - known.saved < self._every or len(self._background) >= _MAX_RUNNING:
            return known
        self._background.run(self._save(key, known))
        return known._replace(saved=known.revision)

    async def close(self, timeout: float) -> None:
        """Finish what is being stored.

        Args:
            timeout: how long it may take, in seconds.
        """
        await self._background.close(timeout)

    async def _save(self, key: str, known: Snapshot) -> None:
        try:
            await self._bucket.put(self._name(key), self._encoded(known))
        except ServiceError as error:
            _LOG.warning("a snapshot of %s cannot be stored: %s", self._aggregate, error)

    def _name(self, key: str) -> str:
        return f"{self._aggregate}.{subjects.key_token(key)}"

    def _encoded(self, known: Snapshot) -> bytes:
        members = {
            "contract": self._digest,
            "revision": known.revision,
            "sequence": known.sequence,
        }
        body = b"%b%b%b}" % (to_json(members)[:-1], _STATE, known.state or b"null")
        return hashlib.sha256(body).hexdigest().encode() + body

    def _decoded(self, value: bytes) -> Snapshot | None:
        """Return a snapshot, None if it is of another contract.

        Raises:
            ValueError: it is damaged.
        """
        size = hashlib.sha256().digest_size * 2
        digest, body = value[:size], value[size:]
        if hashlib.sha256(body).hexdigest().encode() != digest:
            raise ValueError
        at = body.index(_STATE)
        members: dict[str, Any] = from_json(body[:at] + b"}")
        if members["contract"] != self._digest:
            return None
        revision, sequence = members["revision"], members["sequence"]
        if not (isinstance(revision, int) and isinstance(sequence, int)):
            raise TypeError
        if revision < 1 or sequence < 1:  # of no event there is no snapshot
            raise ValueError
        state = body[at + len(_STATE) : -1]
        return Snapshot(state, revision, sequence, revision, {})
