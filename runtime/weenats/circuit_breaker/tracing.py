"""What circuit breakers say on the span of the request at hand."""

from __future__ import annotations

from weenats.context import CURRENT, RequestContext
from weenats.telemetry import semconv


def tell_state(state: str, event: str = "", **details: str) -> None:
    """Say in which state a breaker is, and what it did; of a closed one nothing is said."""
    context = CURRENT.get()
    if isinstance(context, RequestContext):
        context.note_feature(semconv.FEATURE_CIRCUIT_BREAKER, state)
        if event:
            context.add_event(event, **details)
