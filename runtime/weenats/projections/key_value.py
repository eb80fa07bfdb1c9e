"""Views in a key-value bucket of JetStream."""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import asynccontextmanager
from math import isfinite
from typing import TYPE_CHECKING, Final, Generic, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from typing_extensions import TypeVar, override

from weenats.errors import FailedPreconditionError, NotFoundError, connection_error
from weenats.projections.generation import POSITION, projection_bucket
from weenats.projections.view import View
from weenats.protocol.subjects import key_of_token, key_token
from weenats.transport.jetstream import MAX_BATCH, BatchMessage, JetStream, publish_batch
from weenats.transport.jetstream.key_value import (
    DELETED,
    bucket_stream,
    bucket_subject,
    is_deleted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from weenats.projections.generation import Generation
    from weenats.projections.view import Checkpoint

__all__ = ["KeyValueView", "ViewKey"]
ValueT = TypeVar("ValueT")
TypeT = TypeVar("TypeT")
ViewKey = str | tuple[str, ...]
"""A key of a view: a text, or several."""
_ARRAYS: Final = (list, tuple, set, frozenset, deque)
_TIMEOUT: Final = 5.0
_REBUILD: Final = "build the projection anew (weenats rebuild)"
_FULL: Final = 100
"""With how many changes a transaction ends."""
_MAX_CHANGES: Final = MAX_BATCH - 1
"""How many changes may be stored with a position."""
_MAX_CACHED: Final = 10_000
"""How many values the instance that changes a view remembers."""


class KeyValueView(View, Generic[ValueT]):
    """A view whose values have keys, in a bucket of JetStream.

    What the handlers of some events change is stored together with the position, or not at all
    (atomic batches, nats-server 2.12). Handlers read what they have written. A handler may change
    up to 900 keys.

    Args:
        generation: the generation.
        value: the type of the values: anything that pydantic can write as JSON.
    """

    def __init__(self, generation: Generation, value: type[ValueT]) -> None:
        bucket, number = projection_bucket(generation.projection), generation.number
        self._transport = generation.transport
        self._jetstream = JetStream(generation.transport)
        self._name = f"generation {number} of {bucket}"
        self._stream = bucket_stream(bucket)
        self._prefix = bucket_subject(bucket, f"{number}.")
        self._values = f"{self._prefix}value."
        self._position = f"{self._prefix}position"
        self._type = TypeAdapter(value)
        self._written: OrderedDict[str, bytes | None] = OrderedDict()
        self._changed: dict[str, bytes | None] | None = None
        self._revision = 0
        self._has_written_all = False
        """Whether `_written` has all values that there are, so that none has to be read."""

    @staticmethod
    def of(value: type[TypeT]) -> Callable[[Generation], KeyValueView[TypeT]]:
        """Return what makes views with values of a type, for `Projection`.

        Args:
            value: the type.
        """
        return lambda generation: KeyValueView(generation, value)

    async def get(self, key: ViewKey) -> ValueT | None:
        """Return a value, None if there is none.

        Args:
            key: the key.

        Raises:
            ValueError: the key has no text, or an empty one.
            FailedPreconditionError: what is stored is not of the type of the values.
            ServiceError: see JetStream.last.
        """
        subject = self._subject(key)
        if self._changed is None:
            return await self._load(subject, leader=False)
        for known in (self._changed, self._written):
            if subject in known:
                payload = known[subject]
                return None if payload is None else self._decoded(payload)
        if self._has_written_all:
            return None
        return await self._load(subject, leader=True)

    async def items(self, prefix: ViewKey = ()) -> AsyncGenerator[tuple[tuple[str, ...], ValueT]]:
        """Yield the keys and values of all keys, or of those that begin with some texts.

        What changes meanwhile may be missing, or come twice. Handlers of events do not see what
        they have changed themselves.

        Args:
            prefix: the first texts of the keys, all of them but the last one at most.

        Raises:
            FailedPreconditionError: what is stored is not of the type of the values.
            ServiceError: see JetStream.read.
        """
        subject = f"{self._values}{'.'.join([*_tokens(prefix), '>'])}"
        async for message in self._jetstream.read(self._stream, subject):
            if not is_deleted(message):
                tokens = message.subject.removeprefix(self._values).split(".")
                yield tuple(map(key_of_token, tokens)), self._decoded(message.payload)

    async def put(self, key: ViewKey, value: ValueT) -> None:
        """Set a value; only handlers of events may.

        Args:
            key: the key.
            value: the value.

        Raises:
            ValueError: the key has no text, or an empty one; the value is not of the type of the
                values, or nothing that JSON has.
            RuntimeError: no event is being handled.
        """
        self._change(key, None if value is None else self._encoded(value))

    async def delete(self, key: ViewKey) -> None:
        """Remove a value, if there is one; only handlers of events may.

        Args:
            key: the key.

        Raises:
            ValueError: the key has no text, or an empty one.
            RuntimeError: no event is being handled.
        """
        self._change(key, None)

    @property
    @override
    def is_full(self) -> bool:
        return self._changed is not None and len(self._changed) >= _FULL

    @override
    async def position(self) -> int:
        self._written.clear()  # another instance may have changed values since
        try:
            message = await self._jetstream.last(self._stream, self._position, leader=True)
        except NotFoundError:
            self._revision = 0
            self._has_written_all = True
            return 0
        if not POSITION.fullmatch(message.payload):
            raise connection_error(
                FailedPreconditionError, f"the position of {self._name} is not valid: {_REBUILD}"
            )
        self._revision = message.sequence
        self._has_written_all = False
        return int(message.payload)

    @override
    @asynccontextmanager
    async def transaction(self, checkpoint: Checkpoint) -> AsyncGenerator[None]:
        changed: dict[str, bytes | None] = {}
        self._changed = changed
        try:
            yield
        finally:
            self._changed = None
        await self._store(checkpoint.position, changed)

    @override
    async def drop(self) -> None:
        await self._jetstream.purge(self._stream, f"{self._prefix}>")

    async def _store(self, position: int, changed: dict[str, bytes | None]) -> None:
        if len(changed) > _MAX_CHANGES:
            # With it, up to _FULL - 1 changes of earlier events are stored.
            most = _MAX_CHANGES - _FULL + 1
            raise ValueError(f"an event may change up to {most} keys")
        messages = [
            BatchMessage(subject, b"", DELETED)
            if payload is None
            else BatchMessage(subject, payload)
            for subject, payload in changed.items()
        ]
        text = str(position).encode()
        # The revision of the position stands for the expected position.
        at = BatchMessage(self._position, text, expected_last_subject_sequence=self._revision)
        ack = await publish_batch(self._transport, [*messages, at], _TIMEOUT)
        self._revision = ack.sequence
        for subject, payload in changed.items():
            self._written[subject] = payload
            self._written.move_to_end(subject)
        while len(self._written) > _MAX_CACHED:
            self._written.popitem(last=False)
            self._has_written_all = False

    async def _load(self, subject: str, *, leader: bool) -> ValueT | None:
        try:
            message = await self._jetstream.last(self._stream, subject, leader=leader)
        except NotFoundError:
            return None
        return None if is_deleted(message) else self._decoded(message.payload)

    def _encoded(self, value: ValueT) -> bytes:
        """Return a value as JSON.

        Raises:
            ValueError: it could not be read again.
        """
        try:
            # A warning would show the value; reading it says more.
            payload = self._type.dump_json(value, by_alias=True, warnings=False)
            # A type with None would read the null that stands for NaN.
            is_changed = b"null" in payload and self._has_lost_numbers(value, payload)
            if self._type.validate_json(payload) is not None and not is_changed:
                return payload
        except ValueError:  # of pydantic, whose text has the value
            pass
        raise ValueError(
            f"this {type(value).__name__} is not of the type of the view's values, or is nothing"
            " that JSON has"
        )

    def _has_lost_numbers(self, value: ValueT, payload: bytes) -> bool:
        """Return whether null was written for NaN or an infinity."""
        plain = self._type.dump_python(value, warnings=False)
        leaves = _leaves(plain)
        if all(isfinite(each) for each in leaves if isinstance(each, float)):
            return False
        written = _leaves(from_json(payload))
        return sum(each is None for each in written) > sum(each is None for each in leaves)

    def _decoded(self, payload: bytes) -> ValueT:
        try:
            return self._type.validate_json(payload)
        except ValidationError:  # whose text has the value
            raise connection_error(
                FailedPreconditionError,
                f"a value in {self._name} is not of its type: {_REBUILD}; when the type changes,"
                " raise the version of the projection",
            ) from None

    def _change(self, key: ViewKey, payload: bytes | None) -> None:
        if self._changed is None:
            raise RuntimeError("only the handlers of events change a view")
        self._changed[self._subject(key)] = payload

    def _subject(self, key: ViewKey) -> str:
        tokens = _tokens(key)
        if not all(tokens) or not tokens:
            raise ValueError(f"a key has one text or more, none of them empty, not {key!r}")
        return self._values + ".".join(tokens)


def _leaves(value: object) -> list[object]:
    """Return what is in a value and has no parts, however deep."""
    leaves: list[object] = []
    parts: list[object] = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            parts += cast("dict[object, object]", part).values()
        elif isinstance(part, _ARRAYS):
            parts += cast("Iterable[object]", part)
        else:
            leaves.append(part)
    return leaves


def _tokens(key: ViewKey) -> list[str]:
    texts = (key,) if isinstance(key, str) else key
    if not isinstance(cast("object", texts), tuple) or not all(
        isinstance(cast("object", each), str) for each in texts
    ):
        raise TypeError(f"a key is a text or a tuple of texts, not {key!r}")
    return [key_token(each) for each in texts]
