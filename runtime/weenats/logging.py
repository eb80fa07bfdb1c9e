"""Logging with the request, trace and caller of each record.

The runtime logs to the logger `weenats` and its children. Programs may call `configure`.
"""

import json as encoding
import logging
from datetime import UTC, datetime
from traceback import format_tb
from typing import Any, Final

from opentelemetry.trace import get_current_span
from typing_extensions import override

from weenats._internal.text import printable
from weenats.context import CURRENT, RequestContext
from weenats.telemetry.settings import PrincipalMode, check_principal_mode, shown_principal

__all__ = [
    "FIELDS",
    "JsonFormatter",
    "LineFormatter",
    "MessageFilter",
    "TextFormatter",
    "configure",
    "current_fields",
]

FIELDS: Final[tuple[str, ...]] = (
    "trace_id",
    "span_id",
    "correlation_id",
    "message_id",
    "operation",
    "principal",
)
"""The attributes that `MessageFilter` adds to records; an attribute without a value is ""."""
_SHOWN: Final = ("operation", "principal", "correlation_id", "trace_id")
_NAME: Final = "weenats"
_EXTRA: Final = "_weenats_extra"
_STANDARD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "asctime", "message", "taskName", "_weenats_fields", _EXTRA}
)
"""The attributes of records that are not from `extra=`."""
_RESERVED: Final = frozenset(
    {"timestamp", "level", "logger", "message", "exception", "stack", "extra", *FIELDS}
)
"""The members of a line of JSON that are not from `extra=`, or hold what is."""


class MessageFilter(logging.Filter):
    """Adds the attributes `FIELDS` to every record; it drops no records.

    Values of `extra=` with one of these names are kept for `JsonFormatter`.

    Args:
        principal: how records name the principal: "plain", "hashed" (SHA-256) or "none".

    Raises:
        ValueError: the mode is unknown.
    """

    def __init__(self, *, principal: PrincipalMode = "plain") -> None:
        super().__init__()
        check_principal_mode(principal)
        self._principal: PrincipalMode = principal

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        members = vars(record)
        if _EXTRA not in members:  # the first filter of this record: the others find our fields
            members[_EXTRA] = {name: members[name] for name in FIELDS if name in members}
        for name, value in current_fields(principal=self._principal).items():
            setattr(record, name, value)
        return True


def current_fields(*, principal: PrincipalMode = "plain") -> dict[str, str]:
    """Return the values of `FIELDS` for the current request and span.

    Args:
        principal: how the principal is named: "plain", "hashed" (SHA-256) or "none".
    """
    span = get_current_span().get_span_context()
    context = CURRENT.get()
    fields: dict[str, str] = dict.fromkeys(FIELDS, "")
    if span.is_valid:
        fields["trace_id"] = f"{span.trace_id:032x}"
        fields["span_id"] = f"{span.span_id:016x}"
    if context is not None:
        fields["correlation_id"] = context.correlation_id
        fields["message_id"] = context.message_id
    if isinstance(context, RequestContext):
        fields["operation"] = f"{context.operation.contract.name}/{context.operation.label}"
        if context.principal is not None:
            fields["principal"] = shown_principal(context.principal.id, principal) or ""
    return fields


class _SteadyFormatter(logging.Formatter):
    """Formats any exception: Python asks those of a chain for their truth value, for example."""

    @override
    def formatException(self, ei: Any) -> str:
        try:
            return super().formatException(ei)
        except Exception:  # noqa: BLE001 - an exception must not cost the record
            kind, _, trace = ei
            return f"{''.join(format_tb(trace))}{kind.__qualname__}: <it cannot be shown>"


class JsonFormatter(_SteadyFormatter):
    """Formats a record as one line of JSON in ASCII.

    What a program passes as `extra=` are members of the line. Those whose names the line uses
    itself are members of `extra`.
    """

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, ""))}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        extra = _extra(record)
        try:
            return printable(encoding.dumps(line | extra, default=_text, allow_nan=False))
        except Exception:  # noqa: BLE001 - NaN, keys that are not text, circles, broken classes
            line |= {name: each if _is_json(each) else _text(each) for name, each in extra.items()}
            return printable(encoding.dumps(line, default=_text))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    """Return the members of a line of JSON that are from `extra=`."""
    given = {str(name): value for name, value in vars(record).items() if name not in _STANDARD}
    members = {name: value for name, value in given.items() if name not in _RESERVED}
    taken = {name: value for name, value in given.items() if name in _RESERVED.difference(FIELDS)}
    taken |= getattr(record, _EXTRA, {})
    return {**members, "extra": taken} if taken else members


def _is_json(value: object) -> bool:
    try:
        encoding.dumps(value, default=_text, allow_nan=False)
    except Exception:  # noqa: BLE001 - a value must not cost the record
        return False
    return True


def _text(value: object) -> str:
    """Return a value as text, whatever its class does."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value must not cost the record
        return f"<{type(value).__name__}>"


class LineFormatter(_SteadyFormatter):
    """Formats a record as one line, and its traceback on indented lines below.

    What is not printable is escaped, so that text of other parties can neither look like a record
    of its own nor control the terminal.
    """

    @override
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n").replace("\n", "\n    ")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))


class TextFormatter(LineFormatter):
    """Formats a record as a line of text, with operation, principal and ids in brackets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s%(_weenats_fields)s %(message)s")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        values = [value for name in _SHOWN if (value := getattr(record, name, ""))]
        record._weenats_fields = f" [{' '.join(values)}]" if values else ""
        return super().formatMessage(record)


def configure(
    *, json: bool = False, level: int | str = logging.INFO, principal: PrincipalMode = "plain"
) -> logging.Handler:
    """Log to standard error, with request, trace and caller; a second call replaces the first.

    Example:
        ```python
        from weenats.logging import configure

        configure(json=True, level="INFO", principal="hashed")
        ```

    Args:
        json: whether to write JSON, one object per line, instead of text.
        level: lowest level that is logged.
        principal: how records name the principal: "plain", "hashed" (SHA-256) or "none".

    Returns:
        The handler, which was added to the root logger.

    Raises:
        ValueError: the level or the mode is unknown.
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
