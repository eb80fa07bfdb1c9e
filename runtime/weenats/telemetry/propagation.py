"""Trace context and baggage in headers (W3C Trace Context, W3C Baggage).

Headers that are malformed, or longer than implementations have to propagate, are ignored without a
log entry; the propagators of the OpenTelemetry API would log a line for each such message.
"""

from __future__ import annotations

import re
from functools import partial
from random import getrandbits
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, unquote_plus

from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from weenats.context import CURRENT
from weenats.protocol import headers as header_names
from weenats.protocol.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

    from weenats.context import MessageContext

__all__ = [
    "DeferredSpan",
    "create_trace_headers",
    "extract_trace_context",
    "header_lines",
    "in_context",
    "inherited_header_lines",
    "propagated_headers",
    "unsampled_root",
]
_TRACE: Final = TraceContextTextMapPropagator()
_TRACEPARENT_LINE: Final = re.compile(
    rb"\r\n[Tt]raceparent: 00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\r\n"
)
_SAMPLED_DIGITS: Final = b"13579bdf"
_EMPTY: Final = Context()
_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_MAX_TRACEPARENT: Final = 128
_MAX_TRACESTATE: Final = 512
_MAX_MEMBERS: Final = 32
_MAX_BAGGAGE: Final = 8192
_MAX_PROPAGATED: Final = 8192
_MAX_BAGGAGE_ENTRIES: Final = 64
_MAX_BAGGAGE_ENTRY: Final = 4096
# No more than the propagators of the API accept.
_STATE_NAME: Final = (
    r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
)
_STATE_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(rf"({_STATE_NAME})={_STATE_VALUE}")
# Without % and +: the API would decode them to characters that names cannot have.
_NAME: Final = r"[ \t]*[!#$&'*.^_`|~0-9A-Za-z-]+[ \t]*"
_VALUE: Final = r"[ \t]*(?:[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+[ \t]*)?"
_ENTRY: Final = re.compile(rf"{_NAME}={_VALUE}(;{_NAME}(={_VALUE})?)*")


class DeferredSpan(NonRecordingSpan):
    """A span that is not recorded here; its ids are computed on demand.

    Most requests of traces that are not sampled never need the ids.

    Args:
        make: returns the ids.
        is_sampled: whether the trace is sampled.
    """

    def __init__(self, make: Callable[[], SpanContext], *, is_sampled: bool) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.is_sampled = is_sampled
        self._make = make

    @override
    def get_span_context(self) -> SpanContext:
        if self._context is INVALID_SPAN_CONTEXT:
            self._context = self._make()
        return self._context


def extract_trace_context(headers: Mapping[str, str]) -> Context:
    """Return the trace context and baggage of received headers.

    Args:
        headers: the headers.

    Returns:
        A context; it is empty when the headers have no valid trace context and no valid baggage.
    """
    if isinstance(headers, Headers) and (found := _TRACEPARENT_LINE.search(headers.block)):
        block = headers.block.lower()
        if (
            b"tracestate" not in block
            and b"baggage" not in block
            and block.find(b"\r\ntraceparent", found.end() - 2) < 0  # the last one counts
        ):
            span = DeferredSpan(partial(_remote, found), is_sampled=found[3][1] in _SAMPLED_DIGITS)
            return set_span_in_context(span, _EMPTY)
    context = Context()
    traceparent = headers.get("traceparent")
    if traceparent is not None and len(traceparent) <= _MAX_TRACEPARENT:
        carrier = {"traceparent": traceparent}
        tracestate = headers.get("tracestate")
        if tracestate is not None and _is_tracestate(tracestate):
            carrier["tracestate"] = tracestate
        context = _TRACE.extract(carrier, context)
    baggage = headers.get("baggage")
    for entry in () if baggage is None else _usable_entries(baggage):
        name, _, value = entry.partition("=")
        context = set_baggage(name.strip(), unquote_plus(value.strip()).strip(), context)
    return context


def unsampled_root() -> DeferredSpan:
    """Return the root span of a new trace that is not recorded, neither here nor downstream."""
    return DeferredSpan(_new_unsampled, is_sampled=False)


def in_context(span: Span, parent: Context) -> Context:
    """Return the context in which a span is current.

    Args:
        span: the span.
        parent: the context to derive it from.
    """
    return parent if get_current_span(parent) is span else set_span_in_context(span, parent)


def _remote(found: re.Match[bytes]) -> SpanContext:
    trace_id, span_id, flags = found.groups()
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _new_unsampled() -> SpanContext:
    return SpanContext(
        getrandbits(128) or 1, getrandbits(64) or 1, is_remote=False, trace_flags=_NOT_SAMPLED
    )


def create_trace_headers(context: Context | None = None) -> dict[str, str]:
    """Return the headers that propagate a trace: `traceparent`, `tracestate`, `baggage`.

    Args:
        context: the trace context to propagate; the current one if not set.
    """
    carrier: dict[str, str] = {}
    if get_current_span(context).get_span_context().is_valid:
        _TRACE.inject(carrier, context)
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
    if not span_context.is_valid:
        return b""
    ids = f"{span_context.trace_id:032x}-{span_context.span_id:016x}"
    lines = f"traceparent: 00-{ids}-{span_context.trace_flags:02x}\r\n"
    if span_context.trace_state:
        lines += f"tracestate: {span_context.trace_state.to_header()}\r\n"
    if context and (baggage := _baggage(context)):
        lines += f"baggage: {baggage}\r\n"
    return lines.encode()


def _is_tracestate(text: str) -> bool:
    if len(text) > _MAX_TRACESTATE:
        return False
    members = [member for each in text.split(",") if (member := each.strip(" \t"))]
    names = {match[1] for member in members if (match := _MEMBER.fullmatch(member))}
    return len(names) == len(members) <= _MAX_MEMBERS


def _usable_entries(text: str) -> list[str]:
    """Return the valid entries of a baggage header; none when there are too many."""
    if len(text) > _MAX_BAGGAGE or text.count(",") >= _MAX_BAGGAGE_ENTRIES:
        return []
    return [
        entry
        for entry in text.split(",")
        if len(entry) <= _MAX_BAGGAGE_ENTRY and _ENTRY.fullmatch(entry)
    ]


def _baggage(context: Context | None) -> str:
    """Return the baggage header of a context, up to the maximum length."""
    entries: list[str] = []
    length = 0
    for name, value in get_all(context).items():
        entry = f"{quote_plus(name, errors='replace')}={quote_plus(str(value), errors='replace')}"
        length += len(entry) + 1
        if length > _MAX_BAGGAGE:
            break
        entries.append(entry)
    return ",".join(entries)


def propagated_headers(current: MessageContext) -> dict[str, str]:
    """Return the trace headers of the message being served, for the messages that it causes.

    Args:
        current: the message being served.
    """
    if current.otel_context is not None:
        return create_trace_headers()  # of its span, or of a span that the handler started
    received = current.headers
    return {
        name: value
        for name in header_names.PROPAGATED
        if (value := received.get(name)) is not None and _can_be_sent(value)
    }


def inherited_header_lines() -> bytes:
    """Return the encoded trace headers of the message being served; empty outside of handlers."""
    current = CURRENT.get()
    return b"" if current is None else header_names.encode(propagated_headers(current))


def _can_be_sent(value: str) -> bool:
    """Return whether a received value is one header line of acceptable length."""
    return len(value) <= _MAX_PROPAGATED and value.isascii() and value.isprintable()
