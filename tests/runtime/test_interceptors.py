"""The chain: order, refusals, and what cannot stand in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

import pytest

from testkit.contexts import make_context
from weenats.context import RequestContext, Response
from weenats.errors import PermissionDeniedError
from weenats.interceptors import CallNext, Interceptor, chain, check


async def innermost(context: RequestContext) -> Response:
    """Answer the key."""
    return Response(context.key)


def named(name: str, seen: list[str]) -> Interceptor:
    """Return an interceptor that notes when it is entered and left."""

    async def around(context: RequestContext, call_next: CallNext, /) -> Response:
        seen.append(f"{name} in")
        try:
            return await call_next(context)
        finally:
            seen.append(f"{name} out")

    return around


async def test_the_first_is_the_outermost() -> None:
    """Interceptors are entered in order and left in the opposite order."""
    seen: list[str] = []
    call = chain([named("a", seen), named("b", seen), named("c", seen)], innermost)
    assert (await call(make_context())).result == "k-1"
    assert seen == ["a in", "b in", "c in", "c out", "b out", "a out"]


async def test_an_empty_chain_is_the_innermost_step() -> None:
    """Nothing stands around a call that nobody asked to intercept."""
    assert chain([], innermost) is innermost


async def test_a_refusal_goes_no_further() -> None:
    """Who raises keeps the inner ones out; the outer ones see the error and may answer instead."""
    seen: list[str] = []

    async def refuse(context: RequestContext, call_next: CallNext, /) -> Response:
        raise PermissionDeniedError

    async def excuse(context: RequestContext, call_next: CallNext, /) -> Response:
        try:
            return await call_next(context)
        except PermissionDeniedError:
            return Response("excused")

    refused = chain([named("a", seen), refuse, named("b", seen)], innermost)
    with pytest.raises(PermissionDeniedError):
        await refused(make_context())
    assert seen == ["a in", "a out"]
    excused = chain([excuse, refuse], innermost)
    assert (await excused(make_context())).result == "excused"


async def test_a_chain_is_composed_once_and_called_often() -> None:
    """A chain keeps no state of a call, and takes an iterator as well as a list."""
    seen: list[str] = []
    call = chain(iter([named("a", seen), named("b", seen)]), innermost)
    for _ in range(2):
        await call(make_context())
    assert seen == ["a in", "b in", "b out", "a out"] * 2


async def test_an_interceptor_changes_the_call_and_its_answer() -> None:
    """What is handed to call_next is what the inner ones see; what is returned is the answer."""

    class Renaming:
        async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
            response = await call_next(context.replace(key="k-2"))
            return Response([response.result])

    context = make_context()
    assert (await chain([Renaming()], innermost)(context)).result == ["k-2"]
    assert context.key == "k-1"


async def test_an_interceptor_may_call_again() -> None:
    """Going on twice is a retry, each through all that is inside."""
    seen: list[str] = []

    async def twice(context: RequestContext, call_next: CallNext, /) -> Response:
        await call_next(context)
        return await call_next(context)

    await chain([twice, named("a", seen)], innermost)(make_context())
    assert seen == ["a in", "a out"] * 2


@pytest.mark.parametrize("bad", [None, "audit", 5, object(), [named]])
def test_what_cannot_be_called_is_refused(bad: Any) -> None:
    """The builder says at once what an interceptor is, with the type that it got."""
    with pytest.raises(TypeError, match=f"an interceptor is .*, not {type(bad).__name__}$"):
        check(bad)


class Auditing:
    """Stands around a call as an object."""

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Handle the call."""
        return await call_next(context)


async def generous(context: RequestContext, call_next: CallNext, note: str = "") -> Response:
    """Take more than is given."""
    return await call_next(context)


async def insatiable(context: RequestContext, call_next: CallNext, note: str) -> Response:
    """Ask for more than is given."""
    return await call_next(context)


def before_each_call(
    step: Callable[[RequestContext], Awaitable[None]],
) -> Callable[[RequestContext, CallNext], Awaitable[Response]]:
    """Make an interceptor of less."""

    @wraps(step)
    async def stepping(context: RequestContext, call_next: CallNext) -> Response:
        await step(context)
        return await call_next(context)

    return stepping


@before_each_call
async def check_tenant(context: RequestContext) -> None:
    """Look at the context alone."""


def plain(context: RequestContext, call_next: CallNext) -> Response:
    """Forget to be async."""
    return Response(None)


@pytest.mark.parametrize(
    "good", [Auditing(), generous, partial(insatiable, note="n"), check_tenant]
)
def test_what_takes_a_call_is_taken(good: Any) -> None:
    """An object, parameters that have defaults, a part of a function, what a decorator made."""
    check(good)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (innermost, r"takes \(context, call_next\), and innermost takes \(context: "),
        (insatiable, r"takes \(context, call_next\), and insatiable takes .*note"),
        (Auditing, r"takes \(context, call_next\), and Auditing takes \(\)$"),
        (plain, r"an interceptor must be an `async def`: plain is a plain function$"),
    ],
)
def test_what_cannot_take_a_call_is_refused(bad: Any, message: str) -> None:
    """Too few parameters, too many, a class in place of its object, no async: each is told."""
    with pytest.raises(TypeError, match=message):
        check(bad)
