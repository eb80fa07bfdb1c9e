"""Notifications as they come and go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import HAPPENED, Happened
from testkit.wire import METADATA, dump
from weenats.codec import EventCodec
from weenats.errors import InvalidArgumentError
from weenats.events import publish
from weenats.testing import MemoryTransport


def notification(**members: Any) -> bytes:
    """Return a notification; a test changes members, ... leaves one out."""
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
def test_garbage_is_an_invalid_argument(data: bytes) -> None:
    """Whatever bytes come, no other exception leaves the codec."""
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
def test_each_member_is_checked(members: dict[str, Any], pointer: str) -> None:
    """Another event, another aggregate, a bad member: refused with the pointer to it."""
    with pytest.raises(InvalidArgumentError) as refused:
        EventCodec(HAPPENED).decode(notification(**members))
    assert pointer in [each["pointer"] for each in refused.value.details["violations"]]


def test_unknown_members_are_ignored() -> None:
    """A later version of the wire may say more; data is of the event's own type."""
    received = EventCodec(HAPPENED).decode(notification(later=1, metadata={**METADATA, "later": 1}))
    assert received["data"] == Happened(text="x")


@pytest.mark.parametrize("key", ["", "a" * 257, "a\n", "\x7f", "\ud800", 5, None])
def test_keys_that_subscribers_would_drop_are_not_published(key: Any) -> None:
    """A publisher gets no reply, so what nobody could take is refused before it is sent."""
    with pytest.raises(InvalidArgumentError, match="the event happened cannot be encoded"):
        EventCodec(HAPPENED).encode(key, Happened(text="x"), 1, make_context())


@pytest.mark.parametrize("revision", [-1, 1.5, True, "1", None])
async def test_revisions_are_whole_numbers(revision: Any) -> None:
    """What is no integer of at least 0 is refused and not rounded."""
    with pytest.raises(InvalidArgumentError, match="integer of at least 0"):
        await publish(MemoryTransport(), HAPPENED, "k", Happened(text="x"), revision=revision)
