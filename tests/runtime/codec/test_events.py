"""Encoding and decoding of event notifications."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import HAPPENED, Happened
from testkit.wire import METADATA, dump
from weenats.codec.events import EventCodec
from weenats.errors import InvalidArgumentError
from weenats.events import ReceivedEvent, publish
from weenats.testing import MemoryTransport


def notification(**members: Any) -> bytes:
    """Return a notification with changed members; `...` removes a member."""
    body = {
        "id": METADATA["messageId"],
        "type": "happened",
        "aggregate": {"type": "thing", "key": "k"},
        "revision": 0,
        "timestamp": METADATA["timestamp"],
        "data": {"whatText": "x"},
        **members,
    }
    return dump({name: value for name, value in body.items() if value is not ...})


@given(st.binary(max_size=300) | st.text(max_size=100).map(dump))
@example(b"[" * 100_000)
def test_garbage_raises_invalid_argument(data: bytes) -> None:
    """Arbitrary bytes raise InvalidArgumentError and no other exception."""
    with pytest.raises(InvalidArgumentError, match="the event happened breaks the contract"):
        EventCodec(HAPPENED).decode(data)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"id": ...}, "/id"), ({"id": "x"}, "/id"), ({"type": ...}, "/type"),
        ({"type": "other"}, "/type"),
        ({"aggregate": {"type": "other", "key": "k"}}, "/aggregate/type"),
        ({"aggregate": {"type": "thing", "key": ""}}, "/aggregate/key"),
        ({"revision": -1}, "/revision"), ({"revision": 1.5}, "/revision"),
        ({"revision": "1"}, "/revision"),
        ({"timestamp": "now"}, "/timestamp"), ({"data": ...}, "/data"),
        ({"data": {"text": "x"}}, "/data/whatText"), ({"metadata": {}}, "/metadata/messageId"),
    ],
)  # fmt: skip
def test_invalid_members_are_rejected(members: dict[str, Any], pointer: str) -> None:
    """Another event, another aggregate or an invalid member is reported with its pointer."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(notification(**members))
    assert pointer in [each["pointer"] for each in refused.value.details["violations"]]


def outcome(data: bytes) -> object:
    """Return what is in an event, or where it is invalid."""
    try:
        return EventCodec(HAPPENED).decode(data)
    except InvalidArgumentError as error:
        # An error that is the context of this one would have values of the event.
        return error.__context__ is None, [each["pointer"] for each in error.details["violations"]]


@pytest.mark.slow
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).filter(str.isprintable),
    st.text(),
    st.none() | st.integers(0, 2**70),
    st.none() | st.just("c 1") | st.just('"'),
    st.integers(0, 1000),
    st.binary(max_size=3) | st.sampled_from([b"NaN", b'","metadata":{', b'"', b"\\", b"0", b"e9"]),
)
@example("k", ',"metadata":{}}', 1, "c", 0, b"")
def test_events_are_read_alike_however_they_are_written(
    key: str, text: str, revision: int | None, cause: str | None, place: int, edit: bytes
) -> None:
    """What the pattern for usual events accepts is read as by the validator of all events."""
    context = make_context(causation_id=cause, correlation_id=cause or "c")
    data = EventCodec(HAPPENED).encode(key, Happened(text=text), revision, context)
    assert outcome(data) == outcome(b" " + data)
    place %= len(data)
    changed = data[:place] + edit + data[place + len(edit) :]
    assert outcome(changed) == outcome(b" " + changed)


def test_unknown_members_are_ignored() -> None:
    """Members of later versions are ignored."""
    received = EventCodec(HAPPENED).decode(notification(later=1, metadata={**METADATA, "later": 1}))
    assert ReceivedEvent[Happened](received, {}).data == Happened(text="x")


class Color(str, Enum):  # noqa: UP042 - one that is formatted as its name
    """Values of a key that are text and more."""

    RED = "red"


@pytest.mark.parametrize("key", [Color.RED, "k-1", 'a"\\b', "é", "a" * 256])
def test_keys_are_published_as_they_are(key: str) -> None:
    """Subscribers get the key of the publisher, also if it is an Enum of texts."""
    codec = EventCodec(HAPPENED)
    event = codec.encode(key, Happened(text="x"), 1, make_context())
    assert ReceivedEvent[Happened](codec.decode(event), {}).key == key


@pytest.mark.parametrize("key", ["", "a" * 257, "a\n", "\x7f", "\ud800"])
def test_invalid_keys_are_not_published(key: Any) -> None:
    """A key that subscribers would reject is rejected before publishing."""
    with pytest.raises(InvalidArgumentError, match="the event happened cannot be encoded"):
        EventCodec(HAPPENED).encode(key, Happened(text="x"), 1, make_context())


@pytest.mark.parametrize("revision", [-1, 1.5, True, "1", None])
async def test_invalid_revisions_are_rejected(revision: Any) -> None:
    """A revision that is not an integer from 0 is rejected, not rounded."""
    with pytest.raises(InvalidArgumentError, match="integer of at least 0"):
        await publish(MemoryTransport(), HAPPENED, "k", Happened(text="x"), revision=revision)
