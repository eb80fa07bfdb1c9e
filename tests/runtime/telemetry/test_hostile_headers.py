"""Malformed, huge and hostile trace headers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import nats
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client as RawClient
from opentelemetry.baggage import get_all, remove_baggage, set_baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    SpanContext,
    SpanKind,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.telemetry import Recording, serving
from weenats import NatsServiceBuilder, RequestContext
from weenats.context import CURRENT, MessageContext
from weenats.protocol.headers import Headers
from weenats.telemetry.propagation import (
    create_trace_headers,
    extract_trace_context,
    header_lines,
    inherited_header_lines,
    propagated_headers,
    unsampled_root,
)

SUBJECT: Final = "probe.command.thing.run"
GOOD: Final = b'{"aggregateId":{"type":"thing","key":"k"},"command":{"action":"go"}}'
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = f"00-{TRACE}-b7ad6b7169203331-01"

HOSTILE: Final[dict[str, list[tuple[str, str]]]] = {
    "wrong version": [("traceparent", f"ff-{TRACE}-b7ad6b7169203331-01")],
    "no version": [("traceparent", f"{TRACE}-b7ad6b7169203331-01")],
    "zero trace": [("traceparent", f"00-{'0' * 32}-b7ad6b7169203331-01")],
    "zero span": [("traceparent", f"00-{TRACE}-{'0' * 16}-01")],
    "upper case": [("traceparent", PARENT.upper())],
    "extra field": [("traceparent", f"{PARENT}-extra")],
    "no hex": [("traceparent", PARENT.replace("a", "g"))],
    "one megabyte": [("traceparent", "0" * 900_000)],
    "not ascii": [("traceparent", f"{PARENT}ä")],
    "controls": [("traceparent", f"{PARENT}\x00\x07")],
    "line feed": [("traceparent", f"{PARENT}\nX-Evil: 1")],
    "twice": [("traceparent", PARENT), ("traceparent", "00-")],
    "states": [("traceparent", PARENT), ("tracestate", ",".join(["a=1"] * 10_000))],
    "many states": [
        ("traceparent", PARENT),
        ("tracestate", ",".join(f"k{number}=1" for number in range(10_000))),
    ],
    "huge state": [("traceparent", PARENT), ("tracestate", "a=" + "x" * 900_000)],
    "bad state": [("traceparent", PARENT), ("tracestate", "1a=x,=,a=,A=1,a b=1")],
    "digit state": [("traceparent", PARENT), ("tracestate", "1a=x")],
    "state only": [("tracestate", "a=1")],
    "many entries": [("baggage", ",".join(f"k{number}=1" for number in range(10_000)))],
    "huge baggage": [("baggage", "a=" + "x" * 900_000)],
    "bad baggage": [("baggage", 'a,=b,c d=1,e="1",f=1;g=h i,,;=\x00')],
    "hidden line": [("baggage", "a%0d%0aX-Evil%3A%201=b%0d%0aX-Evil%3A%202")],
    "swelling baggage": [("baggage", ",".join(f"k{n}={'!' * 110}" for n in range(64)))],
    "blanks": [("baggage", "a=" + " " * 4000 + "\x01," + "b;" * 2000)],
    "not utf-8": [("baggage", "a=\udcff"), ("traceparent", f"{PARENT}\udcff")],
}


def block(*lines: tuple[str, str]) -> bytes:
    """Return a header block."""
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return b"NATS/1.0\r\n" + text.encode("utf-8", "surrogateescape") + b"\r\n"


def read_trace_headers(headers: bytes) -> tuple[SpanContext, dict[str, object]]:
    """Return what is read from headers; nothing may be logged."""
    with assert_no_logs():
        context = extract_trace_context(Headers(headers))
        return get_current_span(context).get_span_context(), dict(get_all(context))


@contextmanager
def assert_no_logs() -> Iterator[None]:
    """Fail if anything is logged."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = records.append  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
    assert not records, [record.getMessage()[:200] for record in records]


def mutations_of(text: str) -> st.SearchStrategy[str]:
    """Return a text with a character changed, added or removed."""
    odd = st.sampled_from([*'0aAgf-_ \t\x00,=;%+"\\', "ä", "ff", "00"])
    at = st.integers(0, len(text))
    return st.one_of(
        st.builds(lambda i, c: text[:i] + c + text[i + 1 :], at, odd),
        st.builds(lambda i, c: text[:i] + c + text[i:], at, odd),
        st.builds(lambda i: text[:i] + text[i + 1 :], at),
        st.just(text),
    )


def traceparents() -> st.SearchStrategy[str]:
    """Generate valid and almost valid traceparents."""
    flags = st.integers(0, 255).map("{:02x}".format)
    version = st.sampled_from(["00", "00", "00", "01", "cc", "fe", "ff"])
    traces = st.integers(0, 2**128 - 1).map("{:032x}".format)
    spans = st.integers(0, 2**64 - 1).map("{:016x}".format)
    good = st.builds(lambda *parts: "-".join(parts), version, traces, spans, flags)
    return good | good.flatmap(mutations_of)


def tracestates() -> st.SearchStrategy[str]:
    """Generate valid and almost valid tracestates."""
    key = st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True)
    value = st.from_regex(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,20}", fullmatch=True)
    member = st.builds("{}={}".format, key, value)
    good = st.lists(member, max_size=40).map(",".join)
    return good | good.flatmap(mutations_of)


def baggages() -> st.SearchStrategy[str]:
    """Generate valid and almost valid baggage; names may need decoding."""
    name = st.from_regex(r"[!#$&'*.^_`|~0-9A-Za-z-]{1,10}", fullmatch=True)
    value = st.from_regex(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{0,20}", fullmatch=True)
    entry = st.builds("{}={}".format, name, value)
    good = st.lists(entry, max_size=70).map(",".join)
    return good | good.flatmap(mutations_of)


@given(traceparents(), st.sampled_from(["traceparent", "Traceparent", "TRACEPARENT"]))
@example(PARENT, "traceparent")
@example(f" {PARENT}\t", "Traceparent")
@example(f"01-{TRACE}-b7ad6b7169203331-01-more", "traceparent")
def test_traceparent_is_read_like_the_api_does(text: str, name: str) -> None:
    """Valid and invalid traceparents give the same ids and flags as the OpenTelemetry API."""
    headers = block(("Wee-Timeout", "5000"), (name, text))
    value = Headers(headers)["traceparent"]
    theirs = get_current_span(
        TraceContextTextMapPropagator().extract({"traceparent": value}, Context())
    ).get_span_context()
    ours, _ = read_trace_headers(headers)
    assert ours == theirs
    assert ours.is_remote == theirs.is_remote


@given(st.lists(traceparents(), min_size=2, max_size=4), st.booleans())
def test_last_of_several_traceparents_wins(texts: list[str], mixed: bool) -> None:
    """The fast path follows the same rule as for any other header."""
    names = ["traceparent", "Traceparent" if mixed else "traceparent"] * 2
    headers = block(*zip(names, texts, strict=False))
    last, _ = read_trace_headers(block(("traceparent", texts[-1])))
    assert read_trace_headers(headers)[0] == last


@given(tracestates())
@example("1a=x")
@example("a=1,a=2")
@example("tenant@vendor=1, ,b=2 ")
def test_tracestate_is_read_like_the_api_without_logs(text: str) -> None:
    """Up to 512 characters the members are those of the OpenTelemetry API."""
    headers = block(("traceparent", PARENT), ("tracestate", text))
    value = Headers(headers)["tracestate"]
    theirs = get_current_span(
        TraceContextTextMapPropagator().extract(
            {"traceparent": PARENT, "tracestate": value}, Context()
        )
    ).get_span_context()
    ours, _ = read_trace_headers(headers)
    expected = theirs.trace_state if len(value) <= 512 else {}
    assert dict(ours.trace_state) == dict(expected)
    assert ours.trace_id == int(TRACE, 16)


def baggage_of_the_api(baggage: str) -> dict[str, object]:
    """Return the baggage entries that the OpenTelemetry API reads."""
    return dict(get_all(W3CBaggagePropagator().extract({"baggage": baggage}, Context())))


@given(baggages())
@example("a=%20b,c=%2C")
@example("a=1;b=c")
def test_baggage_is_read_like_the_api_without_logs(text: str) -> None:
    """Up to 64 entries are read like the API does, which keeps properties in values, and `+`."""
    headers = block(("baggage", text))
    value = Headers(headers)["baggage"]
    _, ours = read_trace_headers(headers)
    if len(value.split(",")) > 64 or set(value) & set('%+ \t"'):
        assert len(ours) <= 64
        return
    theirs = {name: str(full).partition(";")[0] for name, full in baggage_of_the_api(value).items()}
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a=x%20y", {"a": "x y"}),
        ("a=x+y", {"a": "x+y"}),
        ("a=%2B%25%2C%3B", {"a": "+%,;"}),
        ("a=%C3%A4;p;q=1%20", {"a": "ä"}),
        ("a=b=c", {"a": "b=c"}),
        ("a%20b=1,c+d=2", {"a%20b": "1", "c+d": "2"}),
        ("a=%ff%zz%", {"a": "\ufffd%zz%"}),
        ("a=", {"a": ""}),
        ("a=1,a=2;p", {"a": "2"}),
    ],
)
@pytest.mark.parametrize("telemetry", [True, False])
def test_baggage_is_passed_on_as_it_was_received(
    text: str, entries: dict[str, str], telemetry: bool
) -> None:
    """Values are percent-decoded; encoding and properties are passed on (W3C Baggage)."""
    headers = Headers(block(("baggage", text)))
    context = extract_trace_context(headers)
    assert get_all(context) == entries
    sent = (
        create_trace_headers(context)
        if telemetry
        else propagated_headers(MessageContext(message_id="m", correlation_id="c", headers=headers))
    )
    assert sent == {"baggage": text.removeprefix("a=1,") if "a=2" in text else text}


def test_changed_baggage_is_encoded_without_plus() -> None:
    """A value that a handler sets is percent-encoded; the others stay as they were received."""
    context = extract_trace_context({"baggage": "a=1;p=1,b=x%2fy;q"})
    context = set_baggage("a", "x +,;ä", context)
    assert create_trace_headers(context) == {"baggage": "a=x%20%2B%2C%3B%C3%A4,b=x%2fy;q"}
    context = remove_baggage("b", set_baggage("a", "1", context))
    assert create_trace_headers(context) == {"baggage": "a=1;p=1"}


def test_lines_of_lists_are_combined() -> None:
    """Several lines of tracestate and of baggage are one list, in their order."""
    headers = block(
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "k=1;p"),
        ("Tracestate", "b=2,c=3"),
        ("Baggage", "l=2"),
    )
    context, entries = read_trace_headers(headers)
    assert context.trace_state.to_header() == "a=1,b=2,c=3"
    assert entries == {"k": "1", "l": "2"}
    message = MessageContext(message_id="m", correlation_id="c", headers=Headers(headers))
    assert propagated_headers(message) == {
        "traceparent": PARENT,
        "tracestate": "a=1,b=2,c=3",
        "baggage": "k=1;p,l=2",
    }
    assert message.headers["tracestate"] == "a=1,b=2,c=3"


def test_whitespace_in_baggage_is_ignored() -> None:
    """Whitespace around names, values and properties is ignored and not passed on (W3C)."""
    headers = block(("baggage", "a = 1 ,\tb\t=\t2,c=%20x%20,d=1 ; p = 2,e f=1"))
    _, entries = read_trace_headers(headers)
    assert entries == {"a": "1", "b": "2", "c": " x ", "d": "1"}
    sent = create_trace_headers(extract_trace_context(Headers(headers)))
    assert sent == {"baggage": "a=1,b=2,c=%20x%20,d=1;p=2"}


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ([("traceparent", "00-ab")], {}),
        ([("traceparent", PARENT), ("traceparent", "00-")], {}),
        ([("traceparent", "00-ab"), ("traceparent", PARENT)], {"traceparent": PARENT}),
        ([("traceparent", "00-ab"), ("tracestate", "a=1"), ("baggage", "k=1")], {"baggage": "k=1"}),
        ([("traceparent", PARENT), ("tracestate", "a")], {"traceparent": PARENT}),
        (
            [("traceparent", PARENT), ("baggage", "k=1,=2")],
            {"traceparent": PARENT, "baggage": "k=1"},
        ),
        ([("tracestate", "a=1")], {}),
        ([("TraceParent", f" {PARENT} ")], {"traceparent": PARENT}),
        ([("traceparent", f"01{PARENT[2:]}-more")], {"traceparent": PARENT}),
    ],
)
def test_only_valid_headers_are_passed_on(
    lines: list[tuple[str, str]], sent: dict[str, str]
) -> None:
    """Without telemetry, malformed trace headers are not passed on, the others are."""
    message = MessageContext(
        message_id="m", correlation_id="c", headers=Headers(block(("Wee-Timeout", "50"), *lines))
    )
    reset = CURRENT.set(message)
    try:
        written = inherited_header_lines()
    finally:
        CURRENT.reset(reset)
    assert dict(Headers(b"NATS/1.0\r\n" + written + b"\r\n")) == sent
    assert propagated_headers(message) == sent


@given(st.binary(max_size=400))
def test_arbitrary_bytes_in_trace_headers_are_harmless(junk: bytes) -> None:
    """Nothing raises or is logged, and propagated headers are valid."""
    headers = b"NATS/1.0\r\nbaggage: " + junk + b"\r\ntraceparent: " + junk + b"\r\n\r\n"
    with assert_no_logs():
        assert_propagates_cleanly(headers)


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE)
def test_propagated_headers_are_valid_and_bounded(lines: list[tuple[str, str]]) -> None:
    """No injected line is propagated, with or without telemetry; W3C size limits hold."""
    with assert_no_logs():
        assert_propagates_cleanly(block(*lines))


def assert_propagates_cleanly(headers: bytes) -> None:
    """Check the headers of a nested call."""
    parent = extract_trace_context(Headers(headers))
    root = unsampled_root()
    message = MessageContext(message_id="m", correlation_id="c", headers=Headers(headers))
    plain = create_trace_headers(set_span_in_context(root, parent))
    for carried in (create_trace_headers(parent), plain, propagated_headers(message)):
        assert set(carried) <= {"traceparent", "tracestate", "baggage"}
        for value in carried.values():
            assert value.isascii()
            assert value.isprintable()
            assert len(value) <= 8192
    lines = header_lines(root.get_span_context(), parent)
    assert dict(Headers(b"NATS/1.0\r\n" + lines + b"\r\n")) == plain
    assert b"\n" not in lines.replace(b"\r\n", b"")


def test_invalid_span_context_is_not_propagated() -> None:
    """No header is written for an invalid span context."""
    assert header_lines(INVALID_SPAN_CONTEXT, extract_trace_context({"baggage": "a=1"})) == b""


def test_trace_context_survives_a_round_trip() -> None:
    """Ids, flags, state and baggage are propagated unchanged."""
    headers = block(
        ("traceparent", PARENT),
        ("tracestate", "vendor=1,tenant@other=2"),
        ("baggage", "user=ada%20l,empty=,k=v;p=1"),
    )
    came = extract_trace_context(Headers(headers))
    sent = create_trace_headers(came)
    lines = header_lines(get_current_span(came).get_span_context(), came)
    assert dict(Headers(b"NATS/1.0\r\n" + lines + b"\r\n")) == sent
    assert sent["traceparent"] == PARENT
    assert sent["tracestate"] == "vendor=1,tenant@other=2"
    again = extract_trace_context(sent)
    assert get_all(again) == {"user": "ada l", "empty": "", "k": "v"}
    assert (
        create_trace_headers(again)["baggage"] == sent["baggage"] == "user=ada%20l,empty=,k=v;p=1"
    )
    assert get_current_span(again).get_span_context().is_remote


def test_oversized_baggage_is_dropped() -> None:
    """Names and values are encoded; entries that do not fit are dropped without a log."""
    context = set_baggage("na\r\nme", "va\r\nlue \ud800 ä", Context())
    context = set_baggage("huge", "x" * 9000, context)
    with assert_no_logs():
        sent = create_trace_headers(context)
    assert sent == {"baggage": "na%0D%0Ame=va%0D%0Alue%20%3F%20%C3%A4"}


@pytest.fixture
async def raw_client(nats_url: str) -> AsyncIterator[RawClient]:
    """A NATS client that sends arbitrary headers."""
    connection = await nats.connect(nats_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("telemetry", [True, False])
async def test_service_answers_requests_with_hostile_headers(
    nats_url: str,
    observed: Recording,
    raw_client: RawClient,
    caplog: pytest.LogCaptureFixture,
    telemetry: bool,
) -> None:
    """Each request and its nested call is answered and traced, without any log."""
    handlers = Probe()
    async with ProbeClient.connect(nats_url) as nested:

        async def call_nested(key: str, command: Run, context: RequestContext) -> Outcome:
            return Outcome(text=(await nested.get(key)).state.text)

        handlers.actions["go"] = call_nested
        service: Any = (
            serving(nats_url, handlers)
            if telemetry
            else NatsServiceBuilder(handlers, nats_url).build()
        )
        async with service:
            caplog.clear()
            for lines in HOSTILE.values():
                reply = await _request(raw_client, block(*lines))
                assert b'"success":true' in reply
            assert not [each for each in caplog.records if each.levelno > logging.INFO]
    nested_headers = [seen.headers for seen in handlers.seen if seen.operation.name == "get"]
    assert len(nested_headers) == len(HOSTILE)
    assert not [each for each in nested_headers if "x-evil" in each]
    if telemetry:
        assert len(observed.of(SpanKind.SERVER)) == 2 * len(HOSTILE)
        spans = observed.of(SpanKind.SERVER)
        below = [span for span in spans if span.name == "probe/thing.get"]
        assert len(below) == len(HOSTILE)
        assert all(span.parent is not None for span in below)


async def _request(raw_client: RawClient, headers: bytes) -> bytes:
    """Send a request with a header block that nats-py would not send."""
    inbox = raw_client.new_inbox()
    replies = await raw_client.subscribe(inbox, max_msgs=1)
    size = len(headers)
    command = f"HPUB {SUBJECT} {inbox} {size} {size + len(GOOD)}\r\n".encode()
    await raw_client._send_command(command + headers + GOOD + b"\r\n")
    await raw_client.flush()
    return (await replies.next_msg(5)).data
