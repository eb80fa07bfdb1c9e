"""The state of an aggregate: its last snapshot, and the commits after it."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.cache import EMPTY, RECENT, Snapshot
from weenats.aggregates.commits import Commit, read_commit
from weenats.aggregates.errors import BrokenHistoryError
from weenats.aggregates.state_codec import EncodedEvent, StateCodec, StoredAggregate
from weenats.aggregates.store import PARTITIONS
from weenats.contract import Entity
from weenats.errors import NotFoundError, UnavailableError
from weenats.protocol import subjects
from weenats.protocol.messages import AggregateId
from weenats.protocol.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.aggregates.snapshots import Snapshots
    from weenats.aggregates.store import CommitStore

__all__ = ["History"]
_LOG: Final = LimitedLogger("weenats.aggregates")
_ENTITY: Final = cast("type[Entity[Any]]", Entity)
_BATCH: Final = 256
_FEW: Final = 4
"""Up to how many missing events commits are read one by one."""
_LATE: Final = (0.01, 0.05, 0.2, 0.5)
"""Seconds to wait for a replica that does not have the last commit yet."""


class History:
    """Reads the states of one aggregate.

    Args:
        stored: the aggregate.
        service: the name of its service.
        store: the commits.
        snapshots: the snapshots.
    """

    def __init__(
        self, stored: StoredAggregate, service: str, store: CommitStore, snapshots: Snapshots
    ) -> None:
        self.codec: Final = StateCodec(stored)
        self._name = stored.aggregate.name
        self._service = service
        self._store = store
        self._snapshots = snapshots

    def subject(self, key: str) -> str:
        """Return the subject of the commits of a `key`."""
        return subjects.commits_of_key(
            self._service, partition_of(key, PARTITIONS), self._name, key
        )

    async def current(self, key: str, known: Snapshot | None) -> Snapshot:
        """Return the present state of a key.

        Args:
            key: the key.
            known: an earlier state; None if nothing is known.

        Raises:
            BrokenHistoryError: the stored events cannot be read, or some are missing.
            AggregateBreachError: the state that they lead to breaks the contract.
            ServiceError: the stream cannot be read.
        """
        last = await self._store.last(self.subject(key))
        if last is None:
            return EMPTY
        if known is not None and known.sequence == last.sequence:
            return known
        start = known or await self._stored(key)
        if start.sequence <= last.sequence:
            try:
                return await self._continued(key, start, read_commit(last))
            except BrokenHistoryError as error:
                if start is EMPTY:
                    raise
                _LOG.warning("%s: all its events are read again", error)
        return await self._continued(key, EMPTY, read_commit(last))

    async def at(
        self, key: str, is_after: Callable[[Commit], bool], revision: int | None
    ) -> Snapshot:
        """Return an earlier state of a key, made of all events until then.

        Args:
            key: the key.
            is_after: returns whether a commit is after the state.
            revision: the revision of the state, which may be within a commit; None for the last.

        Raises:
            BrokenHistoryError: the stored events cannot be read, or some are missing.
            AggregateBreachError: the state that they lead to breaks the contract.
            ServiceError: the stream cannot be read.
        """
        found, commits = EMPTY, list[Commit]()
        async for message in self._store.read(self.subject(key), 1):
            commit = read_commit(message)
            if is_after(commit):
                break
            commits.append(commit)
            if len(commits) == _BATCH:
                found, commits = self.after(found, commits, _left(found, revision)), []
        return self.after(found, commits, _left(found, revision)) if commits else found

    def after(self, known: Snapshot, commits: list[Commit], limit: int | None = None) -> Snapshot:
        """Return the state after some commits.

        Args:
            known: the state before them.
            commits: the commits, at least one.
            limit: how many of their events are applied; None for all.

        Raises:
            BrokenHistoryError: they cannot be read, or some before them are missing.
            AggregateBreachError: the state that they lead to breaks the contract.
        """
        events: list[EncodedEvent] = []
        sequence, revision = known.sequence, known.revision
        for commit in commits:
            if (commit.previous, commit.first_revision) != (sequence, revision):
                raise BrokenHistoryError(
                    f"commit {commit.sequence} of {self._name} does not follow on revision"
                    f" {revision}: stored events are missing"
                )
            sequence, revision = commit.sequence, commit.revision
            events += commit.events
        recent = known.recent | {each.message_id: each.sequence for each in commits[-RECENT:]}
        applied = events[:limit]
        return Snapshot(
            state=self.codec.apply(known.state, applied)[0] if applied else known.state,
            revision=known.revision + len(applied),
            sequence=sequence,
            saved=known.saved,
            recent=dict(islice(recent.items(), max(len(recent) - RECENT, 0), None)),
        )

    def entity(self, key: str, known: Snapshot) -> Entity[Any] | None:
        """Return a state as handlers get it: a new object; None before the first event.

        Args:
            key: the key.
            known: the state.

        Raises:
            BrokenHistoryError: it does not match the contract.
        """
        if known.state is None:
            return None
        return _ENTITY(
            id=AggregateId(type=self._name, key=key),
            state=self.codec.read(known.state),
            revision=known.revision,
        )

    async def _stored(self, key: str) -> Snapshot:
        """Return the snapshot of a key, that of nothing if there is none that can be used."""
        found = await self._snapshots.load(key)
        if found is None:
            return EMPTY
        try:
            self.codec.read(found.state)
        except BrokenHistoryError as error:
            _LOG.warning("a snapshot is ignored: %s", error)
            return EMPTY
        return found

    async def _continued(self, key: str, start: Snapshot, last: Commit) -> Snapshot:
        """Return the state after the last commit."""
        if start.sequence == last.sequence:
            if start.revision != last.revision:
                raise BrokenHistoryError(f"a snapshot of {self._name} has another revision")
            return start
        is_near = last.previous == start.sequence or last.revision - start.revision <= _FEW
        if is_near and (commits := await self._since(start, last)):
            return self.after(start, commits)
        found = start
        for pause in _LATE:
            found = await self._read_on(key, found)
            if found.sequence >= last.sequence:
                return found
            await asyncio.sleep(pause)
        raise UnavailableError(f"a replica does not have all commits before {last.sequence} yet")

    async def _since(self, start: Snapshot, last: Commit) -> list[Commit]:
        """Return the commits since a state, up to the last one; none if a replica lacks one.

        Each commit names the one before it: for a few of them, this takes fewer messages than
        reading the stream, which needs a subscription.
        """
        commits = [last]
        try:
            while (previous := commits[-1].previous) > start.sequence:
                commits.append(read_commit(await self._store.get(previous)))
                if commits[-1].key != last.key:
                    raise BrokenHistoryError(
                        f"commit {previous} of {self._name} is of another key than the commit that"
                        " follows it"
                    )
        except NotFoundError:
            return []
        return commits[::-1]

    async def _read_on(self, key: str, found: Snapshot) -> Snapshot:
        commits: list[Commit] = []
        async for message in self._store.read(self.subject(key), found.sequence + 1):
            commits.append(read_commit(message))
            if len(commits) == _BATCH:
                found, commits = self.after(found, commits), []
        return self.after(found, commits) if commits else found


def _left(found: Snapshot, revision: int | None) -> int | None:
    return None if revision is None else revision - found.revision
