"""Joining and leaving the queue group, and stopping meanwhile."""

from __future__ import annotations

import asyncio
import logging
import math
from contextvars import ContextVar
from typing import Any

import pytest

from testkit.clocks import travel
from testkit.waiting import settle, until
from weenats.errors import ConnectionLostError
from weenats.service.queue_group import QueueMembership
from weenats.testing import MemoryTransport
from weenats.transport import Subscription

SUBJECTS = ("probe.command.thing.run", "probe.query.thing.get")
REQUEST: ContextVar[str | None] = ContextVar("request", default=None)


class SlowTransport(MemoryTransport):
    """A transport whose fences wait for the test, and which records its subscriptions."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fences = 0
        self.failure: Exception | None = None
        self.contexts: set[str | None] = set()

    def subscribe(self, *arguments: Any) -> Any:
        """Record the context variable."""
        self.contexts.add(REQUEST.get())
        return super().subscribe(*arguments)

    async def fence(self) -> None:
        """Wait for the gate, and fail if the test wants it."""
        self.fences += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        await super().fence()

    @property
    def listening(self) -> list[str]:
        """The subjects with a subscription."""
        return [each.subject for each in self.broker._subscriptions]


class Group:
    """A queue membership whose one condition the test sets."""

    def __init__(self, *others: Any) -> None:
        self.transport = SlowTransport()
        self.wait = 0.0
        self.membership = QueueMembership(
            self.transport,
            [(subject, lambda _: None) for subject in SUBJECTS],
            "probe",
            [lambda: self.wait, *others],
        )

    async def joined(self) -> Group:
        """Connect and join."""
        await self.transport.connect()
        self.membership.join()
        return self

    def want(self, wait: float) -> None:
        """Set the condition and have it reviewed."""
        self.wait = wait
        self.membership.review()

    async def wait_until_left(self) -> None:
        """Wait until it has left the group."""
        await until(lambda: not self.transport.listening)
        await self.wait_until_idle()

    async def wait_until_idle(self) -> None:
        """Wait until it is neither joining nor leaving."""
        await until(lambda: self.membership._moving is None)


async def test_member_leaves_and_rejoins_with_all_subjects() -> None:
    """While a condition fails there are no subscriptions; afterwards all are back."""
    group = await Group().joined()
    assert group.transport.listening == [*SUBJECTS]
    group.want(math.inf)
    await group.wait_until_left()
    assert not group.membership.is_member
    group.want(0)
    await until(lambda: group.membership.is_member)
    assert group.transport.listening == [*SUBJECTS]
    await group.membership.close()


async def test_member_rejoins_after_the_requested_wait() -> None:
    """A condition with a wait time is reviewed after that time, not earlier."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.wait_until_left()
    time.advance(29)
    await settle()
    assert not group.membership.is_member
    group.wait = 0
    time.advance(1)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_condition_can_extend_its_wait() -> None:
    """After the wait the condition is reviewed, and its new wait applies."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.wait_until_left()
    group.wait = 10
    time.advance(30)
    await settle()
    time.advance(9)
    await settle()
    assert not group.membership.is_member
    group.wait = 0
    time.advance(1)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_review_replaces_the_timer() -> None:
    """A new wait time replaces the old timer, so that timers do not pile up."""
    group = await Group().joined()
    group.want(30)
    await group.wait_until_left()
    timers = [group.membership._timer]
    for wait in (20, 10, math.inf, 40):
        group.want(wait)
        timers.append(group.membership._timer)
    assert [None if each is None else each.cancelled() for each in timers] == [
        True,
        True,
        True,
        None,
        False,
    ]
    await group.membership.close()


async def test_all_conditions_must_hold() -> None:
    """One failing condition makes it leave; all must hold to rejoin."""
    healthy = [math.inf]
    group = await Group(lambda: healthy[0]).joined()
    group.want(0)
    await group.wait_until_left()
    group.want(5)
    healthy[0] = 0
    group.membership.review()
    await settle()
    assert not group.membership.is_member
    group.want(0)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_member_without_conditions_never_leaves() -> None:
    """A review changes nothing without conditions."""
    transport = SlowTransport()
    await transport.connect()
    membership = QueueMembership(transport, [("a.b", lambda _: None)], "probe")
    membership.join()
    for _ in range(3):
        membership.review()
    await settle()
    assert (transport.listening, transport.fences) == (["a.b"], 0)
    await membership.close()


async def test_condition_changes_while_leaving_are_applied() -> None:
    """Only one move runs at a time, and the final state follows the conditions."""
    group = await Group().joined()
    group.transport.gate.clear()
    group.want(math.inf)
    await until(lambda: group.transport.fences == 1)
    for wait in (0, math.inf, 0):
        group.want(wait)
        await settle()
    assert (group.transport.listening, group.transport.fences) == ([], 1)
    group.transport.gate.set()
    await until(lambda: group.membership.is_member)
    await group.wait_until_idle()
    assert (group.transport.listening, group.transport.fences) == ([*SUBJECTS], 2)
    await group.membership.close()


@pytest.mark.parametrize("then", [0.0, 5.0, math.inf])
async def test_stop_while_leaving_waits_for_the_fence(then: float) -> None:
    """The stop waits for the fence, and the member does not rejoin afterwards."""
    time = travel()
    group = await Group().joined()
    group.transport.gate.clear()
    group.want(math.inf)
    await until(lambda: group.transport.fences == 1)
    stopping = asyncio.create_task(group.membership.close())
    group.want(then)
    await settle()
    assert not stopping.done()
    group.transport.gate.set()
    await stopping
    time.advance(3600)
    group.want(0)
    await settle()
    assert group.transport.listening == []


async def test_stop_while_rejoining_leaves_behind_a_fence() -> None:
    """Subscriptions that exist already are removed behind a fence of their own."""
    group = await Group().joined()
    group.want(math.inf)
    await group.wait_until_left()
    group.transport.gate.clear()
    group.want(0)
    await until(lambda: group.membership.is_member)
    stopping = asyncio.create_task(group.membership.close())
    await settle()
    fences = group.transport.fences
    group.transport.gate.set()
    await stopping
    assert group.transport.fences == fences + 1
    assert group.transport.listening == []


@pytest.mark.parametrize("wait", [0.0, math.inf])
async def test_stop_before_a_move_starts_wins(wait: float) -> None:
    """A move that was about to start does not undo the stop."""
    group = await Group().joined()
    if not wait:
        group.want(math.inf)
        await group.wait_until_left()
    group.want(wait)
    await group.membership.close()
    group.want(0)
    await settle()
    assert group.transport.listening == []


async def test_stop_cancels_the_rejoin_timer() -> None:
    """A stop during the wait leaves no timer behind."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.wait_until_left()
    timer = group.membership._timer
    assert timer is not None
    await group.membership.close()
    assert timer.cancelled()
    group.wait = 0
    time.advance(31)
    await settle()
    assert group.transport.listening == []


async def test_review_before_joining_does_nothing() -> None:
    """A review before join() creates no subscription."""
    group = Group()
    await group.transport.connect()
    group.membership.review()
    await settle()
    assert group.transport.listening == []


async def test_failed_rejoin_is_retried(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged and retried once a second, not in a busy loop."""
    time = travel()
    group = await Group().joined()
    group.want(math.inf)
    await group.wait_until_left()

    def refuse(*arguments: Any) -> Subscription:
        raise ConnectionLostError("gone")

    subscribe, group.transport.subscribe = group.transport.subscribe, refuse  # type: ignore[method-assign]
    caplog.clear()
    group.want(0)
    await settle()
    assert caplog.text.count("cannot return to the queue group probe yet: UNAVAILABLE: gone") == 1
    group.transport.subscribe = subscribe  # type: ignore[method-assign]
    time.advance(1)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_failed_fence_does_not_subscribe_twice() -> None:
    """After a failed fence the subscriptions exist, and are not created again."""
    time = travel()
    group = await Group().joined()
    group.want(math.inf)
    await group.wait_until_left()
    group.transport.failure = ConnectionLostError("broke")
    group.want(0)
    await until(lambda: group.membership.is_member)
    await group.wait_until_idle()
    group.transport.failure = None
    time.advance(1)
    await settle()
    assert group.transport.listening == [*SUBJECTS]
    await group.membership.close()


async def test_leaving_and_rejoining_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Leaving is a warning, rejoining is information."""
    caplog.set_level(logging.INFO, "weenats.service.queue_group")
    group = await Group().joined()
    group.want(math.inf)
    await group.wait_until_left()
    group.want(0)
    await group.wait_until_idle()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "leaving the queue group probe for now"),
        ("INFO", "back in the queue group probe"),
    ]
    await group.membership.close()


async def test_moves_do_not_inherit_the_request_context() -> None:
    """Subscriptions do not inherit context variables of the request that caused the move."""
    group = await Group().joined()
    group.transport.contexts.clear()
    REQUEST.set("the one that tripped it")
    group.want(math.inf)
    await group.wait_until_left()
    group.want(0)
    await until(lambda: group.membership.is_member)
    assert group.transport.contexts == {None}
    await group.membership.close()


async def test_without_operations_it_is_a_member() -> None:
    """A service that only publishes or consumes events is ready, and does not join again."""
    group = Group()
    group.membership.operations = []
    await group.joined()
    assert group.membership.is_member
    group.membership.review()
    assert group.membership._moving is None
    group.want(math.inf)
    await until(lambda: not group.membership.is_member)
    await group.membership.close()
