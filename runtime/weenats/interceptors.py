"""Interceptors, and the features that provide them, for clients and services.

A chain is composed once, from its members; the first member is the outermost.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Final, Protocol, cast

from pydantic import JsonValue
from typing_extensions import TypeVar, override

from weenats._internal.validation import check_async
from weenats.context import MessageContext, RequestContext, Response
from weenats.contract import AnyOperation
from weenats.errors import ServiceError
from weenats.protocol.messages import HealthCheckEntry
from weenats.transport.base import Delivery

__all__ = ["CallNext", "Interceptor", "Setting"]
ContextT = TypeVar("ContextT", bound=MessageContext, default=RequestContext)
CallNext = Callable[[ContextT], Awaitable[Response]]
"""Passes a call on: to the next interceptor, and at last to the transport or the handler.

`CallNext[ReceivedEvent]` is that of a consumer of events.
"""
PRINCIPAL: Final = "principal"
"""What a feature provides that sets `context.principal`."""


class Interceptor(Protocol[ContextT]):
    """Code that runs around a call, in clients or services, such as an async function.

    It awaits `call_next(context)` to continue and returns the response, or raises a ServiceError
    to refuse the call. `Interceptor[ReceivedEvent]` runs around the handlers of a consumer.
    """

    def __call__(self, context: ContextT, call_next: CallNext[ContextT], /) -> Awaitable[Response]:
        """Handle a call."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of an operation, for `weenats explain`.

    Attributes:
        name: the name of the setting.
        value: its value; durations in seconds, None when the feature is off.
        source: "default", "contract", or the method of the builder that set it.
    """

    name: str
    value: JsonValue
    source: str


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Description:
    """How a member of a chain describes itself for one operation.

    Attributes:
        name: its name in the list of interceptors.
        settings: its settings, in the order in which they are shown.
        provides: what later members may rely on, such as PRINCIPAL.
        requires: what earlier members must provide, with the error message if none does, in which
            `{remedy}` stands for what to do about it.
        span_attributes: attributes that the spans of most requests have.
        statistics: what it adds to the `data` of the endpoint in `$SRV.STATS`.
    """

    name: str
    settings: tuple[Setting, ...] = ()
    provides: frozenset[str] = frozenset()
    requires: Mapping[str, str] = field(default_factory=dict[str, str])
    span_attributes: Mapping[str, str | bool] = field(default_factory=dict[str, "str | bool"])
    statistics: Mapping[str, Callable[[], JsonValue]] = field(
        default_factory=dict[str, "Callable[[], JsonValue]"]
    )


class ServiceFeature(ABC):
    """A member of the chain of one running instance: authentication, a user's interceptor.

    Subclasses override the methods that apply to them.
    """

    @abstractmethod
    def interceptor(self, operation: AnyOperation) -> Interceptor | None:
        """Return the interceptor of an `operation`, None when the feature does nothing for it."""

    @abstractmethod
    def describe(self, operation: AnyOperation) -> Description | None:
        """Describe the feature for an `operation`, None when there is nothing to show."""

    async def start(self) -> None:  # noqa: B027 - most features have nothing to start
        """Prepare what the feature needs, before the service takes requests.

        Raises:
            ServiceError: the service cannot start.
        """

    async def close(self, timeout: float) -> None:  # noqa: B027 - most features have nothing to end
        """End what runs in the background; the connection is still open.

        Args:
            timeout: the seconds within which it has to end.
        """

    def stored_in(self) -> Sequence[str]:
        """Return the names of the streams that it needs to keep what it stores, () for none."""
        return ()

    def gauges(self) -> Mapping[str, float]:
        """Return the current values of its gauges, by their names."""
        return {}

    def health_checks(self) -> Sequence[HealthCheckEntry]:
        """Return what health requests are answered about the feature, () for nothing."""
        return ()

    def seconds_until_ready(self) -> float | None:
        """Return the seconds until it admits requests, 0 while it does; see `self_eject`.

        Returns:
            The seconds; None if the instance stays in its queue group whatever the feature does.
        """
        return None

    def on_refused(  # noqa: B027 - most features have nothing to record
        self, operation: AnyOperation, delivery: Delivery, received: int, error: ServiceError
    ) -> None:
        """Record a request that was refused before it entered the chain.

        Args:
            operation: the operation that was called.
            delivery: the message.
            received: when it arrived, nanoseconds of the monotonic clock.
            error: the error that the caller gets.
        """


class UserInterceptor(ServiceFeature):
    """A member of the chain that has only an interceptor.

    Args:
        interceptor: the interceptor, the same one for all operations.
    """

    def __init__(self, interceptor: Interceptor) -> None:
        self._interceptor = interceptor

    @override
    def interceptor(self, operation: AnyOperation) -> Interceptor:
        return self._interceptor

    @override
    def describe(self, operation: AnyOperation) -> Description:
        name = getattr(self._interceptor, "__name__", type(self._interceptor).__name__)
        return Description(name=str(name))


def chain(
    interceptors: Iterable[Interceptor[ContextT]], innermost: CallNext[ContextT]
) -> CallNext[ContextT]:
    """Compose interceptors around the innermost step; the first one is the outermost."""
    call = innermost
    for interceptor in reversed(tuple(interceptors)):
        call = _around(interceptor, call)
    return call


def result_of(response: object) -> Any:  # noqa: ANN401 - the type that the contract declares
    """Return the result of a call.

    Raises:
        TypeError: an interceptor lost the response.
    """
    if isinstance(response, Response):
        return response.result
    raise TypeError(
        "an interceptor returned no Response: it must `return await call_next(context)`"
    )


def wrong_context(given: object) -> TypeError:
    """Return the error of an interceptor that passes on something other than a context."""
    return TypeError(
        "an interceptor must pass on its context, `await call_next(context)`, not"
        f" {type(given).__name__}"
    )


def check(interceptor: object) -> None:
    """Check that an object can be an interceptor.

    Raises:
        TypeError: it is not async, or does not take (context, call_next).
    """
    check_async(interceptor, "an interceptor")
    with suppress(ValueError):  # some callables have no signature
        # A decorated function is called through its wrapper: the wrapper's signature counts.
        shape = signature(cast("Callable[..., object]", interceptor), follow_wrapped=False)
        try:
            shape.bind("context", "call_next")
        except TypeError:
            name = getattr(interceptor, "__qualname__", type(interceptor).__name__)
            raise TypeError(
                f"an interceptor takes (context, call_next), and {name} takes {shape}"
            ) from None


def _around(
    interceptor: Interceptor[ContextT], call_next: CallNext[ContextT]
) -> CallNext[ContextT]:
    # No extra coroutine, and `__call__` is looked up once: each request passes each interceptor.
    handle = interceptor.__call__

    def call(context: ContextT) -> Awaitable[Response]:
        if not isinstance(context, MessageContext):  # pyright: ignore[reportUnnecessaryIsInstance] - of an interceptor
            raise wrong_context(context)
        return handle(context, call_next)

    return call
