"""Workers for tests of admission."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from weenats.admission.job import Job
from weenats.errors import ServiceError
from weenats.transport import Delivery


class FakeWorker:
    """A worker that records its jobs; they end when the test opens `gate`."""

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
        """Record the refusal."""
        self.refused.append((job, error))

    def job(self, deadline: float | None = None, reply: str = "reply") -> Job:
        """Return a new job for this worker."""
        return Job(self, Delivery("probe.command.thing.run", reply, b""), deadline)

    @property
    def reasons(self) -> list[type[ServiceError]]:
        """The classes of the refusals, in order."""
        return [type(error) for _, error in self.refused]


class ScriptedWorker(FakeWorker):
    """A worker whose jobs run a function of the test."""

    def __init__(self, behaviour: Callable[[Job], Awaitable[None]]) -> None:
        super().__init__()
        self._behaviour = behaviour

    async def run(self, job: Job) -> None:
        """Run the function."""
        self.started.append(job)
        await self._behaviour(job)
