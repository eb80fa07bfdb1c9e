"""The members of a service's chain: order, requirements, descriptions, answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from typing_extensions import override

from testkit.contexts import make_context
from testkit.probe import RUN, NotReadyError, Outcome, Probe, ProbeClient, Run
from testkit.waiting import exceed_deadline, until
from weenats import CallNext, NatsServiceBuilder, RequestContext, Response, ServiceError
from weenats.contract import AnyOperation
from weenats.interceptors import Description, Interceptor, ServiceFeature, Setting
from weenats.service.chain import Member, Position
from weenats.testing import MemoryTransport
from weenats.transport import Delivery

GO = Run(action="go")


class Noting(ServiceFeature):
    """A feature that records what it is called with."""

    def __init__(self, name: str, seen: list[str], **description: Any) -> None:
        self.name = name
        self.seen = seen
        self.description = description
        self.refused: list[str] = []

    @override
    def interceptor(self, operation: AnyOperation) -> Interceptor | None:
        async def note(context: RequestContext, call_next: CallNext) -> Response:
            self.seen.append(self.name)
            context.on_answer(lambda _, error: self.seen.append(f"{self.name} {_code(error)}"))
            return await call_next(context)

        return note

    @override
    def describe(self, operation: AnyOperation) -> Description:
        return Description(name=self.name, **self.description)

    @override
    def gauges(self) -> Mapping[str, float]:
        return {f"tests.{self.name}": len(self.seen)}

    @override
    def on_refused(
        self, operation: AnyOperation, delivery: Delivery, received: int, error: ServiceError
    ) -> None:
        assert received > 0
        self.refused.append(f"{operation.name} {error.code.value}")


def _code(error: ServiceError | None) -> str:
    return "OK" if error is None else error.code.value


def with_feature(
    builder: NatsServiceBuilder, feature: ServiceFeature, position: Position = Position.AS_ADDED
) -> NatsServiceBuilder:
    """Return a builder with a feature of the test."""
    return builder._with_member(Member("test", feature, lambda added, _: added, position))


def probe(transport: MemoryTransport, **actions: Any) -> NatsServiceBuilder:
    """Return a builder of a probe."""
    return NatsServiceBuilder(Probe(**actions), transport=transport)


async def test_members_run_in_the_order_of_their_positions() -> None:
    """Members of one position run in the order in which they were added."""
    transport, seen = MemoryTransport(), list[str]()
    built = probe(transport)
    for name, position in (
        ("innermost", Position.INNERMOST),
        ("a", Position.AS_ADDED),
        ("outermost", Position.OUTERMOST),
        ("b", Position.AS_ADDED),
    ):
        built = with_feature(built, Noting(name, seen), position)
    async with built.build() as service:
        await ProbeClient(transport).run("k", GO)
        assert service.gauges()["tests.a"] == 8
    assert seen[:4] == ["outermost", "a", "b", "innermost"]
    assert seen[4:] == ["outermost OK", "a OK", "b OK", "innermost OK"]


async def test_explain_and_statistics_show_any_feature() -> None:
    """As the feature describes itself."""
    transport = MemoryTransport()
    feature = Noting(
        "quota",
        [],
        settings=(Setting("quota", 5, "with_quota"),),
        statistics={"quota": lambda: {"left": 4}},
    )
    built = with_feature(probe(transport), feature)
    settings = {each.name: each for each in built.explain()[0].settings}
    assert settings["quota"] == Setting("quota", 5, "with_quota")
    assert settings["interceptors"].value == ["quota"]
    async with built.build():
        stats = await ProbeClient(transport).get_service_stats()
    assert stats.endpoints[0].data == {"quota": {"left": 4}}


def test_a_requirement_must_be_provided_by_an_earlier_member() -> None:
    """Else `build` raises the message of the member that requires it."""
    needing = Noting("needing", [], requires={"tenant": "add with_tenant(...) before it"})
    providing = Noting("providing", [], provides=frozenset({"tenant"}))
    bare = probe(MemoryTransport())
    for wrong in (
        with_feature(bare, needing),
        with_feature(with_feature(bare, needing), providing),
    ):
        with pytest.raises(ValueError, match=r"^add with_tenant\(...\) before it$"):
            wrong.build()
    with_feature(with_feature(bare, providing), needing).build()


async def test_callbacks_get_the_error_that_the_caller_got() -> None:
    """Once: an error of the handler, a reply that breaks the contract, one that is too large."""

    async def not_ready(*_: Any) -> Outcome:
        raise NotReadyError

    async def wrong(*_: Any) -> Any:
        return "no outcome"

    async def large(*_: Any) -> Outcome:
        return Outcome(text="x" * 2_000_000)

    for action, code in (
        (not_ready, "FAILED_PRECONDITION"),
        (wrong, "INTERNAL"),
        (large, "RESOURCE_EXHAUSTED"),
    ):
        transport, seen = MemoryTransport(), list[str]()
        async with with_feature(probe(transport, act=action), Noting("n", seen)).build():
            with pytest.raises(ServiceError):
                await ProbeClient(transport).run("k", Run(action="act"))
        assert seen == ["n", f"n {code}"]


async def test_callbacks_run_at_the_deadline() -> None:
    """While the handler still runs; its result changes nothing."""
    entered, opened = asyncio.Event(), asyncio.Event()

    async def stubborn(key: str, command: Run, context: RequestContext) -> Outcome:
        with context.shield_from_deadline():
            entered.set()
            await opened.wait()
        return Outcome(text=key)

    transport, seen = MemoryTransport(), list[str]()
    async with with_feature(probe(transport, hold=stubborn), Noting("n", seen)).build():
        client = ProbeClient(transport)

        async def hold(timeout: float) -> None:
            seen.clear()
            await client.run("k", Run(action="hold"), timeout=timeout)

        await exceed_deadline(hold, entered.is_set)
        await until(lambda: len(seen) == 2)
        assert seen[1] in {"n DEADLINE_EXCEEDED", "n CANCELLED"}
        opened.set()
    assert len(seen) == 2


async def test_features_see_requests_refused_before_the_chain() -> None:
    """An invalid envelope and a missing reply subject do not reach interceptors."""
    transport, seen = MemoryTransport(), list[str]()
    feature = Noting("n", seen)
    async with with_feature(probe(transport), feature).build():
        transport.publish(RUN.subject, b"junk", reply="_INBOX.x")
        transport.publish(RUN.subject, b"junk")
        await until(lambda: len(feature.refused) == 2)
    assert seen == []
    assert feature.refused == ["run INVALID_ARGUMENT"] * 2


async def test_a_callback_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The other callbacks run, and the caller has its reply."""
    transport, seen = MemoryTransport(), list[str]()

    def panic(*_: object) -> None:
        raise asyncio.CancelledError

    async def breaking(context: RequestContext, call_next: CallNext) -> Response:
        context.on_answer(lambda *_: seen.append(str(1 / 0)))
        context.on_answer(panic)
        context.replace(key="other").on_answer(lambda _, error: seen.append(_code(error)))
        return await call_next(context)

    with caplog.at_level(logging.ERROR):
        async with probe(transport).with_interceptor(breaking).build():
            assert (await ProbeClient(transport).run("k", GO)).text == "go"
    assert seen == ["OK"]
    assert "ZeroDivisionError" in caplog.text


def test_on_answer_is_for_the_server_side() -> None:
    """The context of a call raises; the context of a unit test ignores the callback."""
    with pytest.raises(RuntimeError, match="on_answer is for requests that are served"):
        make_context().on_answer(print)
    make_context(side="server").on_answer(print)


def test_async_on_answer_is_refused() -> None:
    """Where it is given, as nobody would await it."""

    async def save(*_: object) -> None: ...

    with pytest.raises(TypeError, match="on_answer must be a plain function"):
        make_context(side="server").on_answer(save)  # type: ignore[arg-type]
