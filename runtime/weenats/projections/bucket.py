"""The bucket of a projection: it is created, and gets back settings that somebody has edited."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger
from weenats.errors import AlreadyExistsError, FailedPreconditionError, PermissionDeniedError
from weenats.projections.generation import projection_bucket
from weenats.transport.jetstream import (
    JetStream,
    JetStreamRefusedError,
    bucket_config,
)
from weenats.transport.jetstream.config import changed_settings

if TYPE_CHECKING:
    from weenats.contract import Stream
    from weenats.transport.jetstream import StreamConfig

__all__ = ["PROJECTION", "STREAM", "UnusableBucketError", "ensure_bucket"]
PROJECTION: Final = "weenats.projection"
"""The metadata of a bucket with the name of its projection."""
STREAM: Final = "weenats.projection.stream"
"""The metadata of a bucket with the name of the stream whose events are read."""
_LOG: Final = LimitedLogger("weenats.projections")
_LOSING: Final = frozenset({"retention", "max_age", "max_bytes", "max_messages"})
"""Settings by which values may have been removed."""
_MAX_SIZE: Final = "max_msg_size"
_NO_LIMIT: Final = -1


class UnusableBucketError(FailedPreconditionError):
    """The bucket of a projection has settings with which it cannot keep a view."""

    of_connection = True


async def ensure_bucket(jetstream: JetStream, projection: str, stream: Stream) -> None:
    """Create the bucket of a projection if there is none; give it back settings that were edited.

    More replicas stay, and so does what makes no difference to a view.

    Args:
        jetstream: the streams of the account.
        projection: the name of the projection.
        stream: the stream whose events are read; as many servers keep the bucket.

    Raises:
        UnusableBucketError: the settings cannot be changed.
        ServiceError: see JetStream.create_stream.
    """
    wanted = replace(
        bucket_config(projection_bucket(projection), replicas=stream.replicas),
        allow_atomic=True,
        metadata={PROJECTION: projection, STREAM: stream.name},
    )
    try:
        has = (await jetstream.ensure_stream(wanted)).config
    except PermissionDeniedError as error:
        _LOG.warning("the settings of %s are not checked: %s", wanted.name, error)
        with suppress(AlreadyExistsError):  # another instance may have been quicker
            await jetstream.create_stream(wanted)
        return
    restored = _restored(has, wanted)
    if restored != has:
        await _restore(jetstream, has, restored)


def _restored(has: StreamConfig, wanted: StreamConfig) -> StreamConfig:
    """Return the settings that the bucket gets."""
    other = {name: value for name, value in has.other.items() if name not in has.obstacles}
    if _MAX_SIZE in other:
        other[_MAX_SIZE] = _NO_LIMIT
    return replace(
        has,
        subjects=wanted.subjects,
        replicas=max(wanted.replicas, has.replicas),
        retention=wanted.retention,
        discard=wanted.discard,
        max_age=wanted.max_age,
        max_bytes=wanted.max_bytes,
        max_messages=wanted.max_messages,
        max_messages_per_subject=wanted.max_messages_per_subject,
        allow_direct=wanted.allow_direct,
        allow_rollup=wanted.allow_rollup,
        allow_ttl=wanted.allow_ttl,
        allow_atomic=wanted.allow_atomic,
        marker_ttl=wanted.marker_ttl,
        other=other,
    )


async def _restore(jetstream: JetStream, has: StreamConfig, restored: StreamConfig) -> None:
    changed = changed_settings(has, restored)
    names = ", ".join(sorted(changed))
    try:
        await jetstream.update_stream(restored)
    except (JetStreamRefusedError, PermissionDeniedError) as error:
        if restored.replicas != has.replicas:  # there may be less servers: it works nevertheless
            _LOG.error("%s keeps %d replicas: %s", has.name, has.replicas, error)
            if (rest := replace(restored, replicas=has.replicas)) != has:
                await _restore(jetstream, has, rest)
            return
        raise UnusableBucketError(
            f"the bucket {has.name} has other settings ({names}), which cannot be changed back: set"
            f" them, or delete it to have the view built anew ({error.message})"
        ) from None
    _LOG.warning(
        "somebody has changed the bucket %s: %s; it gets its settings back", has.name, names
    )
    if changed & _LOSING and (has.discard == "old" or changed & {"retention", "max_age"}):
        _LOG.error(
            "values of %s may have been lost by them: build the projection anew (weenats rebuild)",
            has.name,
        )
