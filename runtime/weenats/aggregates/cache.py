"""The states that an instance remembers, one slot a key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextvars import Context
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from weenats._internal.tasks import start_task
from weenats.aggregates.commits import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.transport.base import Transport

RECENT: Final = 16
"""The number of commits whose ids an instance remembers for each key."""
_MAX_BYTES: Final = 256 * 1024 * 1024
"""How large all remembered states of an aggregate may be: callers decide how large theirs are."""
__all__ = ["EMPTY", "Cache", "Connections", "Slot", "Snapshot"]


class Snapshot(NamedTuple):
    """The state of an aggregate after one of its commits.

    Attributes:
        state: the state as JSON text; None before the first commit.
        revision: the number of events so far.
        sequence: the sequence of the commit in the stream; 0 before the first one.
        saved: the revision of the last snapshot in the store; 0 if there is none.
        recent: the sequences of the last commits, by the ids of their commands; some of them may
            be after this one.
    """

    state: bytes | None
    revision: int
    sequence: int
    saved: int
    recent: dict[str, int]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at revision {self.revision}>"

    def following(self, state: bytes, revision: int, sequence: int, message_id: str) -> Snapshot:
        """Return the state after one more commit, which takes over `recent`.

        Copying that would read the ids of all those commits, which have left the caches of the
        processor long since.

        Args:
            state: the state as JSON text.
            revision: the number of events so far.
            sequence: the sequence of the commit.
            message_id: the id of its command.
        """
        recent = self.recent or {}  # not that of EMPTY
        recent[message_id] = sequence
        if len(recent) > RECENT:
            del recent[next(iter(recent))]
        return Snapshot(state, revision, sequence, self.saved, recent)


EMPTY: Final = Snapshot(None, 0, 0, 0, {})
"""The state of a key without events."""


class Slot:
    """What an instance knows of one key; it stays within `with`.

    Args:
        subject: the subject of its commits.
        on_idle: called when nobody uses it any more.

    Attributes:
        subject: the subject of its commits.
        lock: held by the command that decides: the instance serves those of a key one by one.
        holder: the message id of the last command that held it.
        known: the last known state; None if none is cached.
        users: how many tasks use the slot, which stays while there are any.
        size: the bytes of the state when the slot was used last.
        connection: the number of the connection through which the state was read.
    """

    __slots__ = (
        "_on_idle",
        "_scope",
        "connection",
        "holder",
        "known",
        "lock",
        "size",
        "subject",
        "users",
    )

    def __init__(self, subject: str, on_idle: Callable[[Slot], None]) -> None:
        self._on_idle = on_idle
        self._scope = ("", ""), ""
        self.connection = 0
        self.subject: Final = subject
        self.lock: Final = asyncio.Lock()
        self.holder = ""
        self.known: Snapshot | None = None
        self.users = 0
        self.size = 0

    def __enter__(self) -> Self:
        self.users += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.users -= 1
        if not self.users:
            self._on_idle(self)

    def scope(self, caller: str, issuer: str) -> str:
        """Return a hash of the key and a caller; that of the last caller is remembered.

        Args:
            caller: the id of the caller, "" without one.
            issuer: who issued its token, "" without one.
        """
        known, scope = self._scope
        if not scope or known != (caller, issuer):
            parts = self.subject, caller, issuer
            scope = fingerprint_of(*(each.encode("utf-8", "surrogatepass") for each in parts))
            self._scope = (caller, issuer), scope
        return scope

    def learn(self, found: Snapshot) -> None:
        """Remember a state, unless a later one is known.

        Args:
            found: the state.
        """
        if self.known is None or self.known.sequence <= found.sequence:
            self.known = found


class Connections:
    """Counts the connections to the server, one after the other.

    Args:
        transport: the transport.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._number = 0
        self._end: asyncio.Task[None] | None = None

    def number(self) -> int:
        """Return the number of the present connection; without one, it is a new one each time."""
        if self._end is None or self._end.done():
            self._number += 1
            self._end = start_task(self._transport.wait_disconnected(), context=Context())
        return self._number

    def close(self) -> None:
        """Count no more."""
        if self._end is not None:
            self._end.cancel()


class Cache:
    """The slots of the most recently used keys.

    A server that has ended may have lost the commits that led to a state. So what was read through
    a connection is forgotten when it has broken.

    Args:
        size: how many keys are remembered.
        connections: counts the connections.
        subject: returns the subject of the commits of a key.
    """

    def __init__(self, size: int, connections: Connections, subject: Callable[[str], str]) -> None:
        self._size = size
        self._connections = connections
        self._subject = subject
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self._bytes = 0

    def slot(self, key: str) -> Slot:
        """Return the slot of a key, for `with`.

        Args:
            key: the key.
        """
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(self._subject(key), self._shrink)
        if slot.connection != (connection := self._connections.number()):
            slot.connection, slot.known = connection, None
        self._slots.move_to_end(key)
        return slot

    def __len__(self) -> int:
        return len(self._slots)

    def _shrink(self, slot: Slot) -> None:
        """Evict the least recently used keys, except those in use."""
        known = slot.known
        size = 0 if known is None or known.state is None else len(known.state)
        self._bytes += size - slot.size
        slot.size = size
        while len(self._slots) > self._size or self._bytes > _MAX_BYTES:
            idle = next((key for key, each in self._slots.items() if not each.users), None)
            if idle is None:
                break
            self._bytes -= self._slots.pop(idle).size
