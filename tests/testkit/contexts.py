"""Request contexts for unit tests."""

from __future__ import annotations

from typing import Any

from testkit.probe import RUN, Run
from weenats.context import RequestContext
from weenats.protocol.identifiers import STAMPER


def make_context(**changes: Any) -> RequestContext:
    """Return the client's context of a call of the probe; `changes` replace its values."""
    message_id = STAMPER.stamp()
    values: dict[str, Any] = {
        "side": "client",
        "operation": RUN,
        "key": "k-1",
        "payload": Run(action="go"),
        "message_id": message_id,
        "correlation_id": message_id,
    }
    return RequestContext(**{**values, **changes})
