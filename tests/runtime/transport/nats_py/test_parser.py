"""The NATS protocol parser gives the same messages however the bytes are split."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise

import nats.errors
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weenats.transport.nats_py.parser import MessageParser

Message = tuple[int, bytes, bytes, bytes, bytes]
CONTROL = (
    b"PING\r\n",
    b"PONG\r\n",
    b"+OK\r\n",
    b'INFO {"server_id":"a","max_payload":1048576}\r\n',
    b"-ERR 'Permissions Violation for Publish to \"A.b\"'\r\n",
    b"-ERR 'Stale Connection'\r\n",
)


class Connection:
    """Records what the parser passes to the connection."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.controls: list[str] = []

    def dispatch(
        self, sid: int, subject: bytes, reply: bytes, payload: bytes, block: bytes
    ) -> None:
        """Record a message."""
        self.messages.append((sid, subject, reply, bytes(payload), bytes(block)))

    async def _process_ping(self) -> None:
        self.controls.append("PING")

    async def _process_pong(self) -> None:
        self.controls.append("PONG")

    async def _process_info(self, info: dict[str, object]) -> None:
        assert info["max_payload"] == 1048576
        self.controls.append("INFO")

    async def _process_err(self, text: str) -> None:
        assert text == "'stale connection'"
        self.controls.append("-ERR")

    def refuse(self, what: str, subject: str) -> None:
        """Record a permission error; the subject keeps its case."""
        assert (what, subject) == ("publish", "A.b")
        self.controls.append("-ERR")


def frame(message: Message) -> bytes:
    """Return a message as the server sends it."""
    sid, subject, reply, payload, block = message
    head = b" ".join(part for part in (subject, b"%d" % sid, reply) if part)
    size = len(payload) + len(block)
    if block:
        return b"HMSG %b %d %d\r\n%b%b\r\n" % (head, len(block), size, block, payload)
    return b"MSG %b %d\r\n%b\r\n" % (head, size, payload)


def parse(pieces: Iterable[bytes]) -> Connection:
    """Feed the parser and return the connection."""

    async def feed() -> Connection:
        connection = Connection()
        parser = MessageParser(connection, connection.dispatch, connection.refuse)  # type: ignore[arg-type]
        for piece in pieces:
            await parser.parse(piece)
        return connection

    return asyncio.run(feed())


subjects = st.sampled_from([b"a", b"MSG.b", b"PING", "ä.é".encode(), b"a.\x0bb", b"HMSG"])
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\r\n", b"PING\r\n", b"MSG a 1 5\r\nhello\r\n", b"x" * 5000]),
)
blocks = st.sampled_from([b"", b"NATS/1.0\r\n\r\n", b"NATS/1.0 503\r\n\r\n", b"\xff:\r\nMSG", b"x"])
messages = st.tuples(
    st.integers(1, 2**40), subjects, st.one_of(st.just(b""), subjects), bodies, blocks
)
streams = st.lists(st.one_of(messages, st.sampled_from(CONTROL)), max_size=8)


@given(stream=streams, cuts=st.lists(st.integers(0, 6000), max_size=12))
@example(stream=[(1, b"a", b"", b"", b""), b"PING\r\n"], cuts=list(range(40)))
def test_any_split_gives_the_same_messages(stream: list[Message | bytes], cuts: list[int]) -> None:
    """Messages and control lines are complete and in order, wherever the bytes are split."""
    data = b"".join(part if isinstance(part, bytes) else frame(part) for part in stream)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    connection = parse(data[start:end] for start, end in pairwise(edges))
    assert connection.messages == [part for part in stream if not isinstance(part, bytes)]
    controls = [part.split()[0].decode() for part in stream if isinstance(part, bytes)]
    assert connection.controls == [each for each in controls if each != "+OK"]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_parser_handles_few_bytes_at_a_time(step: int) -> None:
    """Messages are parsed from pieces of one to seven bytes."""
    message = (7, b"a.b", b"_INBOX.1", b"pay\r\nload", b"NATS/1.0\r\nA: b\r\n\r\n")
    data = CONTROL[0] + frame(message) * 3 + CONTROL[3]
    connection = parse(data[start : start + step] for start in range(0, len(data), step))
    assert connection.messages == [message] * 3
    assert connection.controls == ["PING", "INFO"]


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a x 5\r\n",
        b"MSG a 1 five\r\n",
        b"MSG a\r\n",
        b"MSG\r\n",
        b"HMSG a 1 x 5\r\n",
        b"MSG a 1 \xff\r\n",
        b"MSG a 1 -13\r\n",
        b"PONG\r\nMSG a 1 -15\r\n",
        b"HMSG a 1 6 5\r\n",
        b"HMSG a 1 -1 5\r\n",
        b"MSG a 1 2147483648\r\n",
    ],
)
def test_invalid_message_line_raises_protocol_error(line: bytes) -> None:
    """An invalid line, or size, raises the one error after which the connection is reopened."""
    with pytest.raises(nats.errors.ProtocolError):
        parse([line + b"hello\r\n"])


def test_line_without_end_raises_protocol_error() -> None:
    """A line that never ends is not kept; the rest of a large message is."""
    with pytest.raises(nats.errors.ProtocolError):
        parse([b"INFO " + b"x" * 100_000] * 20)
    message = (1, b"a", b"", b"x" * 2_000_000, b"")
    data = frame(message)
    connection = parse(data[start : start + 100_000] for start in range(0, len(data), 100_000))
    assert connection.messages == [message]


@pytest.mark.parametrize(
    "line",
    [
        b"INFO {\r\n",
        b"INFO \xff\r\n",
        b"INFO " + b"[" * 100_000 + b"\r\n",
        b"x" * 10_000 + b"\r\n",
    ],
)
def test_invalid_control_line_raises_protocol_error(line: bytes) -> None:
    """Lines that nats-py does not understand, or waits for the rest of, are handled alike."""
    with pytest.raises(nats.errors.ProtocolError):
        parse([line, b"PING\r\n"])


def test_reset_discards_partial_data() -> None:
    """Partial data of a broken connection is not mixed with the next one."""

    async def feed() -> Connection:
        connection = Connection()
        parser = MessageParser(connection, connection.dispatch, connection.refuse)  # type: ignore[arg-type]
        await parser.parse(b"MSG old 1 10\r\nhal")
        parser.reset()
        await parser.parse(frame((2, b"new", b"", b"whole", b"")))
        return connection

    assert asyncio.run(feed()).messages == [(2, b"new", b"", b"whole", b"")]
