"""Encoding and decoding of event notifications."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testkit.contexts import make_context
from testkit.probe import HAPPENED, Happened
from testkit.wire import METADATA, dump
from weenats.codec.events import EventCodec
from weenats.errors import InvalidArgumentError
from weenats.events import publish
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


def test_unknown_members_are_ignored() -> None:
    """Members of later versions are ignored."""
    received = EventCodec(HAPPENED).decode(notification(later=1, metadata={**METADATA, "later": 1}))
    assert received["data"] == Happened(text="x")


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
