"""Objects in JetStream that hold what does not fit into a message, for a short time."""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from os import urandom
from typing import TYPE_CHECKING, Final, NamedTuple

from ulid import base32

from weenats.errors import (
    FailedPreconditionError,
    MessageTooLargeError,
    ServiceError,
    connection_error,
)
from weenats.protocol.headers import encode
from weenats.transport.jetstream import JetStream, StreamConfig

if TYPE_CHECKING:
    from weenats.transport.base import Transport

__all__ = ["LargeObjects", "ObjectDamagedError", "Reference", "objects_bucket", "objects_config"]
_TIMEOUT: Final = 5.0
"""Seconds that JetStream has for an answer."""
_CHUNK: Final = 128 * 1024
_FRAMING: Final = 1024
"""Bytes of a message that holds a chunk, in addition to it, at most."""
_GRACE: Final = 60.0
"""Seconds for which an object stays after the deadline of its call, if nobody removes it."""
_MAX_AGE: Final = 86_400.0
_NAME_BYTES: Final = 16
"""Random bytes that the name of an object stands for."""
_REFERENCE: Final = re.compile(r"([0-9A-Z]{26}) ([0-9]{1,15}) ([0-9a-f]{64})")
_REMOVED: Final = encode({"Nats-Rollup": "sub", "Nats-TTL": "1s"})


def _keeps_objects(found: StreamConfig) -> bool:
    is_limited = found.max_bytes is not None or found.max_messages is not None
    return (
        found.allow_direct
        and found.allow_ttl
        and found.max_messages_per_subject is None
        and found.retention == "limits"
        and not (is_limited and found.discard == "old")
    )


class ObjectDamagedError(ValueError):
    """An object is missing, or is not what its reference says."""


class Reference(NamedTuple):
    """What a message says of an object that is left out of it.

    Attributes:
        name: the name of the object.
        size: its size in bytes.
        digest: its SHA-256 digest, in lower-case hexadecimal.
    """

    name: str
    size: int
    digest: str

    @classmethod
    def read(cls, text: str) -> Reference | None:
        """Return the reference in a header, None when it is malformed.

        Args:
            text: the value of the header.
        """
        found = _REFERENCE.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.name} {self.size} {self.digest}"


def objects_bucket(service: str) -> str:
    """Return the name of the bucket of a service.

    Args:
        service: the name of the service.
    """
    return f"{service}-large"


def objects_config(service: str) -> StreamConfig:
    """Return the settings of the stream of a service's large payloads.

    Args:
        service: the name of the service.
    """
    bucket = objects_bucket(service)
    return StreamConfig(
        name=f"OBJ_{bucket}",
        subjects=(f"$O.{bucket}.C.*",),
        description="Large payloads and results, until they have been read.",
        discard="new",
        max_age=_MAX_AGE,
        allow_rollup=True,
        allow_ttl=True,
    )


class LargeObjects:
    """The object store of a service, as its instances and its callers use it.

    Args:
        service: the name of the service.
        transport: the connection.
    """

    def __init__(self, service: str, transport: Transport) -> None:
        self._config = objects_config(service)
        self._prefix = f"$O.{objects_bucket(service)}.C."
        self._transport = transport
        self._jetstream = JetStream(transport, _TIMEOUT)

    async def open(self) -> None:
        """Create the bucket if there is none.

        Raises:
            FailedPreconditionError: it has settings with which it does not keep objects as they
                are.
            ServiceError: JetStream is not available, or refuses.
        """
        found = (await self._jetstream.ensure_stream(self._config)).config
        if found.obstacles or not _keeps_objects(found):
            raise FailedPreconditionError(
                f"the stream {found.name} does not keep large payloads as they are: it needs the"
                " settings that it is created with, except replicas, limits and compression"
            )

    async def put(self, data: bytes, seconds: float) -> Reference:
        """Store an object.

        Args:
            data: what it holds.
            seconds: for how long it is needed at most.

        Raises:
            MessageTooLargeError: the server carries messages that are too small for chunks.
            ServiceError: JetStream is not available, or refuses.
        """
        # Not a message id, which can be guessed from others: a service removes what callers name.
        name = base32.encode(urandom(_NAME_BYTES))
        reference = Reference(name, len(data), sha256(data).hexdigest())
        subject = self._prefix + reference.name
        size = min(_CHUNK, self._transport.max_payload - _FRAMING)
        if size < 1:
            raise connection_error(
                MessageTooLargeError,
                f"chunks need more than {_FRAMING} bytes, the NATS server carries at most"
                f" {self._transport.max_payload}",
            )
        try:
            for start in range(0, len(data), size):
                chunk = data[start : start + size]
                await self._jetstream.publish(subject, chunk, ttl=seconds + _GRACE)
        except BaseException:
            self.remove(reference)
            raise
        return reference

    async def get(self, reference: Reference) -> bytes:
        """Return what an object holds; never more than its reference says.

        Args:
            reference: the reference.

        Raises:
            ObjectDamagedError: it is missing, or is not what the reference says.
            ServiceError: JetStream is not available.
        """
        chunks: list[bytes] = []
        left = reference.size
        stored = self._jetstream.read(self._config.name, self._prefix + reference.name)
        async for message in stored:
            left -= len(message.payload)
            chunks.append(message.payload)
            if left < 0 or not message.payload:  # else a few bytes could take for ever
                break
        await stored.aclose()
        data = b"".join(chunks)
        if left or sha256(data).hexdigest() != reference.digest:
            raise ObjectDamagedError("it is missing or damaged")
        return data

    def remove(self, reference: Reference) -> None:
        """Remove an object; does not wait. One that is left expires.

        Args:
            reference: the reference.
        """
        with suppress(ServiceError):
            self._transport.publish(self._prefix + reference.name, b"", _REMOVED)
