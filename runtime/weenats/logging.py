"""Logs of a service: which request, trace and caller each record belongs to.

Nothing is installed by importing the library; `configure` is for programs.
"""

from __future__ import annotations

import json as encoding
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import get_current_span
from typing_extensions import override

from weenats.context import CURRENT, RequestContext
from weenats.telemetry.settings import check_principal_mode, shown_principal

if TYPE_CHECKING:
    from weenats.telemetry.settings import PrincipalMode

FIELDS: Final[tuple[str, ...]] = (
    "trace_id",
    "span_id",
    "correlation_id",
    "message_id",
    "operation",
    "principal",
)
"""What `MessageFilter` puts onto records, each "" where there is none."""
_NAME: Final = "weenats"


class MessageFilter(logging.Filter):
    """Puts onto each record what it belongs to; it refuses none.

    Args:
        principal: whether records name who calls plainly, by a digest, or not at all.
    """

    def __init__(self, *, principal: PrincipalMode = "plain") -> None:
        super().__init__()
        check_principal_mode(principal)
        self._principal: PrincipalMode = principal

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in belongings(principal=self._principal).items():
            setattr(record, name, value)
        return True


def belongings(*, principal: PrincipalMode = "plain") -> dict[str, str]:
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
        if context.principal is not None:
            found["principal"] = shown_principal(context.principal.id, principal) or ""
    return found


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON, in ASCII."""

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
        return encoding.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Writes a record as a line of text, with what it belongs to in brackets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s%(belongings)s %(message)s")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        found = [value for name in _SHOWN if (value := getattr(record, name, ""))]
        record.belongings = f" [{' '.join(found)}]" if found else ""
        return super().formatMessage(record)


_SHOWN: Final = ("operation", "principal", "correlation_id", "trace_id")


def configure(
    *, json: bool = False, level: int | str = logging.INFO, principal: PrincipalMode = "plain"
) -> logging.Handler:
    """Log to standard error, each record with what it belongs to; calling again replaces it.

    Args:
        json: one JSON object a line, for machines.
        level: the lowest level that is logged.
        principal: whether records name who calls plainly, by a digest, or not at all.

    Raises:
        ValueError: there is no such level or mode.
    """
    handler = logging.StreamHandler()
    handler.addFilter(MessageFilter(principal=principal))
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    handler.set_name(_NAME)
    root = logging.getLogger()
    root.setLevel(level)
    for installed in [each for each in root.handlers if each.get_name() == _NAME]:
        root.removeHandler(installed)
    root.addHandler(handler)
    return handler
