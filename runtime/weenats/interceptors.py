"""Interceptors: code that runs around each call, with one shape for clients and services.

A chain is composed once, from its members; the first one is the outermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Protocol, cast

from weenats._internal.validation import check_async
from weenats.context import RequestContext, Response

if TYPE_CHECKING:
    from pydantic import JsonValue

    from weenats.contract import AnyOperation

__all__ = ["CallNext", "Description", "Feature", "Interceptor", "Setting"]
CallNext = Callable[[RequestContext], Awaitable[Response]]


class Interceptor(Protocol):
    """Stands around a call, on either side.

    Await `call_next(context)` to go on; raise a ServiceError to refuse. A plain async function will
    do.
    """

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Handle the call."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """How a member of a chain describes itself for one operation.

    Attributes:
        name: its name in the list of interceptors.
        settings: its settings, in the order in which they are shown.
        provides: what later members may rely on, such as "principal".
        requires: what earlier members must provide.
    """

    name: str
    settings: tuple[Setting, ...] = ()
    provides: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()


class Feature(Protocol):
    """A member of a chain: authentication, rate limiting, telemetry, a user's interceptor."""

    def interceptor(self, operation: AnyOperation) -> Interceptor | None:
        """Return the interceptor of an operation, None when the feature does nothing for it."""
        ...

    def describe(self, operation: AnyOperation) -> Description | None:
        """Describe the feature for an operation, None when there is nothing to show."""
        ...


def chain(interceptors: Iterable[Interceptor], innermost: CallNext) -> CallNext:
    """Compose interceptors around the innermost step; the first one is the outermost."""
    call = innermost
    for interceptor in reversed(tuple(interceptors)):
        call = _around(interceptor, call)
    return call


def result_of(response: object) -> object:
    """Return the result of a call, or raise TypeError where an interceptor lost the response."""
    if isinstance(response, Response):
        return response.result
    raise TypeError(
        "an interceptor returned no Response: it must `return await call_next(context)`"
    )


def check(interceptor: object) -> None:
    """Refuse at once what cannot be an interceptor.

    Raises:
        TypeError: it is not async, or does not take what it is given.
    """
    check_async(interceptor, "an interceptor")
    with suppress(ValueError):  # there are callables that tell nothing of themselves
        # What a decorator makes is called, not what it was put on.
        shape = signature(cast("Callable[..., object]", interceptor), follow_wrapped=False)
        try:
            shape.bind("context", "call_next")
        except TypeError:
            name = getattr(interceptor, "__qualname__", type(interceptor).__name__)
            raise TypeError(
                f"an interceptor takes (context, call_next), and {name} takes {shape}"
            ) from None


def _around(interceptor: Interceptor, call_next: CallNext) -> CallNext:
    # No coroutine of its own, and no search for `__call__`: each request goes through each link.
    handle = interceptor.__call__
    return lambda context: handle(context, call_next)
