"""Key-value buckets: streams that keep the last message of each subject (ADR-8)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from weenats.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, connection_error
from weenats.transport.jetstream.config import StreamConfig
from weenats.transport.jetstream.errors import WrongSequenceError

if TYPE_CHECKING:
    from weenats.transport.jetstream.client import JetStream
    from weenats.transport.jetstream.messages import StoredMessage

__all__ = [
    "DELETED",
    "KeyValue",
    "KeyValueEntry",
    "bucket_config",
    "bucket_stream",
    "bucket_subject",
    "is_deleted",
]
_KEY: Final = re.compile(r"[-/_=a-zA-Z0-9]+(?:\.[-/_=a-zA-Z0-9]+)*")
_OPERATION: Final = "KV-Operation"
DELETED: Final = b"KV-Operation: DEL\r\nNats-TTL: 60s\r\n"
"""The header lines of the message that marks a key as deleted, for a minute."""
_MARKER: Final = "Nats-Marker-Reason"
_MARKER_TTL: Final = 60.0


@dataclass(frozen=True, slots=True)
class KeyValueEntry:
    """A value of a bucket.

    Attributes:
        key: the key.
        value: the value.
        revision: its revision, which `KeyValue.update` expects.
    """

    key: str
    value: bytes = field(repr=False)
    revision: int


def bucket_stream(bucket: str) -> str:
    """Return the name of the stream of a bucket.

    Args:
        bucket: the name of the bucket.
    """
    return f"KV_{bucket}"


def bucket_subject(bucket: str, key: str) -> str:
    """Return the subject of a key of a bucket.

    Args:
        bucket: the name of the bucket.
        key: the key.
    """
    return f"$KV.{bucket}.{key}"


def bucket_config(bucket: str, *, replicas: int = 1, ttl: float | None = None) -> StreamConfig:
    """Return the settings of the stream of a bucket, for `JetStream.create_stream`.

    Args:
        bucket: the name of the bucket.
        replicas: how many servers keep it.
        ttl: after how many seconds values are removed; None for never.
    """
    return StreamConfig(
        name=bucket_stream(bucket),
        subjects=(bucket_subject(bucket, ">"),),
        replicas=replicas,
        discard="new",
        max_age=ttl,
        max_messages_per_subject=1,
        allow_rollup=True,
        allow_ttl=True,
        marker_ttl=_MARKER_TTL,
        deny_delete=True,
    )


class KeyValue:
    """A bucket of values with keys; made by `JetStream.key_value`.

    Args:
        jetstream: the connection to JetStream.
        bucket: the name of the bucket, whose stream exists, see `bucket_config`.
    """

    def __init__(self, jetstream: JetStream, bucket: str) -> None:
        self._jetstream = jetstream
        self._stream = bucket_stream(bucket)
        self._prefix = bucket_subject(bucket, "")

    async def get(self, key: str, *, leader: bool = False) -> KeyValueEntry | None:
        """Return the value of a key; None if there is none, it was deleted, or it has expired.

        With replicas it may be an old value for a moment. `update` notices it.

        Args:
            key: the key.
            leader: ask the leader of the bucket, which has the latest value.

        Raises:
            StreamMissingError: the bucket does not exist.
            ServiceError: see JetStream.last.
        """
        message, revision = await self.state(key, leader=leader)
        return None if message is None else KeyValueEntry(key, message.payload, revision)

    async def state(self, key: str, *, leader: bool = False) -> tuple[StoredMessage | None, int]:
        """Return the message with the value of a key, None if there is none, and its revision.

        A key that was deleted has a revision as well: that of the marker, which `update` expects.

        Args:
            key: the key.
            leader: ask the leader of the bucket, which has the latest value.

        Raises:
            StreamMissingError: the bucket does not exist.
            ServiceError: see JetStream.last.
        """
        try:
            message = await self._jetstream.last(self._stream, self._subject(key), leader=leader)
        except NotFoundError:
            return None, 0
        return None if is_deleted(message) else message, message.sequence

    async def ensure_expiry(self, key: str, message: StoredMessage, ttl: float) -> None:
        """Let a value expire that never would, such as one that another program wrote.

        Args:
            key: the key.
            message: the message with the value.
            ttl: after how many seconds it is removed, at least 1.

        Raises:
            ServiceError: see JetStream.publish.
        """
        if message.headers.get("Nats-TTL", "never") == "never":
            with suppress(WrongSequenceError):
                await self.update(key, message.payload, message.sequence, ttl=ttl)

    async def put(self, key: str, value: bytes) -> int:
        """Set a value, whatever is there.

        Args:
            key: the key.
            value: the value.

        Returns:
            Its revision.

        Raises:
            ServiceError: see JetStream.publish.
        """
        ack = await self._jetstream.publish(self._subject(key), value)
        return ack.sequence

    async def create(self, key: str, value: bytes, *, ttl: float | None = None) -> int:
        """Set a value where there is none.

        Args:
            key: the key.
            value: the value.
            ttl: after how many seconds it is removed, at least 1; None for never.

        Returns:
            Its revision.

        Raises:
            AlreadyExistsError: there is one.
            ServiceError: see JetStream.publish.
        """
        try:
            return await self.update(key, value, 0, ttl=ttl)
        except WrongSequenceError:
            message, revision = await self.state(key, leader=True)
            if message is not None:
                raise self._exists(key) from None
        try:
            return await self.update(key, value, revision, ttl=ttl)
        except WrongSequenceError:
            raise self._exists(key) from None

    async def update(
        self, key: str, value: bytes, revision: int, *, ttl: float | None = None
    ) -> int:
        """Replace a value if nobody else has replaced it meanwhile.

        Args:
            key: the key.
            value: the value.
            revision: the revision to replace.
            ttl: after how many seconds it is removed, at least 1; None for never.

        Returns:
            The new revision.

        Raises:
            WrongSequenceError: it has another revision.
            ServiceError: see JetStream.publish.
        """
        ack = await self._jetstream.publish(
            self._subject(key), value, expected_last_subject_sequence=revision, ttl=ttl
        )
        return ack.sequence

    async def delete(self, key: str) -> None:
        """Delete a value; a marker stays for a minute.

        Args:
            key: the key.

        Raises:
            ServiceError: see JetStream.publish.
        """
        await self._jetstream.publish(self._subject(key), b"", DELETED)

    def discard(self, key: str, revision: int) -> None:
        """Delete a value if nobody has replaced it; does not wait for the answer of the server.

        Args:
            key: the key.
            revision: the revision to delete; the server may get the message much later.

        Raises:
            ServiceError: see Transport.publish.
        """
        self._jetstream.publish_unconfirmed(self._subject(key), b"", DELETED, revision)

    def _exists(self, key: str) -> AlreadyExistsError:
        return connection_error(AlreadyExistsError, f"{key} exists already in {self._stream}")

    def _subject(self, key: str) -> str:
        if _KEY.fullmatch(key) is None:
            raise connection_error(
                InvalidArgumentError,
                f"{key!r} is not a valid key: it has letters, digits and -/_= , and tokens are"
                " separated by single dots",
            )
        return self._prefix + key


def is_deleted(message: StoredMessage) -> bool:
    """Return whether a message marks a key as deleted, or expired.

    Args:
        message: the message.
    """
    return _OPERATION in message.headers or _MARKER in message.headers
