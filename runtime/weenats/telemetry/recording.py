"""Recording of calls and messages: durations, outcomes, and the attributes of calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import Status, StatusCode

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    from weenats.errors import Code, ServiceError
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.manager import Attributes, TelemetryManager

    End = Callable[[Span | None, float, BaseException | None], None]

__all__ = ["CallRecorder", "Recording", "end_span", "hand_over"]
_LOG: Final = LimitedLogger("weenats.telemetry")


@dataclass(slots=True, eq=False, repr=False)
class Recording:
    """Measures what runs within `with`, which returns the headers that propagate the trace.

    Attributes:
        end: called at the end with the span, the duration in seconds and the exception, if any.
        span: the span, None when it is not recorded.
        headers: encoded header lines.
    """

    end: End
    span: Span | None
    headers: bytes = b""
    _started: float = field(init=False)

    def __enter__(self) -> bytes:
        self._started = perf_counter()
        return self.headers

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.end(self.span, perf_counter() - self._started, error)


class CallRecorder:
    """Records the calls of one operation, on either side: the parts that all its calls share.

    Args:
        manager: starts the spans and has the settings.
        name: the name of the spans, `{service}/{operation}`.
        kind: the kind of message, for sampling.
        subject: the subject of the requests.
        action: `messaging.operation.name` and `messaging.operation.type`.
    """

    def __init__(
        self,
        manager: TelemetryManager,
        name: str,
        kind: Kind,
        subject: str,
        action: tuple[str, str],
    ) -> None:
        self.name = name
        self._manager = manager
        self._kind = kind
        # Spans start with the status OK, so that most of them need no other attribute at their end.
        self._rpc: Attributes = {
            semconv.RPC_SYSTEM: semconv.NATS,
            semconv.RPC_METHOD: name,
            semconv.RPC_STATUS: semconv.OK,
        }
        self._outcomes: dict[Code, Attributes] = {}
        self._attributes: Attributes = dict(self._rpc)
        level = manager.settings.attributes
        self._has_features = level != "minimal"
        if self._has_features:
            self._attributes |= {
                semconv.SYSTEM: semconv.NATS,
                semconv.OPERATION_NAME: action[0],
                semconv.OPERATION_TYPE: action[1],
                semconv.DESTINATION: subject,
            }
        if level == "full":
            self._attributes |= {
                semconv.OWN_SUBJECT: subject,
                semconv.ENVIRONMENT: manager.settings.environment,
            }

    def _outcome(self, error: ServiceError | None) -> Attributes:
        """Return the attributes of a metric; there is one set for each code."""
        if error is None:
            return self._rpc
        attributes = self._outcomes.get(error.code)
        if attributes is None:
            attributes = self._outcomes[error.code] = {**self._rpc, **_failure_of(error)}
        return attributes


def end_span(span: Span, error: ServiceError | None) -> None:
    """End the span of a call.

    Args:
        span: the span.
        error: the error if the call failed. Its message is not recorded, as it may hold secrets.
    """
    if error is not None:
        span.set_attributes(_failure_of(error))
        span.set_status(Status(StatusCode.ERROR, error.label))
    hand_over(span)


def hand_over(span: Span) -> None:
    """End a span, which hands it to the processors of the application.

    Args:
        span: the span.
    """
    try:
        span.end()
    except BaseException as raised:  # what they raise is not an error of the call
        if ends_task(raised):
            raise
        _LOG.exception("a span was not recorded: its processor failed")


def _failure_of(error: ServiceError) -> Attributes:
    return {semconv.RPC_STATUS: error.code.value, semconv.ERROR_TYPE: error.code.value}
