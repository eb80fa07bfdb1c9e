"""Trace context and baggage in headers, as W3C has them.

What is malformed, or more than W3C asks anybody to carry, is passed over without a word: the
propagators of the API would log a line for each message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext

_TRACE: Final = TraceContextTextMapPropagator()
_BAGGAGE: Final = W3CBaggagePropagator()
_MAX_TRACEPARENT: Final = 128
_MAX_TRACESTATE: Final = 512
_MAX_MEMBERS: Final = 32
_MAX_BAGGAGE: Final = 8192
_MAX_BAGGAGE_ENTRIES: Final = 64
_VALUE: Final = r"\x21-\x2b\x2d-\x3c\x3e-\x7e"  # printable ASCII without comma and equals sign
_MEMBER: Final = re.compile(
    rf"[ \t]*([a-z0-9][a-z0-9_\-*/@]{{0,255}})=[ {_VALUE}]{{0,255}}[{_VALUE}][ \t]*"
)
_ENTRY: Final = re.compile(r"[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[\x20-\x2b\x2d-\x7e]*")


def extract_trace_context(headers: Mapping[str, str]) -> Context:
    """Return the trace context and baggage of received headers, whose names are in lower case.

    An empty Context when they have none, or none that is valid.
    """
    context = Context()
    traceparent = headers.get("traceparent")
    if traceparent is not None and len(traceparent) <= _MAX_TRACEPARENT:
        carrier = {"traceparent": traceparent}
        tracestate = headers.get("tracestate")
        if tracestate is not None and _is_tracestate(tracestate):
            carrier["tracestate"] = tracestate
        context = _TRACE.extract(carrier, context)
    baggage = headers.get("baggage")
    if baggage is not None and _is_baggage(baggage):
        context = _BAGGAGE.extract({"baggage": baggage}, context)
    return context


def create_trace_headers(context: Context | None = None) -> dict[str, str]:
    """Return the headers that carry a context on, the current one when none is given."""
    carrier: dict[str, str] = {}
    span_context = get_current_span(context).get_span_context()
    if span_context.is_valid:
        carrier.update(trace_headers(span_context))
    _BAGGAGE.inject(carrier, context)
    return carrier


def trace_headers(span_context: SpanContext) -> dict[str, str]:
    """Return the headers that name a span as the parent."""
    headers = {"traceparent": _traceparent(span_context)}
    if span_context.trace_state:
        headers["tracestate"] = span_context.trace_state.to_header()
    return headers


def header_lines(span_context: SpanContext, context: Context) -> bytes:
    """Return the same as `create_trace_headers`, for a span, as lines on the wire."""
    if span_context is INVALID_SPAN_CONTEXT:
        return b""
    lines = f"traceparent: {_traceparent(span_context)}\r\n"
    if span_context.trace_state:
        lines += f"tracestate: {span_context.trace_state.to_header()}\r\n"
    if context:
        carrier: dict[str, str] = {}
        _BAGGAGE.inject(carrier, context)
        if carrier:
            lines += f"baggage: {carrier['baggage']}\r\n"
    return lines.encode("ascii", "ignore")


def _traceparent(span_context: SpanContext) -> str:
    ids = f"{span_context.trace_id:032x}-{span_context.span_id:016x}"
    return f"00-{ids}-{span_context.trace_flags:02x}"


def _is_tracestate(text: str) -> bool:
    if len(text) > _MAX_TRACESTATE:
        return False
    members = [member for member in text.split(",") if member.strip(" \t")]
    if len(members) > _MAX_MEMBERS:
        return False
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = [match[1] for match in matches if match]
    return len(keys) == len(members) == len(set(keys))


def _is_baggage(text: str) -> bool:
    if len(text) > _MAX_BAGGAGE:
        return False
    entries = text.split(",")
    return len(entries) <= _MAX_BAGGAGE_ENTRIES and all(map(_ENTRY.fullmatch, entries))
