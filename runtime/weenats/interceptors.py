"""What stands around a call, on either side.

One shape, composed once, the first added the outermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from inspect import signature
from typing import Protocol, cast

from weenats._internal.validation import check_async
from weenats.context import RequestContext, Response

CallNext = Callable[[RequestContext], Awaitable[Response]]


class Interceptor(Protocol):
    """Stands around a call, on either side.

    Await `call_next(context)` to go on; raise a ServiceError to refuse. A plain async function will
    do.
    """

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Handle the call."""
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
