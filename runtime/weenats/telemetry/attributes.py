"""The attributes that spans and metrics of calls have on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats.telemetry import semconv

if TYPE_CHECKING:
    from weenats.errors import ServiceError
    from weenats.protocol.subjects import Kind
    from weenats.telemetry.manager import Attributes, TelemetryManager

__all__ = ["Calls", "failure_of"]


class Calls:
    """What the calls of one operation have in common on either side; made once, not for each call.

    Args:
        manager: whose settings hold.
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
        self._outcomes: dict[str, Attributes] = {}
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
        code = semconv.OK if error is None else error.code.value
        attributes = self._outcomes.get(code)
        if attributes is None:
            failure = {} if error is None else failure_of(error)
            attributes = self._outcomes[code] = {**self._rpc, **failure}
        return attributes


def failure_of(error: ServiceError) -> Attributes:
    """Return the attributes of a failure."""
    return {semconv.RPC_STATUS: error.code.value, semconv.ERROR_TYPE: error.code.value}
