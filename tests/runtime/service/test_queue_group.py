"""When an instance joins and leaves its queue group, and what a stop finds."""

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


class Slow(MemoryTransport):
    """A transport whose fences wait for the test, and which counts who listens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fences = 0
        self.failure: Exception | None = None
        self.contexts: set[str | None] = set()

    def subscribe(self, *arguments: Any) -> Any:
        """Note on whose behalf."""
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
        """The subjects somebody listens on."""
        return [each.subject for each in self.broker._subscriptions]


class Group:
    """A membership whose one condition the test sets."""

    def __init__(self, *others: Any) -> None:
        self.transport = Slow()
        self.wait = 0.0
        self.membership = QueueMembership(
            self.transport,
            [(subject, lambda _: None) for subject in SUBJECTS],
            "probe",
            [lambda: self.wait, *others],
        )

    async def joined(self) -> Group:
        """Join."""
        await self.transport.connect()
        self.membership.join()
        return self

    def want(self, wait: float) -> None:
        """Let the condition say so, and have it reviewed."""
        self.wait = wait
        self.membership.review()

    async def out(self) -> None:
        """Wait until it has left."""
        await until(lambda: not self.transport.listening)
        await self.idle()

    async def idle(self) -> None:
        """Wait until no move is under way."""
        await until(lambda: self.membership._moving is None)


async def test_it_leaves_and_comes_back_with_all_operations() -> None:
    """Unfit it listens on nothing, fit on everything again."""
    group = await Group().joined()
    assert group.transport.listening == [*SUBJECTS]
    group.want(math.inf)
    await group.out()
    assert not group.membership.is_member
    group.want(0)
    await until(lambda: group.membership.is_member)
    assert group.transport.listening == [*SUBJECTS]
    await group.membership.close()


async def test_it_comes_back_when_the_time_has_come() -> None:
    """A condition that knows when is asked again then, and not before."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.out()
    time.advance(29)
    await settle()
    assert not group.membership.is_member
    group.wait = 0
    time.advance(1)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_a_condition_that_needs_longer_than_it_said() -> None:
    """It is asked again after what it says then."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.out()
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


async def test_a_review_that_learns_another_time() -> None:
    """It is asked at the new time only: no timers pile up."""
    group = await Group().joined()
    group.want(30)
    await group.out()
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


async def test_all_conditions_have_to_hold() -> None:
    """One that does not is enough to leave, all must hold to come back."""
    healthy = [math.inf]
    group = await Group(lambda: healthy[0]).joined()
    group.want(0)
    await group.out()
    group.want(5)
    healthy[0] = 0
    group.membership.review()
    await settle()
    assert not group.membership.is_member
    group.want(0)
    await until(lambda: group.membership.is_member)
    await group.membership.close()


async def test_without_conditions_it_stays() -> None:
    """A review changes nothing."""
    transport = Slow()
    await transport.connect()
    membership = QueueMembership(transport, [("a.b", lambda _: None)], "probe")
    membership.join()
    for _ in range(3):
        membership.review()
    await settle()
    assert (transport.listening, transport.fences) == (["a.b"], 0)
    await membership.close()


async def test_changes_of_mind_while_it_moves() -> None:
    """One move at a time; in the end it is where the conditions have it."""
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
    await group.idle()
    assert (group.transport.listening, group.transport.fences) == ([*SUBJECTS], 2)
    await group.membership.close()


@pytest.mark.parametrize("then", [0.0, 5.0, math.inf])
async def test_a_stop_in_the_middle_of_leaving(then: float) -> None:
    """It waits for the fence of the leaving, and nobody comes back afterwards."""
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


async def test_a_stop_in_the_middle_of_coming_back() -> None:
    """What is joined already is left behind a fence of its own."""
    group = await Group().joined()
    group.want(math.inf)
    await group.out()
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
async def test_a_stop_before_the_first_step_of_a_move(wait: float) -> None:
    """A move that was about to begin does not undo the stop."""
    group = await Group().joined()
    if not wait:
        group.want(math.inf)
        await group.out()
    group.want(wait)
    await group.membership.close()
    group.want(0)
    await settle()
    assert group.transport.listening == []


async def test_a_stop_while_it_waits_ends_the_waiting() -> None:
    """No timer is left behind."""
    time = travel()
    group = await Group().joined()
    group.want(30)
    await group.out()
    timer = group.membership._timer
    assert timer is not None
    await group.membership.close()
    assert timer.cancelled()
    group.wait = 0
    time.advance(31)
    await settle()
    assert group.transport.listening == []


async def test_nothing_happens_before_it_joins() -> None:
    """A review of what does not serve yet changes nothing."""
    group = Group()
    await group.transport.connect()
    group.membership.review()
    await settle()
    assert group.transport.listening == []


async def test_a_return_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Logged, and once a second, not in a loop that starves everything else."""
    time = travel()
    group = await Group().joined()
    group.want(math.inf)
    await group.out()

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


async def test_a_return_whose_fence_fails_is_no_second_membership() -> None:
    """The connection keeps what was subscribed: it is not subscribed again."""
    time = travel()
    group = await Group().joined()
    group.want(math.inf)
    await group.out()
    group.transport.failure = ConnectionLostError("broke")
    group.want(0)
    await until(lambda: group.membership.is_member)
    await group.idle()
    group.transport.failure = None
    time.advance(1)
    await settle()
    assert group.transport.listening == [*SUBJECTS]
    await group.membership.close()


async def test_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """That it leaves is a warning, that it is back information."""
    caplog.set_level(logging.INFO, "weenats.service.queue_group")
    group = await Group().joined()
    group.want(math.inf)
    await group.out()
    group.want(0)
    await group.idle()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "leaving the queue group probe for now"),
        ("INFO", "back in the queue group probe"),
    ]
    await group.membership.close()


async def test_it_moves_on_behalf_of_nobody() -> None:
    """The request that sets a move off is not what later requests descend from."""
    group = await Group().joined()
    group.transport.contexts.clear()
    REQUEST.set("the one that tripped it")
    group.want(math.inf)
    await group.out()
    group.want(0)
    await until(lambda: group.membership.is_member)
    assert group.transport.contexts == {None}
    await group.membership.close()
