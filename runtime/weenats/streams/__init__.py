"""The streams of durable events: their settings on the server, publishing, dead letters."""

from weenats.streams.plan import Change, StreamPlan, apply_streams, check_streams, plan_streams
from weenats.streams.store import store

__all__ = [
    "Change",
    "StreamPlan",
    "apply_streams",
    "check_streams",
    "plan_streams",
    "store",
]
