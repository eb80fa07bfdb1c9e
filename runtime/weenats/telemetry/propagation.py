"""Trace context and baggage in headers (W3C Trace Context, W3C Baggage).

Headers that are malformed, or longer than implementations have to propagate, are ignored without a
log entry; the propagators of the OpenTelemetry API would log a line for each such message.
"""

from __future__ import annotations

import re
from functools import cache
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, unquote

from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from typing_extensions import override

from weenats.context import CURRENT
from weenats.protocol import headers as header_names
from weenats.protocol.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.trace import Span, TraceState
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from weenats.context import MessageContext

__all__ = [
    "DeferredSpan",
    "create_trace_headers",
    "extract_trace_context",
    "header_lines",
    "inherited_header_lines",
    "propagated_headers",
    "received_header_lines",
    "span_context",
    "span_of",
    "unsampled_child",
    "unsampled_lines",
    "unsampled_root",
    "with_span",
]
_SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""The key of the span in a context, for which the API has no name."""
_TRACEPARENT_LINE: Final = re.compile(
    rb"\r\n[Tt]raceparent: 00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\r\n"
)
_SAMPLED_DIGITS: Final = b"13579bdf"
_flags: Final = cache(TraceFlags)
_new_span_context: Callable[[type[SpanContext], Any], SpanContext] = getattr(tuple, "__new__")  # noqa: B009
_NO_STATE: Final = INVALID_SPAN_CONTEXT.trace_state
_MAX_TRACEPARENT: Final = 128
_MAX_TRACESTATE: Final = 512
_MAX_MEMBERS: Final = 32
_MAX_BAGGAGE: Final = 8192
_MAX_BAGGAGE_ENTRIES: Final = 64
_MAX_BAGGAGE_ENTRY: Final = 4096
# No more than the propagators of the API accept. Compiled when used first: few messages have them.
_STATE_NAME: Final = (
    r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
)
_STATE_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = rf"({_STATE_NAME})={_STATE_VALUE}"
_NAME: Final = r"[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*"
_VALUE: Final = r"[ \t]*(?:[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+[ \t]*)?"
_ENTRY: Final = rf"{_NAME}={_VALUE}(;{_NAME}(={_VALUE})?)*"
_BLANKS: Final = str.maketrans("", "", " \t")
_RECEIVED: Final = create_key("weenats-received-baggage")


@cache
def _propagator() -> TraceContextTextMapPropagator:
    """Return the propagator of the API, for headers that are not the usual ones."""
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - it compiles patterns

    return tracecontext.TraceContextTextMapPropagator()


class DeferredSpan(NonRecordingSpan):
    """A span that is not recorded here; its ids are computed on demand.

    Most requests of traces that are not sampled never need the ids.

    Args:
        make: returns the ids, made from `source`.
        source: what the ids are made from.

    Attributes:
        is_sampled: whether the trace is sampled.
        is_new: whether the trace begins with it, so that it has no ids before they are asked for.
    """

    is_sampled = False
    is_new = False
    _context = INVALID_SPAN_CONTEXT

    def __init__(self, make: Callable[[Any], SpanContext], source: object) -> None:
        self._make = make
        self._source = source

    @override
    def get_span_context(self) -> SpanContext:
        if self._context is INVALID_SPAN_CONTEXT:
            self._context = self._make(self._source)
        return self._context


def extract_trace_context(headers: Mapping[str, str]) -> Context:
    """Return the trace context and baggage of received headers.

    Args:
        headers: the headers.

    Returns:
        A context; it is empty when the headers have no valid trace context and no valid baggage.
    """
    found = _lone_traceparent(headers)
    if found is not None:
        span = DeferredSpan(_remote, found)
        span.is_sampled = found.string[found.end() - 3] in _SAMPLED_DIGITS  # before CR LF
        return Context({_SPAN: span})
    context = _received_trace(headers)
    received = _received_baggage(headers)
    for name, entry in received.items():
        context = set_baggage(name, _value_of(entry), context)
    return set_value(_RECEIVED, received, context) if received else context


def _received_trace(headers: Mapping[str, str]) -> Context:
    traceparent = headers.get("traceparent")
    if traceparent is None or len(traceparent) > _MAX_TRACEPARENT:
        return Context()
    carrier = {"traceparent": traceparent}
    tracestate = headers.get("tracestate")
    if tracestate is not None and _is_tracestate(tracestate):
        carrier["tracestate"] = tracestate
    return _propagator().extract(carrier, Context())


def _lone_traceparent(headers: Mapping[str, str]) -> re.Match[bytes] | None:
    """Return the `traceparent` of headers that have nothing else of a trace, without parsing."""
    if not isinstance(headers, Headers):
        return None
    found = _TRACEPARENT_LINE.search(headers.block)
    if found is None:
        return None
    block = headers.block.lower()
    # Searches from the end take half the time here. Of several lines, the last one counts.
    if (
        block.rfind(b"tracestate") >= 0
        or block.rfind(b"baggage") >= 0
        or block.rfind(b"\r\ntraceparent") != found.start()
    ):
        return None
    return found


def span_of(context: Context) -> Span:
    """Return the span of a context, in a tenth of the time that `get_current_span` takes.

    Args:
        context: the context.
    """
    values: Any = context  # without `cast`: each call comes here several times
    span: Span = values.get(_SPAN, INVALID_SPAN)
    return span


def with_span(context: Context, span: Span) -> Context:
    """Return a context with another span, in half the time that `set_span_in_context` takes.

    Args:
        context: the context.
        span: the span.
    """
    return Context({**context, _SPAN: span})


def unsampled_root() -> DeferredSpan:
    """Return the root span of a new trace that is not recorded, neither here nor downstream."""
    span = DeferredSpan(_new_unsampled, None)
    span.is_new = True
    return span


def unsampled_child(parent: Span) -> DeferredSpan:
    """Return a span that is not recorded, in the trace of a span that is not sampled.

    Args:
        parent: the parent span.
    """
    return DeferredSpan(_unsampled_child, parent)


def span_context(
    trace_id: int,
    span_id: int,
    flags: int,
    state: TraceState | None,
    is_remote: bool = False,  # noqa: FBT001, FBT002 - as SpanContext has it
) -> SpanContext:
    """Return a span context whose ids are known to be valid, in a third of the usual time.

    Args:
        trace_id: the id of the trace.
        span_id: the id of the span.
        flags: the trace flags, 0 to 255.
        state: the trace state, None for none.
        is_remote: whether the span is of another process.
    """
    known: Any = (
        trace_id,
        span_id,
        is_remote,
        _flags(flags),
        _NO_STATE if state is None else state,
        True,
    )
    return _new_span_context(SpanContext, known)


def _remote(found: re.Match[bytes]) -> SpanContext:
    trace_id, span_id, flags = found.groups()
    return span_context(int(trace_id, 16), int(span_id, 16), int(flags, 16), None, True)  # noqa: FBT003


def _new_unsampled(_: None) -> SpanContext:
    return span_context(getrandbits(128) or 1, getrandbits(64) or 1, TraceFlags.DEFAULT, None)


def _unsampled_child(parent: Span) -> SpanContext:
    trace_id, _, _, flags, state, _ = parent.get_span_context()
    return span_context(trace_id, getrandbits(64) or 1, flags, state)


def create_trace_headers(context: Context | None = None) -> dict[str, str]:
    """Return the headers that propagate a trace: `traceparent`, `tracestate`, `baggage`.

    Args:
        context: the trace context to propagate; the current one if not set.
    """
    carrier: dict[str, str] = {}
    if get_current_span(context).get_span_context().is_valid:
        _propagator().inject(carrier, context)
    if baggage := _baggage(context):
        carrier["baggage"] = baggage
    return carrier


def header_lines(span_context: SpanContext, context: Context) -> bytes:
    """Return the encoded headers that propagate a span and the baggage of a context.

    Args:
        span_context: the ids of the span.
        context: the context with the baggage.

    Returns:
        Header lines; empty when the span is not valid.
    """
    trace_id, span_id, _, flags, state, is_valid = span_context
    if not is_valid:
        return b""
    # To format bytes takes half the time of formatting text.
    lines = b"traceparent: 00-%032x-%016x-%02x\r\n" % (trace_id, span_id, flags)
    if state is not _NO_STATE and state:
        lines += f"tracestate: {state.to_header()}\r\n".encode()
    if context and (baggage := _baggage(context)):
        lines += f"baggage: {baggage}\r\n".encode()
    return lines


def unsampled_lines(span: DeferredSpan, context: Context) -> bytes:
    """Return the encoded headers of a span that is not recorded, and that only these headers name.

    Args:
        span: the span.
        context: the context with the baggage.
    """
    if context or not span.is_new:
        return header_lines(span.get_span_context(), context)
    # Without the objects that keep ids.
    return b"traceparent: 00-%032x-%016x-00\r\n" % (getrandbits(128) or 1, getrandbits(64) or 1)


def _is_tracestate(text: str) -> bool:
    if len(text) > _MAX_TRACESTATE:
        return False
    members = [member for each in text.split(",") if (member := each.strip(" \t"))]
    names = {match[1] for member in members if (match := re.fullmatch(_MEMBER, member))}
    return len(names) == len(members) <= _MAX_MEMBERS


def _received_baggage(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the valid entries of received baggage by name; none when there are too many.

    The entries have their encoding and their properties, without whitespace.
    """
    text = headers.get("baggage")
    if text is None or len(text) > _MAX_BAGGAGE or text.count(",") >= _MAX_BAGGAGE_ENTRIES:
        return {}
    entries = [
        entry.translate(_BLANKS)
        for entry in text.split(",")
        if len(entry) <= _MAX_BAGGAGE_ENTRY and re.fullmatch(_ENTRY, entry)
    ]
    return {entry.partition("=")[0]: entry for entry in entries}


def _value_of(entry: str) -> str:
    """Return the decoded value of an entry of baggage."""
    return unquote(entry.partition("=")[2].partition(";")[0])


def _baggage(context: Context | None) -> str:
    """Return the baggage header of a context.

    Entries that were received and not changed since are passed on as they were received.
    """
    received = cast("dict[str, str] | None", get_value(_RECEIVED, context)) or {}
    entries: list[str] = []
    for name, value in get_all(context).items():
        entry = received.get(name)
        if entry is None or _value_of(entry) != value:
            entry = _entry(name, str(value))
        entries.append(entry)
    return _joined(entries)


def _joined(entries: Iterable[str]) -> str:
    """Return as much of the entries of baggage as a header may hold."""
    kept: list[str] = []
    length = 0
    for entry in entries:
        length += len(entry) + 1
        if length > _MAX_BAGGAGE:
            break
        kept.append(entry)
    return ",".join(kept)


def _entry(name: str, value: str) -> str:
    """Return an entry of baggage; a name that is not a token is encoded like a value."""
    encoded = name if header_names.TOKEN.fullmatch(name) else quote(name, "", errors="replace")
    return f"{encoded}={quote(value, '', errors='replace')}"


def propagated_headers(current: MessageContext) -> dict[str, str]:
    """Return the trace headers of the message being served, for the messages that it causes.

    Args:
        current: the message being served.
    """
    if current.otel_context is not None:
        return create_trace_headers()  # of its span, or of a span that the handler started
    carrier: dict[str, str] = {}
    _propagator().inject(carrier, _received_trace(current.headers))
    if baggage := _joined(_received_baggage(current.headers).values()):
        carrier["baggage"] = baggage
    return carrier


def inherited_header_lines() -> bytes:
    """Return the encoded trace headers of the message being served; empty outside of handlers."""
    current = CURRENT.get()
    if current is None:
        return b""
    if current.otel_context is None:
        headers = current.headers
        if isinstance(headers, Headers) and not _has_trace(headers):
            return b""
        found = _lone_traceparent(headers)
        if found is not None:
            return b"traceparent: 00-%b-%b-%b\r\n" % found.groups()
    return header_names.encode(propagated_headers(current))


def received_header_lines(headers: Headers) -> bytes:
    """Return the encoded trace headers of a received message, for those that pass it on.

    Args:
        headers: the headers of the message.
    """
    if not _has_trace(headers):
        return b""
    names = [name for name in header_names.PROPAGATED if name in headers]
    return header_names.encode({name: headers[name] for name in names})


def _has_trace(headers: Headers) -> bool:
    """Return whether headers may have a trace or baggage, without parsing them."""
    block = headers.block.lower()
    return b"traceparent" in block or b"baggage" in block
