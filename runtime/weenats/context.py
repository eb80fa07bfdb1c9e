"""What is known of the message at hand, and which message that is.

The root of correlation, causation and deadlines.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, Self, TypeVar, cast

from typing_extensions import override

from weenats.principal import Principal
from weenats.protocol.headers import NO_HEADERS
from weenats.protocol.messages import AggregateId

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from pydantic import JsonValue

    from weenats.contract import AnyOperation
    from weenats.errors import ServiceError

__all__ = ["Key", "MessageContext", "Principal", "RequestContext", "Response"]
ValueT = TypeVar("ValueT")
NO_CONTEXT: Final[Mapping[str, JsonValue]] = {}
_NOTHING: Final[Mapping[str, str | bool]] = MappingProxyType({})


class Key(Generic[ValueT]):
    """A typed slot of a context.

    What an interceptor puts there, later interceptors and the handler read.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


ATTEMPT: Final = Key[int]("attempt")
"""The number of the attempt of a retried call, from the second one on."""


class MessageContext:
    """What every message has: ids, headers, shared context values and a deadline.

    Attributes:
        message_id: the ULID of the message.
        timestamp: when the message was created, ISO 8601 in UTC with milliseconds; "" when unknown.
        correlation_id: shared by all messages that one cause set off.
        causation_id: the message that caused this one, when it is known.
        metadata_context: what callers pass on with the message, read-only.
        headers: the headers of the message; names are compared without case.
        deadline: the point on the monotonic clock at which the caller gives up, None when it never
            does.
        otel_context: the OpenTelemetry context of the message, None without telemetry.
    """

    __slots__ = (
        "_values",
        "causation_id",
        "correlation_id",
        "deadline",
        "headers",
        "message_id",
        "metadata_context",
        "otel_context",
        "timestamp",
    )

    def __init__(  # noqa: PLR0913 - one slot each, all known at once
        self,
        *,
        message_id: str,
        correlation_id: str,
        timestamp: str = "",
        causation_id: str | None = None,
        metadata_context: Mapping[str, JsonValue] = NO_CONTEXT,
        headers: Mapping[str, str] = NO_HEADERS,
        deadline: float | None = None,
    ) -> None:
        self.message_id = message_id
        self.timestamp = timestamp
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self.metadata_context = metadata_context
        self.headers = headers
        self.deadline = deadline
        self.otel_context: Context | None = None
        self._values: dict[Key[Any], Any] | None = None

    def __getitem__(self, key: Key[ValueT]) -> ValueT:
        if self._values is None:
            raise KeyError(key)
        return cast("ValueT", self._values[key])

    def __setitem__(self, key: Key[ValueT], value: ValueT) -> None:
        if self._values is None:
            self._values = {}
        self._values[key] = value

    def __contains__(self, key: Key[Any]) -> bool:
        return self._values is not None and key in self._values

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, never negative; None when there is no deadline."""
        return None if self.deadline is None else max(self.deadline - monotonic(), 0.0)

    @property
    def inherited_deadline(self) -> float | None:
        """The deadline that calls inherit which are made on behalf of this message."""
        return self.deadline


class Shieldable(Protocol):
    """Work that can be kept from being interrupted: from each `shield` to its `unshield`."""

    @property
    def is_shielded(self) -> bool:
        """Say whether it may not be interrupted now."""
        ...

    def shield(self) -> None:
        """Interrupt it no more."""
        ...

    def unshield(self) -> None:
        """Interrupt it again, at once if an interruption came due meanwhile."""
        ...


class RequestContext(MessageContext):
    """The request at hand, on either side.

    Attributes:
        side: "client" around a call that is made, "server" around one that is served.
        operation: the descriptor of the command or query.
        key: the key of the aggregate.
        token: the JWT that the message carries, None when it carries none; never shown by repr.
        principal: who calls, when authentication found out; never shown by repr.
        span: the span of the request, for attributes and events; None while nobody records it.
        arrival: when it arrived, ns since the epoch; 0 when nobody asks.
        size: bytes of its envelope.
        trace_headers: header lines that carry the trace of a call, set by client telemetry.
    """

    __slots__ = (
        "_features",
        "_payload",
        "_span_attributes",
        "_span_events",
        "_work",
        "arrival",
        "key",
        "operation",
        "payload_error",
        "principal",
        "side",
        "size",
        "span",
        "token",
        "trace_headers",
    )

    def __init__(  # noqa: PLR0913 - one slot each, all known at once
        self,
        *,
        side: Literal["client", "server"],
        operation: AnyOperation,
        key: str,
        payload: object,
        message_id: str,
        correlation_id: str,
        timestamp: str = "",
        causation_id: str | None = None,
        token: str | None = None,
        metadata_context: Mapping[str, JsonValue] = NO_CONTEXT,
        headers: Mapping[str, str] = NO_HEADERS,
        deadline: float | None = None,
        payload_error: ServiceError | None = None,
        principal: Principal | None = None,
        work: Shieldable | None = None,
    ) -> None:
        self.message_id = message_id
        self.timestamp = timestamp
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self.metadata_context = metadata_context
        self.headers = headers
        self.deadline = deadline
        self.otel_context = None
        self._values = None
        self.side = side
        self.operation = operation
        self.key = key
        self._payload = payload
        self.payload_error = payload_error
        self.token = token
        self.principal = principal
        self._work = work
        self.span: Span | None = None
        self.arrival = 0
        self.size = 0
        self.trace_headers = b""
        self._span_events: list[tuple[str, Mapping[str, str]]] | None = None
        self._features: Mapping[str, str | bool] = _NOTHING
        self._span_attributes: dict[str, str | bool] | None = None

    @property
    @override
    def inherited_deadline(self) -> float | None:
        """The deadline that nested calls inherit, None within `shield_from_deadline`."""
        return None if self._work is not None and self._work.is_shielded else self.deadline

    @contextmanager
    def shield_from_deadline(self) -> Generator[None]:
        """Finish what stands inside, though the deadline passes or the caller gives up.

        The caller is answered all the same; the handler is cancelled on leaving. Calls that are
        made inside have their own timeouts only. A stop whose drain budget is spent still cancels.

        Raises:
            RuntimeError: it is the context of a call that is made, not of one that is served.
        """
        if self.side == "client":
            raise RuntimeError("a call that is made has no handler to shield from its deadline")
        if self._work is None:  # nobody interrupts it
            yield
            return
        self._work.shield()
        try:
            yield
        finally:
            self._work.unshield()

    @property
    def payload(self) -> object:
        """The command's payload or the query's parameters, None when it takes none.

        Raises:
            InvalidArgumentError: what came breaks the contract. Interceptors that refuse callers do
                so before they look at the payload, so that nobody learns of its validity who is not
                let in.
        """
        if self.payload_error is not None:
            raise self.payload_error
        return self._payload

    def add_event(self, name: str, **attributes: str) -> None:
        """Tell of something that happened to the request, on its span; nothing when it has none."""
        if self.span is not None:
            self.span.add_event(name, attributes)
        elif self.arrival and self.otel_context is None:
            # Its span is started later: see telemetry.
            self._span_events = [*self.span_events, (name, attributes)]

    def set_attribute(self, name: str, value: str | bool) -> None:  # noqa: FBT001 - a value
        """Say something of the request on its span; nothing when it has none."""
        if self.span is not None:
            self.span.set_attribute(name, value)
        elif self.arrival and self.otel_context is None:
            self._span_attributes = {**self.span_attributes, name: value}

    def note_feature(self, name: str, value: str | bool) -> None:  # noqa: FBT001 - a value
        """Say what a feature decided; telemetry tells it where its level of attributes has it."""
        self._features = {**self._features, name: value}

    @property
    def features(self) -> Mapping[str, str | bool]:
        """What features decided, as far as they said."""
        return self._features

    @property
    def span_attributes(self) -> Mapping[str, str | bool]:
        """What was said before there was a span."""
        return self._span_attributes or {}

    @property
    def span_events(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """What happened before there was a span."""
        return self._span_events or ()

    @property
    def aggregate_id(self) -> AggregateId:
        """The identity of the aggregate: its type and its key."""
        return AggregateId(type=self.operation.contract.aggregate, key=self.key)

    def __copy__(self) -> Self:
        # Slot by slot: what `copy` does of its own accord costs many times as much.
        copied = type(self).__new__(type(self))
        copied.message_id = self.message_id
        copied.timestamp = self.timestamp
        copied.correlation_id = self.correlation_id
        copied.causation_id = self.causation_id
        copied.metadata_context = self.metadata_context
        copied.headers = self.headers
        copied.deadline = self.deadline
        copied._values = self._values
        copied.side = self.side
        copied.operation = self.operation
        copied.key = self.key
        copied._payload = self._payload
        copied.payload_error = self.payload_error
        copied.token = self.token
        copied.principal = self.principal
        copied._work = self._work
        copied.otel_context = self.otel_context
        copied.span = self.span
        copied.arrival = self.arrival
        copied.size = self.size
        copied.trace_headers = self.trace_headers
        copied._span_events = self._span_events
        copied._features = self._features
        copied._span_attributes = self._span_attributes
        return copied

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of attributes
        """Return a copy with other values, for the rest of the chain."""
        changed = copy(self)
        changed._values = None if self._values is None else dict(self._values)
        for name, value in changes.items():
            setattr(changed, "_payload" if name == "payload" else name, value)
        return changed

    def __repr__(self) -> str:
        return f"<RequestContext {self.side} {self.operation.subject} {self.message_id}>"


class Response:
    """What a call ended in.

    Attributes:
        result: the typed result; None when the operation has none.
    """

    __slots__ = ("result",)

    def __init__(self, result: object) -> None:
        self.result = result


CURRENT: Final[ContextVar[MessageContext | None]] = ContextVar(
    "weenats_current_message", default=None
)
"""The message that the running task serves; what it sends on inherits from it."""
