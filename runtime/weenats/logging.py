"""Logs of a service: which request, trace and caller each record belongs to.

Nothing is installed by importing the library; `configure` is for programs.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry.trace import get_current_span
from typing_extensions import override

from weenats.context import CURRENT, RequestContext

FIELDS: Final[tuple[str, ...]] = (
    "trace_id",
    "span_id",
    "correlation_id",
    "message_id",
    "operation",
    "principal",
)
"""What `MessageFilter` puts onto records, each "" where there is none."""


class MessageFilter(logging.Filter):
    """Puts onto each record what it belongs to; it refuses none.

    Args:
        principal: whether records name who calls.
    """

    def __init__(self, *, principal: bool = True) -> None:
        super().__init__()
        self._principal = principal

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in belongings(principal=self._principal).items():
            setattr(record, name, value)
        return True


def belongings(*, principal: bool = True) -> dict[str, str]:
    """Return what the running task works on, by the names of FIELDS."""
    span = get_current_span().get_span_context()
    context = CURRENT.get()
    found: dict[str, str] = dict.fromkeys(FIELDS, "")
    if span.is_valid:
        found["trace_id"] = f"{span.trace_id:032x}"
        found["span_id"] = f"{span.span_id:016x}"
    if context is not None:
        found["correlation_id"] = context.correlation_id
        found["message_id"] = context.message_id
    if isinstance(context, RequestContext):
        found["operation"] = f"{context.operation.contract.name}/{context.operation.name}"
        if principal and context.principal is not None:
            found["principal"] = context.principal.id
    return found


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, ""))}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)


_BELONGINGS: Final = "[%(operation)s %(correlation_id)s %(trace_id)s]"
_TEXT: Final = f"%(asctime)s %(levelname)-7s %(name)s {_BELONGINGS} %(message)s"


def configure(
    *, json: bool = False, level: int | str = logging.INFO, principal: bool = True
) -> logging.Handler:
    """Log to standard error, each record with what it belongs to; calling again replaces it.

    Args:
        json: one JSON object a line, for machines.
        level: the lowest level that is logged.
        principal: whether records name who calls.
    """
    handler = logging.StreamHandler()
    handler.addFilter(MessageFilter(principal=principal))
    handler.setFormatter(JsonFormatter() if json else logging.Formatter(_TEXT))
    handler.set_name(_NAME)
    root = logging.getLogger()
    for installed in [each for each in root.handlers if each.get_name() == _NAME]:
        root.removeHandler(installed)
    root.addHandler(handler)
    root.setLevel(level)
    return handler


_NAME: Final = "weenats"
