"""Executes the commands and queries of an aggregate that is kept in a stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weenats._internal.limited_log import LimitedLogger
from weenats.aggregates.cache import EMPTY, Cache, Snapshot
from weenats.aggregates.commits import (
    Commit,
    encode_commit,
    fingerprint_of,
    new_commit,
    read_commit,
)
from weenats.aggregates.decision import Decision
from weenats.aggregates.errors import AggregateBreachError, BrokenHistoryError, not_available
from weenats.aggregates.store import Position
from weenats.aggregates.stored_result import decode_result
from weenats.codec.operations import operation_codec
from weenats.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    MessageTooLargeError,
    NotFoundError,
    ServiceError,
)
from weenats.idempotency.replies import message_id_reused
from weenats.protocol import headers as header_names
from weenats.protocol.headers import Headers
from weenats.telemetry.propagation import inherited_header_lines
from weenats.transport.jetstream import WrongSequenceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weenats.aggregates.history import History
    from weenats.aggregates.snapshots import Snapshots
    from weenats.aggregates.store import CommitStore
    from weenats.context import RequestContext
    from weenats.contract import Entity

__all__ = ["Decide", "Executor"]
_LOG: Final = LimitedLogger("weenats.aggregates")
Decide = Callable[["Entity[Any] | None", Any, "RequestContext"], Awaitable[Decision[Any]]]
"""The handler of a command."""
_ATTEMPTS: Final = 30
"""How often the handler of a command is called at most, when others change its aggregate."""
_PAUSE: Final = 0.002
_IF_REVISION: Final = header_names.IF_REVISION.lower().encode()
_MAX_DIGITS: Final = 18
_TIMEOUT: Final = 5.0
"""How long a command without a deadline may take to be stored, in seconds."""
_CAUSE_CHECK: Final = 1
"""After which conflict to look for one that the command itself causes, by a handler that calls its
own object: it never ends, while others end after one or two."""
_REENTRY: Final = "emit its events instead"


class Executor:
    """The objects of one aggregate, as one running instance serves them.

    Args:
        name: the name of the aggregate.
        history: reads their states.
        store: the commits.
        snapshots: the snapshots.
        cache: the states that are remembered.
    """

    def __init__(
        self,
        name: str,
        history: History,
        store: CommitStore,
        snapshots: Snapshots,
        cache: Cache,
    ) -> None:
        self._name = name
        self._history = history
        self._store = store
        self._storing = _Storing(name)
        self._parts = _Parts(name, history, store, self._storing, snapshots)
        self._cache = cache

    def execute(self, context: RequestContext, decide: Decide) -> Awaitable[object]:
        """Execute a command: decide, store the events and the reply in one step, and return it.

        Args:
            context: the command.
            decide: its handler, which is called again if the aggregate has changed meanwhile.

        Returns:
            The result of the command; that of the first time if it is repeated.

        Raises:
            AbortedError: the aggregate has another revision than the caller requires, or each
                attempt conflicted with another change.
            AggregateBreachError: the handler decided what the contract does not allow.
            BrokenHistoryError: the stored events cannot be read.
            FailedPreconditionError: the handler of the command that runs calls this one.
            ServiceError: what the handler raised; or the stream cannot be used now.
        """
        return _Execution(self._parts, self._cache, context, decide).run()

    async def entity(self, context: RequestContext) -> Entity[Any] | None:
        """Return what a query is about; None if it has no events.

        Args:
            context: the query.

        Raises:
            BrokenHistoryError: the stored events cannot be read.
            ServiceError: the stream cannot be used now.
        """
        key = context.key
        with self._cache.slot(key) as slot:
            with self._storing:
                found = await self._history.current(key, slot.known)
            slot.learn(found)
            return self._history.entity(key, found)

    async def earlier_entity(self, context: RequestContext) -> Entity[Any] | None:
        """Return what a query is about at the revision or time in its headers.

        Args:
            context: the query.

        Raises:
            InvalidArgumentError: a header is malformed.
            NotFoundError: it has no such revision.
            BrokenHistoryError: the stored events cannot be read.
            ServiceError: the stream cannot be used now.
        """
        headers, revision = context.headers, None
        if header_names.AT_REVISION in headers:
            wanted = revision = _revision(headers[header_names.AT_REVISION])
            is_after: Callable[[Commit], bool] = lambda commit: commit.first_revision >= wanted  # noqa: E731
        else:
            time = _time(headers[header_names.AT_TIME])
            is_after = lambda commit: _stored_time(commit) > time  # noqa: E731
        with self._storing:
            found = await self._history.at(context.key, is_after, revision)
        if revision is not None and found.revision != revision:
            raise NotFoundError(
                f"{self._name} has no revision {revision}, the last is {found.revision}"
            )
        return self._history.entity(context.key, found)


class _Parts(NamedTuple):
    """What the commands of an aggregate work with."""

    name: str
    history: History
    store: CommitStore
    storing: _Storing
    snapshots: Snapshots


class _Execution:
    """One command.

    Each coroutine that waits for the stream is an object for the garbage collector, and takes part
    in each step: so what does not wait itself is in plain methods.
    """

    __slots__ = (
        "_caller",
        "_codec",
        "_context",
        "_deadline",
        "_decide",
        "_fingerprint",
        "_history",
        "_id",
        "_name",
        "_required",
        "_slot",
        "_snapshots",
        "_store",
        "_storing",
    )

    def __init__(
        self, parts: _Parts, cache: Cache, context: RequestContext, decide: Decide
    ) -> None:
        self._name, self._history, self._store, self._storing, self._snapshots = parts
        self._context = context
        self._decide = decide
        operation, principal = context.operation, context.principal
        self._codec = operation_codec(operation)
        payload = self._codec.encode_payload(context.payload)
        self._caller = None if principal is None else principal.id
        issuer = "" if principal is None else principal.issuer or ""
        self._fingerprint = fingerprint_of(
            operation.name.encode(), payload, issuer.encode("utf-8", "surrogatepass")
        )
        deadline = context.deadline
        self._deadline = monotonic() + _TIMEOUT if deadline is None else deadline
        self._required = _required(context.headers)
        # Last, since a slot stays in memory: what is refused above must not leave one.
        slot = self._slot = cache.slot(context.key)
        # Another caller, or another object, with the same id is another command.
        self._id = f"{context.message_id}-{slot.scope(self._caller or '', issuer)}"

    async def run(self) -> object:
        """Execute it; see `Executor.execute`."""
        with self._slot as slot:
            if slot.lock.locked() and slot.holder == self._context.causation_id:
                raise FailedPreconditionError(
                    f"the handler of a command of {self._name} calls this command of the same"
                    f" {self._name}, which would wait for it: {_REENTRY}"
                )
            await slot.lock.acquire()  # `async with` takes three times as long
            slot.holder = self._context.message_id
            try:
                if slot.known is None:
                    await self._refresh()
                for attempt in range(_ATTEMPTS):
                    try:
                        result = await self._attempt(slot.known or EMPTY)
                    except _ConflictError:
                        if attempt == _CAUSE_CHECK:
                            await self._check_cause()
                        # Instances that compete for one key must not do so at the same pace.
                        await asyncio.sleep(random.random() * _PAUSE * attempt)  # noqa: S311
                        await self._refresh()
                    else:
                        if slot.known is not None:
                            slot.known = self._snapshots.offer(self._context.key, slot.known)
                        return result
            finally:
                slot.lock.release()
        raise AbortedError(f"{self._name} still had conflicting changes after {_ATTEMPTS} attempts")

    async def _attempt(self, known: Snapshot) -> object:
        """Decide, and store what was decided.

        Raises:
            _ConflictError: the aggregate has changed meanwhile.
        """
        context = self._context
        sequence = known.recent.get(context.message_id)
        if sequence is not None and (first := await self._first(sequence)) is not None:
            return decode_result(self._context.operation, first.result)
        try:
            self._check_revision(known)
            entity = self._history.entity(context.key, known)
            decision = await self._decide(entity, context.payload, context)
        except ServiceError:
            # It may have been decided on an old state, or executed before.
            if (first := await self._confirm(known)) is not None:
                return decode_result(self._context.operation, first.result)
            raise
        self._check_decision(decision)
        if not decision.events:
            return await self._reply(known, decision)
        body, state, result, revision = self._commit(known, decision)
        with self._storing:
            ack = await self._store.append(self._position(known), body, inherited_header_lines())
        if ack.duplicate:
            first = await self._first(ack.sequence)
            await self._refresh()
            return decode_result(self._context.operation, None if first is None else first.result)
        self._slot.known = known.following(state, revision, ack.sequence, context.message_id)
        return result

    def _check_revision(self, known: Snapshot) -> None:
        if self._required is not None and self._required != known.revision:
            raise AbortedError(
                f"{self._name} has revision {known.revision}, not {self._required}",
                details={"revision": known.revision},
            )

    def _check_decision(self, decision: object) -> None:
        if not isinstance(decision, Decision):
            raise AggregateBreachError(
                f"{self._context.operation.name} must return self.emit(...) or self.reply(...), not"
                f" {type(decision).__name__}"
            )

    async def _reply(self, known: Snapshot, decision: Decision[Any]) -> object:
        """Return the result of a decision without events, when the state is the present one."""
        result = self._history.codec.read(known.state) if decision.is_state else decision.result
        self._codec.encode_result(result)  # checks it
        if (first := await self._confirm(known)) is not None:
            return decode_result(self._context.operation, first.result)
        return result

    def _commit(self, known: Snapshot, decision: Decision[Any]) -> tuple[bytes, bytes, object, int]:
        """Return the commit of a decision as it is stored, the state after it, result, revision."""
        codec, context = self._history.codec, self._context
        events = codec.encode(context.operation, decision.events)  # type: ignore[arg-type]
        state, result = codec.apply(known.state, events)
        if not decision.is_state:
            result = decision.result
        revision = known.revision + len(events)
        commit = new_commit(
            context,
            events,
            result=self._codec.encode_result(result) or None,
            fingerprint=self._fingerprint,
            previous=known.sequence,
            revision=revision,
        )
        body = encode_commit(commit, self._name, context.timestamp)
        self._store.recent.add(self._slot.subject, body, commit)
        return body, state, result, revision

    async def _confirm(self, known: Snapshot) -> Commit | None:
        """Check that a state is the present one, and return the commit of an earlier execution.

        Raises:
            _ConflictError: the aggregate has changed.
        """
        with self._storing:
            sequence = await self._store.find(self._position(known))
        return None if sequence is None else await self._first(sequence)

    async def _first(self, sequence: int) -> Commit | None:
        """Return the commit of an earlier execution; None if it is another caller's.

        Raises:
            FailedPreconditionError: the command had another payload then, or a caller of another
                issuer.
        """
        with self._storing:
            commit = read_commit(await self._store.get(sequence))
        if commit.principal != self._caller:
            return None
        if commit.fingerprint != self._fingerprint:
            raise message_id_reused()
        return commit

    def _position(self, known: Snapshot) -> Position:
        return Position(self._slot.subject, known.sequence, self._id, self._deadline)

    async def _check_cause(self) -> None:
        """Check that the last change of the aggregate was not caused by this command.

        Raises:
            AggregateBreachError: the handler calls a command of the same object: each time that it
                decides, the object changes.
        """
        with self._storing:
            last = await self._store.last(self._slot.subject)
        if last is not None and read_commit(last).causation_id == self._context.message_id:
            raise AggregateBreachError(
                f"the handler of {self._context.operation.name} calls a command of the same"
                f" {self._name}: {_REENTRY}"
            )

    async def _refresh(self) -> None:
        with self._storing:
            self._slot.known = await self._history.current(self._context.key, self._slot.known)


class _ConflictError(Exception):
    """The aggregate has changed since the state on which was decided.

    Not that of the stream, which a handler that uses streams itself may raise as well.
    """


class _Storing:
    """Turns the errors of the stream into one that callers may see, or into conflicts.

    Not a generator, which takes three times as long.
    """

    __slots__ = ("_aggregate",)

    def __init__(self, aggregate: str) -> None:
        self._aggregate = aggregate

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if not isinstance(error, ServiceError):
            return
        if isinstance(error, WrongSequenceError):
            raise _ConflictError from None
        if isinstance(error, MessageTooLargeError):
            _LOG.error("a commit of %s is too large: %s", self._aggregate, error)
            raise MessageTooLargeError(
                f"the events of {self._aggregate} and the reply of the command are larger than the"
                " server stores in one message"
            ) from None
        if isinstance(error, InvalidArgumentError):  # with its key, the subject is too long
            raise InvalidArgumentError(
                f"the key of {self._aggregate} is longer than the server takes in a subject"
            ) from None
        _LOG.warning("cannot read or store commits of %s: %s", self._aggregate, error)
        raise not_available(self._aggregate, error) from None


def _required(headers: Mapping[str, str]) -> int | None:
    """Return the revision that the caller requires, None if it requires none."""
    if isinstance(headers, Headers) and not headers.may_have(_IF_REVISION):
        return None
    text = headers.get(header_names.IF_REVISION)
    return None if text is None else _revision(text)


def _revision(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise InvalidArgumentError("a revision is an integer of at least 0")
    return int(text)


def _stored_time(commit: Commit) -> datetime:
    try:
        return datetime.fromisoformat(commit.timestamp)
    except ValueError:  # not the error of a header, which the caller would get
        raise BrokenHistoryError(f"the time of commit {commit.sequence} does not exist") from None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidArgumentError("a time is ISO 8601 with a time zone")
    return time
