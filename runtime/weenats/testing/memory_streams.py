"""Streams in memory: the part of JetStream that stored messages and key-value buckets need."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from weenats.protocol import headers as header_names
from weenats.protocol.headers import Headers
from weenats.protocol.subjects import matches
from weenats.transport.jetstream.api import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.protocol.timeouts import Clock

__all__ = ["Answer", "MemoryStreams"]
Answer = tuple[bytes, bytes]
"""The payload and the header block of an answer."""
_Response = dict[str, Any]
_START: Final = b"NATS/1.0\r\n"
_LINE: Final = b"\r\n"
_NOT_FOUND: Final = b"NATS/1.0 404 Message Not Found\r\n\r\n"
_END: Final = b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n"
_LAST_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
_DEFAULTS: Final[_Response] = {
    "storage": "file",
    "num_replicas": 1,
    "retention": "limits",
    "discard": "old",
}
"""Members that the server adds; all streams are in memory, whatever is asked for."""
_UNAVAILABLE: Final = 10004
_NEEDS_SERVER: Final = (
    "MemoryTransport keeps no events for consumers and readers: use weenats.testing.NatsServer"
)
_MISSING: Final = frozenset({10037, 10057, 10059})
_FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class _Message:
    subject: str
    payload: bytes = field(repr=False)
    lines: bytes = field(repr=False)
    sequence: int
    expires: float
    time: str

    @property
    def answer(self) -> Answer:
        """The answer to a direct request for it."""
        return self.payload, _START + self.lines + _LINE


class _Stream:
    """One stream.

    Args:
        config: its settings, as the API has them.
        clock: returns monotonic seconds.
    """

    def __init__(self, config: _Response, clock: Clock) -> None:
        self.original = config
        self.created = _now()
        self.config = {**_DEFAULTS, **config}
        self.name: str = config["name"]
        self.patterns: list[list[str]] = []
        self.last = 0
        self._stored: dict[int, _Message] = {}
        self._ids: dict[str, int] = {}
        self._clock = clock
        self.change(config)

    def change(self, config: _Response) -> None:
        """Change the settings."""
        self.config.update(config)
        self.patterns = [each.split(".") for each in self.config.get("subjects", [])]

    def messages(self, pattern: str = ">") -> list[_Message]:
        """Return the messages that have not expired, in their order."""
        now, tokens = self._clock(), pattern.split(".")
        self._stored = {n: each for n, each in self._stored.items() if each.expires > now}
        return [each for each in self._stored.values() if matches(tokens, each.subject.split("."))]

    def remove(self, messages: list[_Message]) -> int:
        """Remove messages, and return how many."""
        return sum(self._stored.pop(each.sequence, None) is not None for each in messages)

    def store(self, subject: str, payload: bytes, block: bytes) -> _Response:
        """Store a message, and return the acknowledgement."""
        headers = Headers(block)
        name = self.name
        if (first := self._ids.get(headers.get("Nats-Msg-Id", ""))) is not None:
            return {"stream": name, "seq": first, "duplicate": True}
        if headers.get("Nats-Expected-Stream", name) != name:
            return {"stream": name, "seq": 0, **_error(10060, "expected stream does not match")}
        earlier = self.messages(subject)
        current = earlier[-1].sequence if earlier else 0
        if int(headers.get(_LAST_SEQUENCE, current)) != current:
            wrong = _error(10071, f"wrong last sequence: {current}")
            return {"stream": name, "seq": 0, **wrong}
        self.last += 1
        if message_id := headers.get("Nats-Msg-Id"):
            self._ids[message_id] = self.last
        time = _now()
        own = {
            "Nats-Stream": name,
            "Nats-Subject": subject,
            "Nats-Sequence": str(self.last),
            "Nats-Time-Stamp": time,
        }
        self._stored[self.last] = _Message(
            subject,
            payload,
            block.removeprefix(_START).removesuffix(_LINE) + header_names.encode(own),
            self.last,
            self._clock() + _seconds(headers.get("Nats-TTL", "")),
            time,
        )
        limit = self.config.get("max_msgs_per_subject", -1)
        if limit > 0:
            self.remove(earlier[: len(earlier) + 1 - limit])
        return {"stream": name, "seq": self.last}

    def info(self) -> _Response:
        """Return the settings and the state."""
        messages = self.messages()
        state = {
            "messages": len(messages),
            "bytes": sum(len(each.payload) for each in messages),
            "first_seq": messages[0].sequence if messages else self.last + 1,
            "last_seq": self.last,
            "consumer_count": 0,
        }
        return {"config": self.config, "created": self.created, "state": state}


class MemoryStreams:
    """Answers the requests of `JetStream` that are about streams and their messages.

    There are no consumers. Messages expire; limits are only kept for each subject.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._streams: dict[str, _Stream] = {}
        self._clock = clock
        self._calls: dict[str, Callable[[_Stream, _Response], _Response]] = {
            "STREAM.INFO": lambda stream, _: stream.info(),
            "STREAM.UPDATE": self._update,
            "STREAM.DELETE": self._delete,
            "STREAM.PURGE": _purge,
            "STREAM.MSG.GET": _get,
            "STREAM.MSG.DELETE": _delete_message,
        }

    def answers(self, subject: str, payload: bytes, block: bytes) -> list[Answer]:
        """Return the answers to a message, [] if it is not for JetStream.

        Args:
            subject: the subject of the message.
            payload: its payload.
            block: its header block.
        """
        if not subject.startswith(PREFIX):
            tokens = subject.split(".")
            return [
                _encoded(stream.store(subject, payload, block))
                for stream in self._streams.values()
                if any(matches(pattern, tokens) for pattern in stream.patterns)
            ]
        operation, _, name = subject.removeprefix(PREFIX).rpartition(".")
        body: _Response = json.loads(payload or b"{}")
        stream = self._streams.get(name)
        if operation == "DIRECT.GET":
            return [] if stream is None else _direct(stream, body)
        if operation == "STREAM.CREATE":
            return [_encoded(self._create(name, body))]
        call = self._calls.get(operation)
        if call is None:
            is_consumer = operation.startswith("CONSUMER.")
            text = _NEEDS_SERVER if is_consumer else f"{operation} is not available in memory"
            return [_encoded(_error(_UNAVAILABLE, text))]
        if stream is None:
            return [_encoded(_error(10059, f"stream not found; {_NEEDS_SERVER}"))]
        return [_encoded(call(stream, body))]

    def _create(self, name: str, config: _Response) -> _Response:
        stream = self._streams.setdefault(name, _Stream(config, self._clock))
        if stream.original != config:
            return _error(10058, "stream name already in use with a different configuration")
        return stream.info()

    @staticmethod
    def _update(stream: _Stream, config: _Response) -> _Response:
        stream.change(config)
        return stream.info()

    def _delete(self, stream: _Stream, _: _Response) -> _Response:
        del self._streams[stream.name]
        return {"success": True}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _purge(stream: _Stream, body: _Response) -> _Response:
    return {"purged": stream.remove(stream.messages(body.get("filter", ">")))}


def _get(stream: _Stream, body: _Response) -> _Response:
    message = _found(stream, body)
    if message is None:
        return _error(10037, "no message found")
    lines = base64.b64encode(message.answer[1]).decode()
    data = base64.b64encode(message.payload).decode()
    members = {"subject": message.subject, "seq": message.sequence, "time": message.time}
    return {"message": {**members, "hdrs": lines, "data": data}}


def _delete_message(stream: _Stream, body: _Response) -> _Response:
    message = _found(stream, body)
    if message is None:
        return _error(10057, "no message found")
    return {"success": bool(stream.remove([message]))}


def _direct(stream: _Stream, body: _Response) -> list[Answer]:
    """Return the answers to a direct request: one message, or all from a sequence on."""
    if "batch" in body:
        messages = stream.messages(body.get("next_by_subj", ">"))
        return [
            *(each.answer for each in messages if each.sequence >= body["seq"]),
            (b"", _END),
        ]
    message = _found(stream, body)
    return [(b"", _NOT_FOUND) if message is None else message.answer]


def _found(stream: _Stream, body: _Response) -> _Message | None:
    """Return the message that a request is about.

    It is the one with a sequence, the first one of a subject from a sequence on, or its last one.
    """
    if "next_by_subj" in body:
        messages = stream.messages(body["next_by_subj"])
        return next((each for each in messages if each.sequence >= body["seq"]), None)
    messages = stream.messages(body.get("last_by_subj", ">"))
    if "seq" in body:
        messages = [each for each in messages if each.sequence == body["seq"]]
    return messages[-1] if messages else None


def _encoded(response: _Response) -> Answer:
    return json.dumps(response).encode(), b""


def _error(number: int, description: str) -> _Response:
    code = 404 if number in _MISSING else 400
    return {"error": {"code": code, "err_code": number, "description": description}}


def _seconds(ttl: str) -> float:
    """Return a time to live in seconds."""
    if not ttl:
        return _FOREVER
    return (
        int(ttl.removesuffix("ms")) / 1000 if ttl.endswith("ms") else float(ttl.removesuffix("s"))
    )
