"""NATS headers: tolerant reading, and checks of the headers that users set."""

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


def test_header_names_are_case_insensitive() -> None:
    """Lookups ignore case, and the last of several values wins."""
    received = Headers(FIRST + b"X-Tenant: north\r\nTraceParent:00-ab\r\nx-TENANT: south\r\n\r\n")
    assert received["x-tenant"] == received["X-TENANT"] == "south"
    assert received.get("traceparent") == "00-ab"
    assert "X-tenant" in received
    assert (set(received), len(received)) == ({"x-tenant", "traceparent"}, 2)
    assert received.get("missing") is None


def test_repr_hides_header_values() -> None:
    """Header values may be secrets, so repr does not show them."""
    assert "north" not in repr(Headers(FIRST + b"X-Tenant: north\r\n\r\n"))


@pytest.mark.parametrize(
    "block",
    [b"", b"NATS/1.0", FIRST + b"\r\n", b"NATS/1.0 503\r\n\r\n", FIRST + b"no colon\r\n", b"\xff"],
)
def test_block_without_headers_is_empty(block: bytes) -> None:
    """A block that contains no header is an empty mapping."""
    assert dict(Headers(block)) == {}
    assert Headers.timeout_of(block) is None


def test_header_value_is_stripped_and_keeps_colons() -> None:
    """The value is everything after the first colon, without surrounding whitespace."""
    received = Headers(FIRST + b"A:  x: y \r\nB:\r\n: nameless\r\n\r\n")
    assert (received["a"], received["b"]) == ("x: y", "")


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: FIRST + tail))
@example(b"NATS/1.0\r\nWee-Timeout: 5")
@example(b"NATS/1.0\r\nWee-Timeout: \xff\r")
@example(b"NATS/1.0\r\n\xff\xfe:\xff\r\n")
def test_reading_arbitrary_bytes_never_raises(block: bytes) -> None:
    """Any bytes in a header block give text and no exception."""
    received = Headers(block)
    assert all(isinstance(text, str) for pair in received.items() for text in pair)
    delivery = Delivery("a", "b", b"", block)
    assert isinstance(Headers.timeout_of(block), str | None)
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
        (b"Wee-Timeout : 9\r\n", None),
        (b"Wee-Timeout\t: 9\r\n", None),
        (b" Wee-Timeout: 9\r\n", None),
        (b"Wee-Timeout: 250\r\nWee-Timeout: 9\r\n", "9"),
        (b"Wee-Timeout: 250\r\nX: 1\r\nwee-TIMEOUT:9\r\n", "9"),
        (b"wee-timeout: 250\r\nWee-Timeout: 9\r\n", "9"),
        (b"Wee-Timeout: 250\r\nX-Wee-Timeout: 9\r\n", "250"),
        (b"Wee-Timeout: 250\r\nX: Wee-Timeout\r\n", "250"),
        (b"Wee-Timeout: 250\r\nWee-Timeout: 9", "9"),
    ],
)
def test_timeout_of_agrees_with_the_mapping(lines: bytes, expected: str | None) -> None:
    """The deadline is the Wee-Timeout of the mapping, however it is written."""
    block = FIRST + lines + b"\r\n"
    assert Headers.timeout_of(block) == Headers(block).get("Wee-Timeout") == expected


def test_timeout_is_found_without_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller cannot spend the time of parsing many headers before it is authenticated."""
    monkeypatch.setattr(Headers, "__init__", pytest.fail)
    filler = b"X: 1\r\n" * 3
    assert Headers.timeout_of(FIRST + filler + b"\r\n") is None
    assert Headers.timeout_of(FIRST + filler + b"wee-timeout: 9\r\n" + filler + b"\r\n") == "9"


@given(
    st.lists(
        st.builds(
            b"%b:%b%b".__mod__,
            st.tuples(
                st.sampled_from(
                    [
                        b"Wee-Timeout",
                        b"wee-timeout",
                        b"WEE-TIMEOUT",
                        b"X",
                        b" Wee-Timeout",
                        b"Wee-Timeout ",
                    ]
                ),
                st.sampled_from([b"", b" ", b"\t"]),
                st.sampled_from([b"1", b"25", b"", b"\xff", b"Wee-Timeout: 3", b"\n", b"\r"]),
            ),
        ),
        max_size=4,
    )
)
def test_timeout_of_repeated_headers_agrees_with_the_mapping(lines: list[bytes]) -> None:
    """The deadline and `context.headers` follow one rule, whatever is repeated."""
    block = FIRST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    assert Headers.timeout_of(block) == Headers(block).get("Wee-Timeout")


def test_lines_of_lists_are_combined() -> None:
    """Repeated tracestate and baggage are one list; many lines are read in linear time."""
    received = Headers(FIRST + b"baggage: a=1\r\nX: 1\r\nBaggage: b=2\r\ntracestate: c=3\r\n\r\n")
    assert dict(received) == {"baggage": "a=1,b=2", "x": "1", "tracestate": "c=3"}
    many = Headers(FIRST + b"tracestate:a\r\n" * 4000 + b"\r\n")
    assert len(many["tracestate"]) == 2 * 4000 - 1


def test_headers_before_the_last_64_kib_are_ignored() -> None:
    """A huge block costs no time before authentication; deadline and mapping still agree."""
    early = FIRST + b"Wee-Timeout: 1\r\nX: 1\r\n"
    lines = b"".join(b"%x:\r\n" % number for number in range(100_000))
    received = Headers(early + lines + b"\r\n")
    assert len(received) < 64 * 1024 / 4
    assert set(received) <= {f"{number:x}" for number in range(100_000)}
    assert "x" not in received
    assert Headers.timeout_of(received.block) is None
    late = Headers(early + lines + b"Wee-Timeout: 2\r\nX: 2\r\n\r\n")
    assert (late["wee-timeout"], late["x"]) == ("2", "2")
    assert Headers.timeout_of(late.block) == "2"


def test_sent_headers_are_read_whole() -> None:
    """Headers that the receiver would not read are refused where they are sent."""
    sent = headers.encode({"X": "x" * (48 * 1024 - 5)})
    assert len(sent) == 48 * 1024
    assert len(Headers(FIRST + sent + b"\r\n")["x"]) == 48 * 1024 - 5
    with pytest.raises(InvalidArgumentError, match="a message carries at most 49152"):
        headers.encode({"X": "x" * (48 * 1024 - 4)})


@pytest.mark.parametrize(
    "name",
    [
        "Nats-Service-Error", "nats-msg-id", "NATS-X", "Wee-Timeout", "wee-anything", "Status",
        "STATUS", "Description", "traceparent", "TraceState", "BAGGAGE",
    ],
)  # fmt: skip
def test_reserved_header_names_are_rejected(name: str) -> None:
    """Names of NATS, weenats and trace propagation are rejected in any case."""
    with pytest.raises(InvalidArgumentError, match="reserved for weenats and NATS") as refused:
        headers.check({"X-Fine": "1", name: "1"})
    assert name in refused.value.message


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:", "a\r\nb", "a\n", "é", "a\x00", "\ud800", "a(b)", 5, None, b"a"]
)
def test_invalid_header_names_are_rejected(name: Any) -> None:
    """A name must be an RFC 7230 token."""
    with pytest.raises(InvalidArgumentError, match="not a valid header name"):
        headers.check({name: "1"})


@pytest.mark.parametrize(
    "value", ["a\r\nEvil: 1", "a\n", "\r", "\x00", "\x7f", "\t", "\ud800", "a\u2028b", "\x85"]
)
def test_header_values_with_control_characters_are_rejected(value: str) -> None:
    """Line breaks, control characters and lone surrogates are rejected, and not repeated."""
    with pytest.raises(InvalidArgumentError, match="that is not printable") as refused:
        headers.check({"X": value})
    assert value not in refused.value.message


@pytest.mark.parametrize("value", [None, 5, "a: b", b"", [("a", "b")]])
def test_headers_are_a_mapping(value: Any) -> None:
    """Anything else is refused, whose type the error names."""
    with pytest.raises(InvalidArgumentError, match=f"not {type(value).__name__}"):
        headers.check(value)


@pytest.mark.parametrize("value", [5, None, b"a", ["a"], 1.5, True])
def test_non_string_header_values_are_rejected(value: Any) -> None:
    """Values are not converted to strings."""
    with pytest.raises(InvalidArgumentError, match="must be text"):
        headers.check({"X": value})


@given(
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True).map(str.lower),
        st.text(max_size=40),
        max_size=5,
    )
)
def test_checked_headers_survive_a_round_trip(wanted: dict[str, str]) -> None:
    """Accepted headers decode unchanged, except for surrounding whitespace."""
    try:
        headers.check(wanted)
    except InvalidArgumentError:
        return
    received = Headers(FIRST + headers.encode(wanted) + b"\r\n")
    assert dict(received) == {name: value.strip() for name, value in wanted.items()}


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nY: 1"), ("X", "a\nb"), ("X\r", "a")])
def test_encoded_headers_are_one_line_each(name: str, value: str) -> None:
    """Values that a handler passes on, unchecked, cannot begin another header."""
    with pytest.raises(InvalidArgumentError, match="a header contains a line break"):
        headers.encode({"A": "1", name: value})


def test_encoded_headers_are_valid_unicode() -> None:
    """A lone surrogate gets the error of malformed headers, without their values."""
    with pytest.raises(InvalidArgumentError, match="not valid Unicode") as raised:
        headers.encode({"A": "hunter2\ud800"})
    assert raised.value.__context__ is None
