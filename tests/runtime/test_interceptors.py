"""The interceptor chain: order, errors, and validation of interceptors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.probe import Probe, ProbeClient, Run
from weenats import NatsServiceBuilder
from weenats.context import RequestContext, Response
from weenats.errors import InternalError, InvalidArgumentError, PermissionDeniedError
from weenats.interceptors import CallNext, Interceptor, chain, check
from weenats.testing import MemoryTransport


async def innermost(context: RequestContext) -> Response:
    """Return the key as the result."""
    return Response(context.key)


def recording(name: str, seen: list[str]) -> Interceptor:
    """Return an interceptor that records when it is entered and left."""

    async def around(context: RequestContext, call_next: CallNext, /) -> Response:
        seen.append(f"{name} in")
        try:
            return await call_next(context)
        finally:
            seen.append(f"{name} out")

    return around


async def test_first_interceptor_is_the_outermost() -> None:
    """Interceptors are entered in order and left in reverse order."""
    seen: list[str] = []
    call = chain([recording("a", seen), recording("b", seen), recording("c", seen)], innermost)
    assert (await call(make_context())).result == "k-1"
    assert seen == ["a in", "b in", "c in", "c out", "b out", "a out"]


async def test_empty_chain_returns_the_innermost_call() -> None:
    """Without interceptors the call is not wrapped."""
    assert chain([], innermost) is innermost


async def test_exception_skips_inner_interceptors() -> None:
    """Outer interceptors see the exception and may answer instead."""
    seen: list[str] = []

    async def refuse(context: RequestContext, call_next: CallNext, /) -> Response:
        raise PermissionDeniedError

    async def excuse(context: RequestContext, call_next: CallNext, /) -> Response:
        try:
            return await call_next(context)
        except PermissionDeniedError:
            return Response("excused")

    refused = chain([recording("a", seen), refuse, recording("b", seen)], innermost)
    with pytest.raises(PermissionDeniedError):
        await refused(make_context())
    assert seen == ["a in", "a out"]
    excused = chain([excuse, refuse], innermost)
    assert (await excused(make_context())).result == "excused"


async def test_chain_can_be_called_repeatedly() -> None:
    """A chain has no state per call, and accepts an iterator."""
    seen: list[str] = []
    call = chain(iter([recording("a", seen), recording("b", seen)]), innermost)
    for _ in range(2):
        await call(make_context())
    assert seen == ["a in", "b in", "b out", "a out"] * 2


async def test_interceptor_can_change_request_and_response() -> None:
    """Inner interceptors see the new context, and the returned response is the result."""

    class Renaming:
        async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
            response = await call_next(context.replace(key="k-2"))
            return Response([response.result])

    context = make_context()
    assert (await chain([Renaming()], innermost)(context)).result == ["k-2"]
    assert context.key == "k-1"


async def test_interceptor_can_call_next_again() -> None:
    """A second call_next() runs all inner interceptors again."""
    seen: list[str] = []

    async def twice(context: RequestContext, call_next: CallNext, /) -> Response:
        await call_next(context)
        return await call_next(context)

    await chain([twice, recording("a", seen)], innermost)(make_context())
    assert seen == ["a in", "a out"] * 2


@pytest.mark.parametrize("bad", [None, "audit", 5, object(), [recording]])
def test_non_callable_interceptor_is_rejected(bad: Any) -> None:
    """The error names the type of the value."""
    with pytest.raises(TypeError, match=f"an interceptor is .*, not {type(bad).__name__}$"):
        check(bad)


class Auditing:
    """An interceptor object."""

    async def __call__(self, context: RequestContext, call_next: CallNext, /) -> Response:
        """Handle the call."""
        return await call_next(context)


async def with_optional_parameter(
    context: RequestContext, call_next: CallNext, note: str = ""
) -> Response:
    """An interceptor with an optional extra parameter."""
    return await call_next(context)


async def with_required_parameter(
    context: RequestContext, call_next: CallNext, note: str
) -> Response:
    """A function with a required extra parameter."""
    return await call_next(context)


def before_each_call(
    step: Callable[[RequestContext], Awaitable[None]],
) -> Callable[[RequestContext, CallNext], Awaitable[Response]]:
    """Make an interceptor from a function of the context."""

    @wraps(step)
    async def stepping(context: RequestContext, call_next: CallNext) -> Response:
        await step(context)
        return await call_next(context)

    return stepping


@before_each_call
async def check_tenant(context: RequestContext) -> None:
    """Check the context."""


def plain(context: RequestContext, call_next: CallNext) -> Response:
    """A plain function in place of an async one."""
    return Response(None)


@pytest.mark.parametrize(
    "good",
    [Auditing(), with_optional_parameter, partial(with_required_parameter, note="n"), check_tenant],
)
def test_valid_interceptors_are_accepted(good: Any) -> None:
    """Objects, optional parameters, partials and decorated functions are accepted."""
    check(good)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (innermost, r"takes \(context, call_next\), and innermost takes \(context: "),
        (
            with_required_parameter,
            r"takes \(context, call_next\), and with_required_parameter takes .*note",
        ),
        (Auditing, r"an interceptor is an async function or an object, not a class: "),
        (plain, r"an interceptor must be an `async def`: plain is a plain function$"),
    ],
)
def test_wrong_signature_is_rejected(bad: Any, message: str) -> None:
    """Too few or many parameters, a class, or a plain function: the error names it."""
    with pytest.raises(TypeError, match=message):
        check(bad)


@pytest.mark.parametrize("wrong", [None, 5, Response(None)])
async def test_what_is_passed_on_must_be_a_context(wrong: Any) -> None:
    """The error names what came instead, in clients and services alike."""
    passed_on: list[BaseException] = []

    async def note(context: RequestContext, call_next: CallNext) -> Response:
        try:
            return await call_next(context)
        except TypeError as error:
            passed_on.append(error)
            raise

    async def lose(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(wrong)

    async def passing(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context)

    transport = MemoryTransport()
    builder = NatsServiceBuilder(Probe(), transport=transport).with_interceptor(note)
    client, go = ProbeClient(transport), Run(action="go")
    for each in (
        builder.with_interceptor(lose),
        builder.with_interceptor(lose).with_interceptor(passing),
    ):
        async with each.build():
            with pytest.raises(InternalError):
                await client.run("k", go)
    async with builder.build():
        with pytest.raises(TypeError) as raised:
            await client.with_interceptor(lose).run("k", go)
    kind = type(wrong).__name__
    text = f"an interceptor must pass on its context, `await call_next(context)`, not {kind}"
    assert {str(each) for each in (*passed_on, raised.value)} == {text}
    assert len(passed_on) == 2


@pytest.mark.parametrize("deadline", [None, "1", float("nan"), float("inf")])
async def test_a_deadline_that_is_none_is_refused(deadline: Any) -> None:
    """A client cannot send it, and says so."""

    async def change(context: RequestContext, call_next: CallNext) -> Response:
        context.deadline = deadline
        return await call_next(context)

    client = ProbeClient(MemoryTransport()).with_interceptor(change)
    with pytest.raises(InvalidArgumentError, match=r"context\.deadline of a call must be a finite"):
        await client.run("k", Run(action="go"))
