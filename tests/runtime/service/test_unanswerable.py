"""Replies that cannot be sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from typing_extensions import override

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import LIMIT, settle, until
from weenats import (
    InternalError,
    NatsServiceBuilder,
    NotFoundError,
    RequestContext,
    ResourceExhaustedError,
    ServiceError,
)
from weenats.testing import MemoryTransport


class FullTransport(MemoryTransport):
    """A transport that rejects replies while it is full."""

    is_full = True

    @override
    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        if self.is_full and not reply:
            raise ResourceExhaustedError("too much waits to be sent")
        super().publish(subject, payload, headers, reply)


async def raise_error(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise an error that can be sent."""
    raise NotFoundError("no such thing")


async def raise_unserializable_error(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise an error whose details are not JSON."""
    raise NotFoundError("no such thing", details={"no JSON": object()})


async def succeed(key: str, command: Run, context: RequestContext) -> Outcome:
    """Return a result."""
    return Outcome(text="done")


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (
            succeed,
            "the reply of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
        (
            raise_error,
            "the error of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
        (
            raise_unserializable_error,
            "the error of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
    ],
)
async def test_unsent_reply_is_logged_and_counted_as_error(
    action: object, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged and counted as an error, and the next request is answered."""
    transport, handlers = FullTransport(), Probe()
    handlers.actions["act"] = action  # type: ignore[assignment]
    async with (
        NatsServiceBuilder(handlers, transport=transport).build(),
        ProbeClient(MemoryTransport(transport.broker)) as client,
    ):
        call = asyncio.create_task(client.run("k", Run(action="act")))
        await until(lambda: any(told in each for each in caplog.messages))
        await settle()
        assert not call.done()
        call.cancel()
        transport.is_full = False
        assert (await client.run("k", Run(action="next"))).text
        (endpoint, *_) = (await client.get_service_stats()).endpoints
    assert (endpoint.num_requests, endpoint.num_errors) == (2, 1)
    assert [told in each for each in caplog.messages].count(True) == 1, caplog.messages


class QuotaError(ResourceExhaustedError):
    """An error that does not call `super().__init__`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit


class SilentError(NotFoundError):
    """An error without a text."""

    def __str__(self) -> str:
        raise LookupError

    def __repr__(self) -> str:
        raise LookupError


class Unhashable(str):
    """A text that cannot be a key of a dictionary."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class Classless:
    """A value without a class, as a broken proxy object may be."""

    @property
    def __class__(self) -> Any:
        raise LookupError


class Spiteful:
    """A value that cannot be shown or serialized."""

    def __repr__(self) -> str:
        raise LookupError


def odd_error(**members: Any) -> ServiceError:
    """Return an error whose class breaks the rules."""
    kind: Any = type("OddError", (NotFoundError,), members)
    return kind("x")  # type: ignore[no-any-return]


def raising(error: BaseException) -> property:
    """Return a property that raises, and can be set."""

    def fail(_: object) -> None:
        raise error

    return property(fail, lambda *_: None)


def spoiled_error(**members: Any) -> ServiceError:
    """Return an error whose attributes were set to something odd."""
    error = NotFoundError("x")
    vars(error).update(members)
    return error


def nested(depth: int) -> dict[str, Any]:
    """Return a dictionary in a dictionary, and so on."""
    outer: dict[str, Any] = {}
    for _ in range(depth):
        outer = {"a": outer}
    return outer


def circle() -> dict[str, Any]:
    """Return a dictionary that contains itself."""
    outer: dict[str, Any] = {}
    outer["a"] = outer
    return outer


BROKEN = [
    odd_error(code="NOT_FOUND"), odd_error(code=404), odd_error(code=None), odd_error(name=["x"]),
    odd_error(name=None), odd_error(number="404"), odd_error(label=5),
    odd_error(label=property(lambda _: 1 / 0)), odd_error(retry_after=property(lambda _: 1 / 0)),
    odd_error(details=raising(LookupError())), odd_error(details_type=raising(LookupError())),
    odd_error(of_connection=raising(LookupError())), odd_error(remote=raising(LookupError())),
    odd_error(number=raising(asyncio.CancelledError())), odd_error(of_connection="no"),
    odd_error(name=Unhashable("x")), spoiled_error(details=Classless()),
    spoiled_error(message=5), spoiled_error(message=b"x"), spoiled_error(details=[1]),
    spoiled_error(details=Spiteful()), spoiled_error(details={"a": Spiteful()}),
    spoiled_error(details={"a": float("nan")}), spoiled_error(details=circle()),
    spoiled_error(details=nested(5000)), spoiled_error(message="\ud800"),
]  # fmt: skip


@pytest.mark.parametrize("error", [*BROKEN, QuotaError(3), SilentError()], ids=lambda _: "")
@pytest.mark.parametrize("guarded", [False, True])
async def test_every_exception_is_answered_once(error: BaseException, guarded: bool) -> None:
    """Whatever a handler raises, its caller gets an answer, and the instance serves on."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise error

    transport = MemoryTransport()
    builder = NatsServiceBuilder(Probe(fail=fail), transport=transport)
    if guarded:
        builder = builder.with_circuit_breaker(failure_threshold=1000).with_telemetry()
    expected = {QuotaError: ResourceExhaustedError, SilentError: NotFoundError}
    kind = expected.get(type(error), InternalError)  # type: ignore[call-overload]
    async with builder.build(), ProbeClient(transport) as client:
        for _ in range(2):
            with pytest.raises(ServiceError) as raised:
                await client.run("k", Run(action="fail"), timeout=LIMIT)
            assert type(raised.value) is kind
        assert (await client.run("k", Run(action="next"))).text == "next"
        (endpoint, *_) = (await client.get_service_stats()).endpoints
    assert (endpoint.num_requests, endpoint.num_errors) == (3, 2)


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (odd_error(code="NOT_FOUND"), "its code is of the type str"),
        (odd_error(details_type=raising(LookupError())), "its details_type raises LookupError"),
        (odd_error(of_connection=raising(OSError())), "its of_connection raises OSError"),
        (spoiled_error(details=[1]), "its details are of the type list"),
    ],
)
async def test_log_says_which_rule_an_error_breaks(
    error: ServiceError, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The class and the member that is wrong are logged."""

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise error

    transport = MemoryTransport()
    service = NatsServiceBuilder(Probe(fail=fail), transport=transport).build()
    async with service, ProbeClient(transport) as client:
        with pytest.raises(InternalError):
            await client.run("k", Run(action="fail"))
    (message,) = caplog.messages
    kind = type(error).__name__
    assert message.startswith(f"probe.command.thing.run raised {kind}, which is not a valid error")
    assert message.endswith(f": {rule}")


async def test_answer_does_not_wait_for_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter of the application's logging that raises keeps no answer back."""

    def refuse(*_: object) -> None:
        raise LookupError

    async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
        raise OSError

    transport = MemoryTransport()
    service = NatsServiceBuilder(Probe(fail=fail), transport=transport).build()
    async with service, ProbeClient(transport) as client:
        with monkeypatch.context() as patch:
            patch.setattr("weenats.service.endpoint._LOG.error", refuse)
            with pytest.raises(InternalError):
                await client.run("k", Run(action="fail"), timeout=LIMIT)


async def test_large_replies_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Replies of many sizes that are too large are alike to the log, which limits their rate."""
    transport = MemoryTransport(max_payload=4096)

    async def grow(key: str, command: Run, context: RequestContext) -> Outcome:
        return Outcome(text="x" * (4096 + int(key)))

    async with NatsServiceBuilder(Probe(grow=grow), transport=transport).build():
        for number in range(100):
            with pytest.raises(ResourceExhaustedError, match=r"carries at most 4096; the request"):
                await ProbeClient(transport).run(f"{number}", Run(action="grow"))
    assert 0 < sum("carries at most" in each for each in caplog.messages) < 100
