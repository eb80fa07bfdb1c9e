"""The model reports histories that break a rule, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testkit.chaos.history import history_of
from testkit.chaos.journal import Journal
from testkit.chaos.model import (
    GIVEN_UP,
    SUCCESS,
    Call,
    Disturbance,
    Execution,
    History,
    violations,
)


def valid_history() -> History:
    """Return a history with everything that is allowed to happen."""
    return History(
        calls={
            "c-1": Call("c-1", "client", idempotent=False, outcomes=[SUCCESS]),
            "c-2": Call("c-2", "client", idempotent=True, outcomes=["UNAVAILABLE remote"]),
            "c-3": Call("c-3", "client", idempotent=False, outcomes=[GIVEN_UP]),
            "c-4": Call("c-4", "gone", idempotent=False),
        },
        executions=[
            Execution("c-1", "m-1", 1, "service", [SUCCESS]),
            Execution("c-2", "m-2", 1, "dead"),
            Execution("c-2", "m-2", 2, "service", ["UnavailableError"]),
            Execution("c-4", "m-4", 1, "service", ["CancelledError"]),
        ],
        killed={"gone", "dead"},
    )


def test_valid_history_has_no_violations() -> None:
    """Retries by policy, cancelled calls and killed processes break no rule."""
    assert violations(valid_history()) == []


def _lose(history: History) -> None:
    history.executions[0].endings = ["CancelledError"]


def _execute_attempt_twice(history: History) -> None:
    history.executions.append(Execution("c-1", "m-1", 1, "other", [SUCCESS]))


def _retry_without_policy(history: History) -> None:
    history.executions.append(Execution("c-1", "m-1", 2, "other", [SUCCESS]))


def _send_another_message(history: History) -> None:
    history.executions.append(Execution("c-1", "m-9", 1, "other", [SUCCESS]))


def _share_a_message(history: History) -> None:
    history.executions[3].message = "m-1"
    history.executions[3].attempt = 2
    history.calls["c-4"].idempotent = True


def _answer_twice(history: History) -> None:
    history.calls["c-1"].outcomes.append("CANCELLED remote")


def _never_answer(history: History) -> None:
    history.calls["c-1"].outcomes.clear()


def _raise_something_else(history: History) -> None:
    history.calls["c-3"].outcomes = ["KeyError('x')"]


def _fail_inside(history: History) -> None:
    history.calls["c-3"].outcomes = ["INTERNAL remote"]


def _execute_unknown_call(history: History) -> None:
    history.executions.append(Execution("forged", "m-5", 1, "service", [SUCCESS]))


def _never_end(history: History) -> None:
    history.executions[3].endings.clear()


def _end_twice(history: History) -> None:
    history.executions[0].endings.append(SUCCESS)


@pytest.mark.parametrize(
    ("doctor", "objection"),
    [
        (_lose, "c-1 was answered, but never executed"),
        (_execute_attempt_twice, "attempt 1 of m-1 was executed 2 times"),
        (_retry_without_policy, "c-1 was made again, though it is not idempotent"),
        (_send_another_message, "c-1 was executed as 2 messages"),
        (_share_a_message, "m-1 was executed for 2 calls"),
        (_answer_twice, "c-1 has 2 outcomes: ['success', 'CANCELLED remote']"),
        (_never_answer, "c-1 has no outcome"),
        (_raise_something_else, "c-3 ended in KeyError('x')"),
        (_fail_inside, "c-3 ended in INTERNAL remote although nothing was wrong"),
        (_execute_unknown_call, "forged was executed, but nobody called"),
        (_never_end, "service began c-4 and never ended it"),
        (_end_twice, "service ended c-1 2 times"),
    ],
)
def test_invalid_history_is_reported(doctor: Callable[[History], None], objection: str) -> None:
    """Each broken rule is reported, and nothing else."""
    history = valid_history()
    doctor(history)
    assert violations(history) == [objection]


def test_event_is_heard_again_only_after_a_partition() -> None:
    """An event that waited on a stalled route may arrive again, and no other."""
    history = valid_history()
    history.heard["client"]["c-1"] = [100, 103]
    assert violations(history) == ["client heard the event of c-1 2 times"]
    history.disturbances = [Disturbance("", 99, 104, "cut"), Disturbance("", 90, 99, "partition")]
    assert violations(history) == ["client heard the event of c-1 2 times"]
    history.disturbances.append(Disturbance("", 99, 102.9, "partition"))
    assert violations(history) == []


def test_event_may_be_lost_on_its_way() -> None:
    """A fault soon after the end of a handler explains why a listener did not hear its event."""
    history = valid_history()
    history.executions[0] = Execution("c-1", "m-1", 1, "service", [SUCCESS], 100, 101, emits=True)
    history.calls["c-1"].ended, history.listeners["client"] = 101, 50
    history.disturbances = [Disturbance("client", 104, 105, "cut")]
    assert violations(history) == ["client did not hear the event of c-1"]
    history.disturbances.append(Disturbance("client", 101.1, 102, "cut"))
    assert violations(history) == []


def test_forged_events_may_be_heard_again() -> None:
    """Events of calls that nobody made come from somebody who sends malformed messages."""
    history = valid_history()
    history.heard["client"]["$SRV.PING"] = [100, 200]
    assert violations(history) == []


def test_history_is_read_from_journals(tmp_path: Path) -> None:
    """Journals are read; an incomplete last line is ignored."""
    client, service = Journal(tmp_path / "client.journal"), Journal(tmp_path / "service.journal")
    client.write("called", call="c-1", idempotent=False, timeout=3)
    service.write("began", call="c-1", message="m-1", attempt=1)
    service.write("ended", message="m-1", attempt=1, how=SUCCESS)
    client.write("answered", call="c-1", outcome=SUCCESS)
    client.write("called", call="c-2", idempotent=False, timeout=3)
    with (tmp_path / "service.journal").open("a") as torn:
        torn.write('{"what": "be')
    history = history_of([tmp_path / "client.journal", tmp_path / "service.journal"], [])
    for journal in (client, service):
        journal.close()
    assert history.executions == [Execution("c-1", "m-1", 1, "service", [SUCCESS])]
    assert violations(history) == ["c-2 has no outcome"]


def late_history(outcome: str, *disturbances: Disturbance, **call: Any) -> History:
    """Return a history of one call that took three seconds, executed by a service that lives."""
    return History(
        calls={
            "c-1": Call(
                "c-1", "client-0-1", idempotent=False, outcomes=[outcome], began=100, ended=103,
                **call,
            )
        },
        executions=[Execution("c-1", "m-1", 1, "service-1-1", [SUCCESS], began=100, ended=100)],
        disturbances=list(disturbances),
    )  # fmt: skip


UNEXPLAINED = ["DEADLINE_EXCEEDED local", "UNAVAILABLE local", "INTERNAL local", "wrong reply"]


@pytest.mark.parametrize("outcome", UNEXPLAINED)
@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance("", 0, 90),
        Disturbance("", 104, 105),
        Disturbance("service-2-", 100, 101),
        Disturbance("client-1-", 100, 101),
    ],
)
def test_failure_without_a_cause_is_reported(outcome: str, disturbance: Disturbance) -> None:
    """Faults at another time, or of other processes, explain nothing."""
    found = [f"c-1 ended in {outcome} although nothing was wrong"]
    assert violations(late_history(outcome)) == found
    assert violations(late_history(outcome, disturbance)) == found


@pytest.mark.parametrize("outcome", UNEXPLAINED)
@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance("", 102, 110),
        Disturbance("", 96, 99),
        Disturbance("service-1-", 101, 102),
        Disturbance("client-0-", 90, 110),
    ],
)
def test_faults_near_a_call_explain_its_failure(outcome: str, disturbance: Disturbance) -> None:
    """A fault of the client, of the service that executed it, or of all is a cause."""
    assert violations(late_history(outcome, disturbance)) == []


def test_impatient_calls_and_slow_handlers_need_no_fault() -> None:
    """A deadline passes when the caller hardly waits, or when the handler takes longer."""
    assert violations(late_history("DEADLINE_EXCEEDED local", timeout=0.02)) == []
    slow = late_history("DEADLINE_EXCEEDED remote")
    slow.executions[0].dawdles = True
    assert violations(slow) == []
