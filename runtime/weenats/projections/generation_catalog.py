"""The generations of a projection: one entry of its bucket, which is changed as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from weenats.errors import FailedPreconditionError, NotFoundError, connection_error
from weenats.projections.generation import projection_bucket
from weenats.transport.jetstream import JetStream, WrongSequenceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.transport.base import Transport

__all__ = ["Catalog", "Record", "current", "outdated"]
_ENTRY: Final = "catalog"


@dataclass(frozen=True, slots=True)
class Record:
    """What the catalog has of a generation.

    Attributes:
        number: its number.
        version: the version of the projection that builds it.
        ready: whether it is complete.
        created: when the stream was created whose events it has; None if an older version of
            weenats has begun it.
    """

    number: int
    version: int
    ready: bool = False
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    last: int
    generations: tuple[Record, ...]
    stream: str = ""


_DOCUMENT: Final = TypeAdapter(_Document)


class _Entry(NamedTuple):
    records: tuple[Record, ...]
    last: int
    revision: int
    stream: str


class Catalog:
    """Which generations of a projection there are. Every change is one write, or does not happen.

    Args:
        transport: the connection.
        projection: the name of the projection.
        stream: the name of the stream whose events are read; "" for any.
    """

    def __init__(self, transport: Transport, projection: str, stream: str = "") -> None:
        self._projection = projection
        self._stream = stream
        self._name = projection_bucket(projection)
        self.bucket: Final = JetStream(transport).key_value(self._name)

    async def records(self, *, leader: bool = True) -> tuple[Record, ...]:
        """Return the generations, by number.

        Args:
            leader: ask the leader of the bucket; other replicas may be late.

        Raises:
            StreamMissingError: the bucket does not exist.
            FailedPreconditionError: what it says about them is not valid, or it belongs to another
                projection of this name.
            ServiceError: see JetStream.last.
        """
        return (await self._read(leader=leader)).records

    async def begin(self, version: int, created: datetime) -> Record:
        """Return the generation to build: one that was not completed, else a new one.

        Args:
            version: the version of the projection.
            created: when the stream was created whose events it gets.

        Raises:
            ServiceError: see KeyValue.update.
        """

        def is_begun(record: Record) -> bool:
            known = record.created in {None, created}
            return not record.ready and record.version == version and known

        def change(entry: _Entry) -> _Entry:
            if any(map(is_begun, entry.records)):
                return entry
            new = Record(entry.last + 1, version, created=created)
            return entry._replace(records=(*entry.records, new), last=new.number)

        records = await self._change(change)
        return next(filter(is_begun, records))

    async def complete(self, number: int) -> None:
        """Make a generation the one that is read.

        Args:
            number: its number.

        Raises:
            NotFoundError: it was removed.
            ServiceError: see KeyValue.update.
        """

        def change(entry: _Entry) -> _Entry:
            if all(each.number != number for each in entry.records):
                raise NotFoundError(f"generation {number} of {self._name} was removed")
            records = (
                replace(each, ready=True) if each.number == number else each
                for each in entry.records
            )
            return entry._replace(records=tuple(records))

        await self._change(change)

    async def remove(self, number: int) -> None:
        """Forget a generation, whose view was removed.

        Args:
            number: its number.

        Raises:
            ServiceError: see KeyValue.update.
        """

        def change(entry: _Entry) -> _Entry:
            records = (each for each in entry.records if each.number != number)
            return entry._replace(records=tuple(records))

        await self._change(change)

    async def _change(self, change: Callable[[_Entry], _Entry]) -> tuple[Record, ...]:
        while True:
            before = await self._read(leader=True)
            after = change(before)
            if after == before:
                return after.records
            try:
                encoded = _encoded(after, self._stream or after.stream)
                await self.bucket.update(_ENTRY, encoded, before.revision)
            except WrongSequenceError:
                continue  # another instance was quicker
            return after.records

    async def _read(self, *, leader: bool) -> _Entry:
        entry = await self.bucket.get(_ENTRY, leader=leader)
        if entry is None:
            return _Entry((), 0, 0, "")
        try:
            document = _DOCUMENT.validate_json(entry.value)
        except ValidationError:
            raise connection_error(
                FailedPreconditionError,
                f"what the bucket {self._name} says about its views is not valid: delete the bucket"
                " to build the projection anew",
            ) from None
        if self._stream and document.stream not in {"", self._stream}:
            raise connection_error(
                FailedPreconditionError,
                f"there is another projection {self._projection}, of the stream {document.stream}:"
                " give one of them another name",
            )
        return _Entry(document.generations, document.last, entry.revision, document.stream)


def _encoded(entry: _Entry, stream: str) -> bytes:
    return _DOCUMENT.dump_json(_Document(entry.last, entry.records, stream))


def current(records: tuple[Record, ...], version: int) -> Record | None:
    """Return the generation that instances of a version read, None if there is none.

    Args:
        records: the generations.
        version: the version of the projection.
    """
    ready = [each for each in records if each.ready and each.version == version]
    return max(ready, key=lambda each: each.number, default=None)


def outdated(records: tuple[Record, ...]) -> list[Record]:
    """Return the generations that a later one of the same or a higher version has replaced.

    Args:
        records: the generations.
    """
    return [
        each
        for each in records
        if any(
            other.number > each.number and other.version >= each.version and other.ready
            for other in records
        )
    ]
