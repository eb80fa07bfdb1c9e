"""Behaviour specific to the in-memory transport."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from testkit.waiting import settle
from weenats.protocol.subjects import matches
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

TOKENS = st.sampled_from(["a", "b", "ab", "A", "a-b"])
SUBJECTS = st.lists(TOKENS, min_size=1, max_size=5).map(".".join)
PATTERNS = st.tuples(
    st.lists(TOKENS | st.just("*"), min_size=1, max_size=5), st.sampled_from([[], [">"]])
).map(lambda parts: ".".join([*parts[0], *parts[1]]))


def matches_by_regex(pattern: str, subject: str) -> bool:
    """Return whether NATS would deliver, by a regular expression."""
    parts = [
        {"*": r"[^.]+", ">": r".+"}.get(token, re.escape(token)) for token in pattern.split(".")
    ]
    return re.fullmatch(r"\.".join(parts), subject) is not None


@given(PATTERNS, SUBJECTS)
@example(">", "a")
@example("a.>", "a")
@example("*", "a.b")
def test_subjects_match_like_in_nats(pattern: str, subject: str) -> None:
    """`*` matches one token, `>` one or more at the end."""
    assert matches(pattern.split("."), subject.split(".")) is matches_by_regex(pattern, subject)


async def test_delivery_is_asynchronous() -> None:
    """A callback runs on a later turn of the event loop, as over a network."""
    transport, arrived = MemoryTransport(), list[Delivery]()
    await transport.connect()
    transport.subscribe("a", arrived.append)
    transport.publish("a", b"1")
    assert arrived == []
    await settle()
    assert [delivery.payload for delivery in arrived] == [b"1"]


async def test_queue_group_members_take_turns() -> None:
    """Members of a group share messages evenly, and each group gets every message."""
    transport, counts = MemoryTransport(), dict[str, int]()
    await transport.connect()

    def count(name: str) -> None:
        transport.subscribe(
            "a", lambda _: counts.__setitem__(name, counts.get(name, 0) + 1), name[0]
        )

    for name in ("x1", "x2", "y1"):
        count(name)
    for _ in range(10):
        transport.publish("a", b"")
    await settle()
    assert counts == {"x1": 5, "x2": 5, "y1": 10}
