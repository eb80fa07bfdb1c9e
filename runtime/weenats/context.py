"""The context of a message: ids, headers, deadline, caller and span, for interceptors and handlers.

Calls and events inherit correlation, causation and deadline from the message that caused them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from time import monotonic, monotonic_ns
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NoReturn,
    Protocol,
    Self,
    SupportsIndex,
    TypeVar,
    cast,
)

from typing_extensions import override

from weenats._internal.timestamps import since_epoch
from weenats._internal.validation import check_plain
from weenats.principal import Principal
from weenats.protocol.headers import NO_HEADERS
from weenats.protocol.messages import AggregateId

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from pydantic import JsonValue

    from weenats.contract import AnyOperation
    from weenats.errors import ServiceError

__all__ = ["Key", "MessageContext", "Principal", "RequestContext", "Response"]
ValueT = TypeVar("ValueT")
NO_CONTEXT: Final[Mapping[str, JsonValue]] = MappingProxyType({})
OnAnswer = Callable[["RequestContext", "ServiceError | None"], None]
"""Takes the context of a request, and the error of the reply or None for a success."""
Recorder = Callable[["Mapping[str, str | bool]"], None]
"""Adds the attributes of a feature to the span of a request."""


class Key(Generic[ValueT]):
    """A typed key of a context, for values that interceptors pass to later ones and to the handler.

    Args:
        name: what it is called in its repr.

    Example:
        ```python
        TENANT = Key[str]("tenant")


        async def tenant(context: RequestContext, call_next: CallNext) -> Response:
            context[TENANT] = context.headers["x-tenant"]
            return await call_next(context)
        ```
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


ATTEMPT: Final = Key[int]("attempt")
"""The number of the attempt of a retried call, set from the second attempt on."""


@dataclass(slots=True, eq=False, repr=False)
class UnreadContext:
    """The values of `metadata.context` before they are read.

    Attributes:
        read: checks and returns them, or raises InvalidArgumentError.
    """

    read: Callable[[], Mapping[str, JsonValue]]


class MessageContext:
    """The context of any message: ids, headers, values of the sender and a deadline.

    Attributes:
        message_id: the ULID of the message.
        timestamp: when the message was created, ISO 8601 in UTC with milliseconds; "" when unknown.
        correlation_id: shared by all messages that have one cause.
        causation_id: the id of the message that caused this one, None when unknown.
        deadline: when the caller stops waiting, on the monotonic clock; None for never.
        otel_context: the OpenTelemetry context of the message, None without telemetry.
    """

    __slots__ = (
        "_headers",
        "_metadata_context",
        "_values",
        "causation_id",
        "correlation_id",
        "deadline",
        "message_id",
        "otel_context",
        "timestamp",
    )
    _SLOTS: ClassVar[tuple[str, ...]] = __slots__
    """Those of the base classes as well."""

    def __init__(  # noqa: PLR0913, PLR0917 - one slot each; by position, it takes half the time
        self,
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
        self._metadata_context: Mapping[str, JsonValue] | UnreadContext = metadata_context
        self._headers: Mapping[str, str] | None = headers
        self.deadline = deadline
        self.otel_context: Context | None = None
        self._values: dict[Key[Any], Any] | None = None

    def __copy__(self) -> Self:
        # Slot by slot: the generic `copy` takes several times as long.
        copied = type(self).__new__(type(self))
        for slot in self._SLOTS:
            setattr(copied, slot, getattr(self, slot))
        return copied

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: it belongs to a message that this process"
            " handles; give another process what it needs of it, such as the key and the data"
        )

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
    def metadata_context(self) -> Mapping[str, JsonValue]:
        """The values that the sender put into `metadata.context`, read-only.

        Raises:
            InvalidArgumentError: they are invalid, which only an interceptor can find: such a
                request does not reach its handler. Callers who are refused do not learn it, if
                interceptors refuse them before they read the values.
        """
        values = self._metadata_context
        if isinstance(values, UnreadContext):
            values = self._metadata_context = values.read()
        return values

    @metadata_context.setter
    def metadata_context(self, value: Mapping[str, JsonValue]) -> None:
        """Replace them by those of `value`."""
        self._metadata_context = value

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the message; names are case-insensitive."""
        return NO_HEADERS if self._headers is None else self._headers

    @headers.setter
    def headers(self, value: Mapping[str, str]) -> None:
        """Replace them by those of `value`."""
        self._headers = value

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, never negative; None when there is no deadline."""
        return None if self.deadline is None else max(self.deadline - monotonic(), 0.0)

    @property
    def inherited_deadline(self) -> float | None:
        """The deadline that calls inherit when they are made while this message is handled."""
        return self.deadline


class Work(Protocol):
    """The work of serving one request, as the context of the request uses it.

    Attributes:
        received: when the request arrived, nanoseconds of the monotonic clock.
        started: when the service began to handle it, on the monotonic clock; None before.
        executed: whether its handler has begun.
        on_answer: the functions to call once the request has been answered.
    """

    received: int
    started: float | None
    executed: bool
    on_answer: tuple[OnAnswer, ...]

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request."""
        ...

    @property
    def size(self) -> int:
        """The size of the request in bytes."""
        ...

    @property
    def envelope(self) -> bytes:
        """The request as it was received."""
        ...

    @property
    def is_shielded(self) -> bool:
        """Whether interruptions are deferred."""
        ...

    def shield(self) -> None:
        """Defer interruptions until the matching `unshield`."""
        ...

    def unshield(self) -> None:
        """Undo one `shield`; after the last one, a deferred interruption takes effect."""
        ...


class Received(Protocol):
    """A received request, as its context uses it.

    Attributes:
        error: what was wrong with the payload when it was read, None when it is valid or unread.
    """

    error: ServiceError | None

    def read_payload(self) -> object:
        """Check the payload, once, and return it; None when the operation has none.

        Raises:
            InvalidArgumentError: it breaks the contract.
        """
        ...


class RequestContext(MessageContext):
    """The context of one request, on either side.

    Attributes:
        side: "client" around a call that is made, "server" around one that is served.
        operation: the descriptor of the command or query.
        key: the key of the aggregate as on the wire; "" for an operation of the service itself.
        token: the JWT of the message, None when it has none; never shown by repr.
        received: the request while its key and payload are unread, or invalid; else None.
        principal: the authenticated caller, None before authentication; never shown by repr.
        span: the span of the request, for attributes and events, which ends when the request has
            been answered; None when none is recorded.
        recorder: records what features decide on the span; set by telemetry.
        trace_headers: header lines that carry the trace of a call, set by client telemetry.
    """

    __slots__ = (
        "_payload",
        "_work",
        "key",
        "operation",
        "principal",
        "received",
        "recorder",
        "side",
        "span",
        "token",
        "trace_headers",
    )
    _SLOTS: ClassVar[tuple[str, ...]] = (*MessageContext.__slots__, *__slots__)

    def __init__(  # noqa: PLR0913, PLR0917 - one slot each; by position, it takes half the time
        self,
        side: Literal["client", "server"],
        operation: AnyOperation,
        key: str,
        payload: object,
        message_id: str,
        correlation_id: str,
        timestamp: str = "",
        causation_id: str | None = None,
        token: str | None = None,
        metadata_context: Mapping[str, JsonValue] | UnreadContext = NO_CONTEXT,
        headers: Mapping[str, str] | None = NO_HEADERS,
        deadline: float | None = None,
        principal: Principal | None = None,
        received: Received | None = None,
        work: Work | None = None,
    ) -> None:
        self.message_id = message_id
        self.timestamp = timestamp
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self._metadata_context = metadata_context
        self._headers = headers
        self.deadline = deadline
        self.otel_context = None
        self._values = None
        self.side = side
        self.operation = operation
        self.key = key
        self._payload = payload
        self.token = token
        self.principal = principal
        self.received = received
        self._work = work
        self.span: Span | None = None
        self.recorder: Recorder | None = None
        self.trace_headers = b""

    @property
    @override
    def headers(self) -> Mapping[str, str]:
        """The headers of the request; names are case-insensitive."""
        headers = self._headers
        if headers is None:  # those of a received request are created on demand
            headers = self._headers = NO_HEADERS if self._work is None else self._work.headers
        return headers

    @headers.setter
    def headers(self, value: Mapping[str, str]) -> None:
        """Replace them by those of `value`."""
        self._headers = value

    @property
    def arrival(self) -> int:
        """When the request arrived, nanoseconds since the epoch; 0 on the client side."""
        return 0 if self._work is None else since_epoch(self._work.received)

    @property
    def age(self) -> int:
        """Nanoseconds since the request arrived, however the clock was set; 0 for a call."""
        return 0 if self._work is None else monotonic_ns() - self._work.received

    @property
    def size(self) -> int:
        """The size of the request's envelope in bytes; 0 on the client side."""
        return 0 if self._work is None else self._work.size

    @property
    def envelope(self) -> bytes:
        """The request as it was received; b"" on the client side."""
        return b"" if self._work is None else self._work.envelope

    @property
    def time_to_run(self) -> float | None:
        """Seconds from when the service began to handle the request to its deadline.

        None without a deadline, and on the client side.
        """
        started = None if self._work is None else self._work.started
        return None if started is None or self.deadline is None else self.deadline - started

    @property
    def executed(self) -> bool:
        """Whether the handler has begun; False on the client side."""
        return self._work is not None and self._work.executed

    def note_executed(self) -> None:
        """Note that the handler begins."""
        if self._work is not None:
            self._work.executed = True

    @property
    @override
    def inherited_deadline(self) -> float | None:
        """The deadline that nested calls inherit, None within `shield_from_deadline`."""
        return None if self._work is not None and self._work.is_shielded else self.deadline

    @contextmanager
    def shield_from_deadline(self) -> Generator[None]:
        """Run the body of the `with` to its end, even if the deadline passes or the caller cancels.

        The caller gets its answer at the deadline all the same, and the handler is cancelled when
        the body ends. Calls that are made in the body have their own timeouts only. A stop of the
        service whose drain timeout has passed still cancels.

        Raises:
            RuntimeError: this is the context of a call that is made, not of one that is served.
        """
        if self.side == "client":
            raise RuntimeError("shield_from_deadline() works only in the handler of a request")
        if self._work is None:  # a context that a unit test made
            yield
            return
        self._work.shield()
        try:
            yield
        finally:
            self._work.unshield()

    def on_answer(self, callback: OnAnswer) -> None:
        """Call a function once the request has been answered, with any result.

        The function runs after the reply was sent. Unlike code after `await call_next(context)` it
        also sees what the caller got when the deadline passed, the service stopped or the reply
        could not be sent. A function that is passed after the answer is not called.

        Args:
            callback: a plain function that takes the context of the request as it arrived, and the
                error of the reply, None for a success.

        Raises:
            RuntimeError: this is the context of a call that is made, not of one that is served.
            TypeError: it is not a plain function.
        """
        check_plain(callback, "on_answer")
        if self.side == "client":
            raise RuntimeError("on_answer is for requests that are served, not for calls")
        if self._work is not None:
            self._work.on_answer += (callback,)

    @property
    def payload(self) -> object:
        """The command's payload or the query's parameters, None when it takes none.

        Raises:
            InvalidArgumentError: the payload breaks the contract. Interceptors that refuse callers
                do so before they read the payload, so that callers who are refused do not learn
                whether it is valid.
        """
        received = self.received
        if received is not None:
            payload = received.read_payload()
            self.received = None
            if self._payload is None:  # else an interceptor has replaced it
                self._payload = payload
        return self._payload

    @property
    def payload_error(self) -> ServiceError | None:
        """What was wrong with the payload when it was read, None when it is valid or unread."""
        return None if self.received is None else self.received.error

    def add_event(self, name: str, **attributes: str) -> None:
        """Add an event to the span of the request; does nothing unless a span is recorded.

        Args:
            name: the name of the event.
            attributes: its attributes.
        """
        if self.span is not None and self.span.is_recording():
            self.span.add_event(name, attributes)

    def set_attribute(self, name: str, value: str | bool) -> None:  # noqa: FBT001 - a value
        """Set an attribute of the span of the request; does nothing unless a span is recorded.

        Args:
            name: the name of the attribute.
            value: its value.
        """
        if self.span is not None and self.span.is_recording():
            self.span.set_attribute(name, value)

    def note_feature(self, attributes: Mapping[str, str | bool]) -> None:
        """Record what a feature decided, unless telemetry collects the minimum of attributes.

        Args:
            attributes: attributes of the span.
        """
        if self.recorder is not None and self.span is not None and self.span.is_recording():
            self.recorder(attributes)

    @property
    def aggregate_id(self) -> AggregateId:
        """The identity of the aggregate: its type and its key.

        Raises:
            RuntimeError: it is an operation of the service itself.
        """
        aggregate = self.operation.aggregate
        if aggregate is None:
            raise RuntimeError(f"{self.operation.name} belongs to the service, not to an aggregate")
        return AggregateId(type=aggregate.name, key=self.key)

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - the values of attributes
        """Return a copy with other values, for the rest of the chain.

        Args:
            changes: new values by the names of attributes.

        Raises:
            AttributeError: there is no such attribute.
        """
        changed = copy(self)
        changed._values = None if self._values is None else dict(self._values)
        for name, value in changes.items():
            setattr(changed, "_payload" if name == "payload" else name, value)
        return changed

    def __repr__(self) -> str:
        return f"<RequestContext {self.side} {self.operation.subject} {self.message_id}>"


def received_context(metadata: Mapping[str, Any]) -> Mapping[str, JsonValue]:
    """Return the read-only values that the sender of a message put into `metadata.context`.

    Args:
        metadata: the metadata of the message.
    """
    values = metadata.get("context")
    return NO_CONTEXT if values is None else MappingProxyType(values)


@dataclass(slots=True, eq=False, repr=False)
class Response:
    """The response of a call that succeeded; `repr` does not show the result.

    Attributes:
        result: the typed result; None when the operation has none.
    """

    result: object

    @property
    def headers(self) -> bytes:
        """Header lines of the reply that say where the result is; b"" if it is in the reply."""
        return b""


CURRENT: Final[ContextVar[MessageContext | None]] = ContextVar(
    "weenats_current_message", default=None
)
"""The message that the running task handles: calls and events that it causes inherit from it."""
