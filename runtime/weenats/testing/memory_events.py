"""Durable events in memory: they are acknowledged and reach subscribers, and are not kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats.protocol.subjects import Kind

if TYPE_CHECKING:
    from weenats.protocol.headers import Headers

__all__ = ["MemoryEvents", "Stored"]
_MAX_IDS: Final = 10_000
_DURABLE_TOKENS: Final = 4
"""The tokens of the subject of a durable event at least: service, `stream`, partition, name."""


class Stored(NamedTuple):
    """The outcome of publishing a durable event.

    Attributes:
        acknowledgement: the answer of the stream.
        subject: the subject on which subscribers get it; "" for a repeated message.
    """

    acknowledgement: bytes
    subject: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.subject or 'nobody'}>"


class MemoryEvents:
    """Acknowledges durable events in place of the streams of a NATS server.

    It keeps no events: consumers of durable events need a NatsServer.
    """

    def __init__(self) -> None:
        self._sequences: dict[str, int] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def store(self, subject: str, headers: Headers) -> Stored | None:
        """Return the outcome of publishing a message; None if it is no durable event.

        Args:
            subject: the subject of the message.
            headers: its headers.
        """
        stream, tokens = headers.get("Nats-Expected-Stream", ""), subject.split(".")
        if not stream or len(tokens) < _DURABLE_TOKENS or tokens[1] != "stream":
            return None
        known = self._ids.get(key := (stream, headers.get("Nats-Msg-Id", "")))
        if key[1] and known is not None:
            return Stored(_answer({"stream": stream, "seq": known, "duplicate": True}), "")
        sequence = self._sequences[stream] = self._sequences.get(stream, 0) + 1
        self._ids[key] = sequence
        if len(self._ids) > _MAX_IDS:
            del self._ids[next(iter(self._ids))]
        event = ".".join([tokens[0], Kind.EVENT, *tokens[3:]])
        return Stored(_answer({"stream": stream, "seq": sequence}), event)


def _answer(members: dict[str, object]) -> bytes:
    return json.dumps(members).encode()
