"""The settings that the streams of a contract have on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weenats.protocol import subjects
from weenats.transport.jetstream import Republish, StreamConfig

if TYPE_CHECKING:
    from weenats.contract import Stream

__all__ = ["CONSUMER", "PARTITIONS", "SERVICE", "dead_letter_config", "stream_config"]
SERVICE: Final = "weenats.service"
"""The metadata that says to whose contract a stream belongs."""
PARTITIONS: Final = "weenats.partitions"
"""The metadata that says how many partitions a stream has."""
CONSUMER: Final = "weenats.consumer"
"""The metadata of a consumer on the server with the name of the durable consumer."""


def stream_config(stream: Stream) -> StreamConfig:
    """Return the settings of the stream of events.

    Core subscribers get each event after it was stored, on the subject that it has without a
    stream. Nothing is removed to make room: at its limits the stream refuses new events.

    Args:
        stream: the stream.
    """
    service = stream.service
    return StreamConfig(
        name=stream.name,
        subjects=(
            *(subjects.stored_event(service, "*", each) for each in stream.events),
            subjects.retry(stream.name, service, "*", "*"),
        ),
        storage=stream.storage,
        replicas=stream.replicas,
        discard="new",
        max_age=stream.max_age,
        max_bytes=stream.max_bytes,
        max_messages=stream.max_messages,
        republish=Republish(subjects.stored_event(service, "*", ">"), f"{service}.events.>"),
        metadata={SERVICE: service, PARTITIONS: str(stream.partitions)},
    )


def dead_letter_config(stream: Stream) -> StreamConfig:
    """Return the settings of the stream of dead letters, which has no limits.

    Args:
        stream: the stream of events.
    """
    return StreamConfig(
        name=stream.dead_letters,
        subjects=(subjects.dead_letter(stream.name, stream.service, "*"),),
        storage=stream.storage,
        replicas=stream.replicas,
        discard="new",
        metadata={SERVICE: stream.service},
    )
