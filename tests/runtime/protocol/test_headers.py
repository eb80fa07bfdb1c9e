"""Headers: read whatever comes, write only what is the user's to set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weenats.errors import InvalidArgumentError
from weenats.protocol import headers
from weenats.protocol.headers import Headers
from weenats.transport import Delivery

FIRST = b"NATS/1.0\r\n"


def test_names_are_compared_without_case() -> None:
    """A header is found in any case of letters; of a repeated name the last value holds."""
    received = Headers(FIRST + b"X-Tenant: north\r\nTraceParent:00-ab\r\nx-TENANT: south\r\n\r\n")
    assert received["x-tenant"] == received["X-TENANT"] == "south"
    assert received.get("traceparent") == "00-ab"
    assert "X-tenant" in received
    assert (set(received), len(received)) == ({"x-tenant", "traceparent"}, 2)
    assert received.get("missing") is None


def test_repr_shows_no_values() -> None:
    """What a header says may be a secret; a log shows its name only."""
    assert "north" not in repr(Headers(FIRST + b"X-Tenant: north\r\n\r\n"))


@pytest.mark.parametrize(
    "block",
    [b"", b"NATS/1.0", FIRST + b"\r\n", b"NATS/1.0 503\r\n\r\n", FIRST + b"no colon\r\n", b"\xff"],
)
def test_blocks_without_headers(block: bytes) -> None:
    """A block that holds no header is an empty mapping."""
    assert dict(Headers(block)) == {}
    assert Headers.timeout_of(block) is None


def test_values_keep_their_colons_and_lose_their_blanks() -> None:
    """The value is all behind the first colon, without the blanks around it."""
    received = Headers(FIRST + b"A:  x: y \r\nB:\r\n: nameless\r\n\r\n")
    assert (received["a"], received["b"]) == ("x: y", "")


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: FIRST + tail))
@example(b"NATS/1.0\r\nWee-Timeout: 5")
@example(b"NATS/1.0\r\nWee-Timeout: \xff\r")
@example(b"NATS/1.0\r\n\xff\xfe:\xff\r\n")
def test_reading_garbage_never_raises(block: bytes) -> None:
    """Whatever bytes stand in a block, reading it gives text and no exception."""
    received = Headers(block)
    assert all(isinstance(text, str) for pair in received.items() for text in pair)
    delivery = Delivery("a", "b", b"", block)
    assert isinstance(delivery.timeout, str | None)
    assert isinstance(delivery.status, str)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"Wee-Timeout: 250\r\n", "250"),
        (b"wee-timeout:250\r\n", "250"),
        (b"Wee-Timeout: 250 \r\n", "250"),
        (b"X: 1\r\nWEE-TIMEOUT: 250\r\n", "250"),
        (b"Wee-Timeout: 250", "250"),
        (b"X-Wee-Timeout: 9\r\n", None),
    ],
)
def test_the_timeout_is_read_alike_on_every_path(lines: bytes, expected: str | None) -> None:
    """Wherever the header stands and however it is written, it says the same as the mapping."""
    block = FIRST + lines + b"\r\n"
    assert Headers.timeout_of(block) == Headers(block).get("Wee-Timeout") == expected


@pytest.mark.parametrize(
    "name",
    [
        "Nats-Service-Error", "nats-msg-id", "NATS-X", "Wee-Timeout", "wee-anything", "Status",
        "STATUS", "Description", "traceparent", "TraceState", "BAGGAGE",
    ],
)  # fmt: skip
def test_reserved_names_are_refused(name: str) -> None:
    """What NATS, weenats and the propagation of traces set is not the user's, in any case."""
    with pytest.raises(InvalidArgumentError, match="reserved for weenats and NATS") as refused:
        headers.check({"X-Fine": "1", name: "1"})
    assert name in refused.value.message


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", "a\r\nb", "a\n", "é", "a\x00", "\ud800", "a(b)", 5, None, b"a"]
)
def test_names_that_are_no_tokens_are_refused(name: Any) -> None:
    """A name is a token of RFC 7230: no blank, colon, line break or foreign letter."""
    with pytest.raises(InvalidArgumentError, match="not a valid header name"):
        headers.check({name: "1"})


@pytest.mark.parametrize(
    "value", ["a\r\nEvil: 1", "a\n", "\r", "\x00", "\x7f", "\t", "\ud800", "a\u2028b", "\x85"]
)
def test_values_with_breaks_are_refused(value: str) -> None:
    """No value can end its line or hold what UTF-8 cannot carry; the message does not repeat it."""
    with pytest.raises(InvalidArgumentError, match="that is not printable") as refused:
        headers.check({"X": value})
    assert value not in refused.value.message


@pytest.mark.parametrize("value", [5, None, b"a", ["a"], 1.5, True])
def test_values_that_are_no_text_are_refused(value: Any) -> None:
    """Nothing is turned into text on the user's behalf."""
    with pytest.raises(InvalidArgumentError, match="must be text"):
        headers.check({"X": value})


@given(
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True).map(str.lower),
        st.text(max_size=40),
        max_size=5,
    )
)
def test_what_passes_the_check_arrives(wanted: dict[str, str]) -> None:
    """Headers that are let through are read again unchanged, but for the blanks around a value."""
    try:
        headers.check(wanted)
    except InvalidArgumentError:
        return
    received = Headers(FIRST + headers.encode(wanted) + b"\r\n")
    assert dict(received) == {name: value.strip() for name, value in wanted.items()}
