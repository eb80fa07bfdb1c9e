"""The model finds each defect that is planted in the runtime, and none in a sound one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from receipts import ReceiptsClient
from testkit.chaos.history import history_of
from testkit.chaos.journal import Journal
from testkit.chaos.journaled_client import JournaledClient
from testkit.chaos.journaled_receipts import JournaledReceipts
from testkit.chaos.model import violations
from testkit.chaos.resources import changes, own_usage
from testkit.chaos.settings import ProcessSettings
from testkit.waiting import LIMIT, settle
from weenats import NatsServiceBuilder
from weenats.admission.controller import Admission
from weenats.admission.job import Job
from weenats.client.call import Exchange
from weenats.client.retry import ATTEMPT_MEMBER
from weenats.service.endpoint import EndpointRunner
from weenats.transport.nats_py.connection import NatsConnection

_CALLS: Final = 10
_GRACE: Final = 0.1
_LATE: Final = 0.3
"""Seconds that are more than the model lets a handler run on, which is _GRACE here."""
Plant = Callable[[pytest.MonkeyPatch], None]
Publish = Callable[..., None]


class Always(Random):
    """Chances by which every handler takes longer than its caller waits."""

    def random(self) -> float:
        """Return the smallest number."""
        return 0.0


async def findings(
    url: str,
    folder: Path,
    *,
    timeout: float = LIMIT,
    chances: Random | None = None,
    executed: int = 0,
) -> list[str]:
    """Make calls of a client to a service, and return what the model and the resources show.

    The calls are repeated until the service has begun a number of requests, then it stops.
    """
    paths = [folder / "client.journal", folder / "service.journal"]
    settings = ProcessSettings(
        name="client", servers=(url,), user="", password="", issuer="", journal=None, seed=1
    )
    journals = [Journal(path) for path in paths]
    before = own_usage()
    service = NatsServiceBuilder(JournaledReceipts(journals[1], chances), url).build()
    async with service, ReceiptsClient.connect(url, verify="off") as receipts:
        client = JournaledClient(settings, receipts, journals[0])
        await client.listen()
        is_done = False
        while not is_done:
            keys = [f"r-{each}" for each in range(_CALLS)]
            await asyncio.gather(*(client.outcome("add-item", k, timeout=timeout) for k in keys))
            await receipts.transport.fence()
            is_done = paths[1].read_text().count('"began"') >= executed
            timeout *= 2  # a busy machine may have no time to send any request
    await settle()
    leaks = [each for each in changes(before, own_usage()) if "tasks" in each]
    for journal in journals:
        journal.close()
    return violations(history_of(paths, [])) + leaks


def _publishing(replace: Callable[[Publish, int], Publish], part: str) -> Plant:
    """Return a defect of how a transport publishes to subjects with a part."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        send, numbers = NatsConnection.send, count(1)

        def broken(self: NatsConnection, subject: str, *arguments: Any) -> None:
            whole = send.__get__(self)
            if part in subject:
                whole = replace(whole, next(numbers))
            whole(subject, *arguments)

        patch.setattr(NatsConnection, "send", broken)

    return plant


def _drop_every_fifth(publish: Publish, number: int) -> Publish:
    return publish if number % 5 else lambda *_, **__: None


def _repeat_every_fifth(publish: Publish, number: int) -> Publish:
    def twice(*arguments: Any, **options: Any) -> None:
        publish(*arguments, **options)
        if not number % 5:
            publish(*arguments, **options)

    return twice


def _swap(patch: pytest.MonkeyPatch) -> None:
    """Send each two replies to the wrong callers."""
    send = NatsConnection.send
    kept: list[tuple[str, bytes]] = []

    def broken(
        self: NatsConnection, subject: str, reply: str, payload: bytes, headers: bytes
    ) -> None:
        if not subject.startswith("_INBOX"):
            send(self, subject, reply, payload, headers)
            return
        kept.append((subject, payload))
        if len(kept) == 2:
            (one, its), (other, theirs) = kept
            kept.clear()
            send(self, one, "", theirs, b"")
            send(self, other, "", its, b"")

    patch.setattr(NatsConnection, "send", broken)


def _execute_twice(patch: pytest.MonkeyPatch) -> None:
    handle = EndpointRunner._begin

    async def broken(self: EndpointRunner, context: Any) -> Any:
        await handle(self, context)
        return await handle(self, context)

    patch.setattr(EndpointRunner, "_begin", broken)


def _answer_from_a_cache(patch: pytest.MonkeyPatch) -> None:
    handle, answers = EndpointRunner._begin, list[Any]()

    async def broken(self: EndpointRunner, context: Any) -> Any:
        if not answers:
            answers.append(await handle(self, context))
        return answers[0]

    patch.setattr(EndpointRunner, "_begin", broken)


def _send_again(patch: pytest.MonkeyPatch) -> None:
    send = Exchange.send

    async def broken(self: Exchange, context: Any) -> Any:
        await send(self, context)
        return await send(self, context.replace(metadata_context={ATTEMPT_MEMBER: 2}))

    patch.setattr(Exchange, "send", broken)


def _leak_a_task(patch: pytest.MonkeyPatch) -> None:
    run, leaked = EndpointRunner.run, list[asyncio.Task[Any]]()

    async def broken(self: EndpointRunner, job: Job) -> None:
        await run(self, job)
        leaked.append(asyncio.create_task(asyncio.Event().wait()))

    patch.setattr(EndpointRunner, "run", broken)


def _never_cancel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("testkit.chaos.journaled_receipts._DAWDLING", _LATE)
    patch.setattr(Job, "interrupt", lambda _: None)


def _run_what_has_expired(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("testkit.chaos.journaled_receipts._DAWDLING", 0.0)
    submit = Admission.submit

    def broken(self: Admission, job: Job, _: float) -> None:
        job.deadline = None
        asyncio.get_running_loop().call_later(_LATE, submit, self, job)

    patch.setattr(Admission, "submit", broken)


def _forget_to_end(patch: pytest.MonkeyPatch) -> None:
    async def broken(self: EndpointRunner, context: Any) -> Any:
        waiting: Awaitable[Any] = self._handler(context)
        task = asyncio.ensure_future(waiting)
        await asyncio.wait([task], timeout=0.001)
        task.cancel()
        raise OSError

    patch.setattr(EndpointRunner, "_begin", broken)


DEFECTS: Final[dict[str, tuple[Plant, str, float]]] = {
    "dropped reply": (
        _publishing(_drop_every_fifth, "_INBOX"),
        "ended in DEADLINE_EXCEEDED local although nothing was wrong",
        0.3,
    ),
    "double reply": (
        _publishing(_repeat_every_fifth, "_INBOX"),
        "got more than one reply to a request",
        LIMIT,
    ),
    "dropped request": (
        _publishing(_drop_every_fifth, ".command."),
        "ended in DEADLINE_EXCEEDED local although nothing was wrong",
        0.3,
    ),
    "double request": (
        _publishing(_repeat_every_fifth, ".command."),
        "was executed 2 times",
        LIMIT,
    ),
    "lost event": (_publishing(_drop_every_fifth, ".events."), "did not hear the event", LIMIT),
    "double event": (_publishing(_repeat_every_fifth, ".events."), " 2 times", LIMIT),
    "wrong caller": (_swap, "ended in wrong reply although nothing was wrong", LIMIT),
    "double execution": (_execute_twice, "was executed 2 times", LIMIT),
    "no execution": (_answer_from_a_cache, "was answered, but never executed", LIMIT),
    "retry against the policy": (_send_again, "though it is not idempotent", LIMIT),
    "leaked task": (_leak_a_task, " tasks, not ", LIMIT),
    "failure without a cause": (_forget_to_end, "ended in INTERNAL remote", LIMIT),
}


@pytest.mark.parametrize(("plant", "finding", "timeout"), DEFECTS.values(), ids=DEFECTS)
async def test_planted_defect_is_found(
    nats_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Plant,
    finding: str,
    timeout: float,
) -> None:
    """A defect of the runtime shows in the findings."""
    with monkeypatch.context() as patch:
        plant(patch)
        found = await findings(nats_url, tmp_path, timeout=timeout)
    assert any(finding in each for each in found), found


@pytest.mark.parametrize(
    ("plant", "finding"),
    [(_never_cancel, "was still executed"), (_run_what_has_expired, " began ")],
    ids=["late cancel", "late execution"],
)
async def test_planted_lateness_is_found(
    nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, finding: str
) -> None:
    """Handlers that run on, or begin, long after their calls have ended are found."""
    with monkeypatch.context() as patch:
        patch.setattr("testkit.chaos.model._GRACE", _GRACE)
        plant(patch)
        found = await findings(nats_url, tmp_path, timeout=0.1, chances=Always(), executed=1)
    assert any(finding in each for each in found), found


@pytest.mark.parametrize(("timeout", "chances"), [(LIMIT, None), (0.1, Always())])
async def test_sound_runtime_has_no_findings(
    nats_url: str,
    tmp_path: Path,
    timeout: float,
    chances: Random | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a defect there is nothing to find, also when all calls time out."""
    monkeypatch.setattr("testkit.chaos.model._GRACE", LIMIT)
    assert await findings(nats_url, tmp_path, timeout=timeout, chances=chances) == []
