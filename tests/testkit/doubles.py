"""What unit tests of the runtime stand on: time that they move, a worker that notes what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from testkit.probe import RUN, Run
from weenats.admission.job import Job
from weenats.context import RequestContext, Response
from weenats.contract import AnyOperation
from weenats.errors import ServiceError
from weenats.protocol.headers import Headers
from weenats.protocol.identifiers import STAMPER
from weenats.transport import Delivery


class TimeTravel:
    """The clock of the running loop, which a test moves forward; nobody waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self  # type: ignore[method-assign]

    def __call__(self) -> float:
        """Return the time."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


def travel() -> TimeTravel:
    """Return the clock of the running loop, to be moved."""
    return TimeTravel(asyncio.get_running_loop())


class FakeClock:
    """A clock that stands until a test sets it."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class StandingTime(FakeClock):
    """The clock of the running loop, which stands until a test moves it; no timer is awaited."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        loop.time = self  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def stand_still() -> StandingTime:
    """Return the clock of the running loop, which stands."""
    return StandingTime(asyncio.get_running_loop())


class Recorder:
    """A worker whose jobs end when the test says so."""

    def __init__(self) -> None:
        self.started: list[Job] = []
        self.finished: list[Job] = []
        self.refused: list[tuple[Job, ServiceError]] = []
        self.gate = asyncio.Event()

    async def run(self, job: Job) -> None:
        """Wait for the gate."""
        self.started.append(job)
        await self.gate.wait()
        job.answered = True
        self.finished.append(job)

    def refuse(self, job: Job, error: ServiceError) -> None:
        """Note the refusal."""
        self.refused.append((job, error))

    def job(self, deadline: float | None = None, reply: str = "reply") -> Job:
        """Return a new job for this worker."""
        return Job(self, Delivery("probe.command.thing.run", reply, b""), deadline)

    @property
    def reasons(self) -> list[type[ServiceError]]:
        """The classes of the refusals, in order."""
        return [type(error) for _, error in self.refused]


class Scripted(Recorder):
    """A worker that does what the test gives it."""

    def __init__(self, behaviour: Callable[[Job], Awaitable[None]]) -> None:
        super().__init__()
        self._behaviour = behaviour

    async def run(self, job: Job) -> None:
        """Do as told."""
        self.started.append(job)
        await self._behaviour(job)


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop run until a condition holds; fail when it never does."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition will do
            await asyncio.sleep(0)


async def settle() -> None:
    """Let the loop run all that is ready, and what that makes ready."""
    for _ in range(10):
        await asyncio.sleep(0)


def a_served_request(
    operation: AnyOperation = RUN, headers: bytes = b"", received: int = 0
) -> tuple[Job, RequestContext]:
    """Return the job and the context of a request that a service has received."""
    job = Job(Recorder(), Delivery(operation.subject, "reply", b"", headers), None, received)
    context = a_context(
        side="server", operation=operation, headers=Headers(headers), payload=None, work=job
    )
    return job, context


async def answered(context: RequestContext) -> Response:
    """Answer nothing, as the innermost step of a chain."""
    return Response(None)


def a_context(**changes: Any) -> RequestContext:
    """Return a client's context of a plain call; a test changes what it is about."""
    message_id, timestamp = STAMPER.stamp()
    values: dict[str, Any] = {
        "side": "client",
        "operation": RUN,
        "key": "k-1",
        "payload": Run(action="go"),
        "message_id": message_id,
        "timestamp": timestamp,
        "correlation_id": message_id,
    }
    return RequestContext(**{**values, **changes})
