"""The rules that each history must keep, whatever the faults."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SUCCESS: Final = "success"
GIVEN_UP: Final = "given up"
"""The caller itself ended the call."""

_REMOTE: Final = {
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "UNAUTHENTICATED",
    "CANCELLED",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
}
_LOCAL: Final = {
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "INTERNAL",  # a forged reply that breaks the contract
}
OUTCOMES: Final = frozenset(
    {
        SUCCESS,
        GIVEN_UP,
        *(f"{code} remote" for code in _REMOTE),
        *(f"{code} local" for code in _LOCAL),
    }
)
"""How a call may end."""


@dataclass(slots=True)
class Call:
    """A call that a client made.

    Attributes:
        client: the process.
        idempotent: whether it may be made again by policy.
        outcomes: what the caller got.
    """

    id: str
    client: str
    idempotent: bool
    outcomes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Execution:
    """An execution of a handler.

    Attributes:
        call: the id of the call.
        message: the id of the message; the attempts of a call have the same.
        attempt: from 1.
        service: the process.
        endings: how it ended: SUCCESS, or the name of what it raised.
    """

    call: str
    message: str
    attempt: int
    service: str
    endings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """What clients and services recorded.

    Attributes:
        calls: by id.
        killed: the processes that had no chance to note how things ended.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    killed: set[str] = field(default_factory=set)


def violations(history: History) -> list[str]:
    """Return the violated rules of a history."""
    rules = (_one_outcome, _typed_outcomes, _none_lost, _none_twice, _one_message, _all_ended)
    return [fault for rule in rules for fault in rule(history)]


def _one_outcome(history: History) -> Iterator[str]:
    """Every call has exactly one outcome; those of a client that was killed have one at most."""
    for call in history.calls.values():
        if not call.outcomes and call.client not in history.killed:
            yield f"{call.id} has no outcome"
        if len(call.outcomes) > 1:
            yield f"{call.id} has {len(call.outcomes)} outcomes: {call.outcomes}"


def _typed_outcomes(history: History) -> Iterator[str]:
    """An outcome is a result or an error that faults explain."""
    for call in history.calls.values():
        for outcome in call.outcomes:
            if outcome not in OUTCOMES:
                yield f"{call.id} ended in {outcome}"


def _none_lost(history: History) -> Iterator[str]:
    """A call that succeeded was executed."""
    executed = {each.call for each in history.executions if SUCCESS in each.endings}
    for call in history.calls.values():
        if SUCCESS in call.outcomes and call.id not in executed:
            yield f"{call.id} was answered, but never executed"


def _none_twice(history: History) -> Iterator[str]:
    """Each attempt is executed once at most, and only policy makes a second attempt."""
    runs = Counter((each.message, each.attempt) for each in history.executions)
    for (message, attempt), count in runs.items():
        if count > 1:
            yield f"attempt {attempt} of {message} was executed {count} times"
    for each in history.executions:
        call = history.calls.get(each.call)
        if call is None:
            yield f"{each.call} was executed, but nobody called"
        elif each.attempt > 1 and not call.idempotent:
            yield f"{each.call} was made again, though it is not idempotent"


def _one_message(history: History) -> Iterator[str]:
    """All attempts of a call have the same message id, which no other call has."""
    messages: dict[str, set[str]] = defaultdict(set)
    calls: dict[str, set[str]] = defaultdict(set)
    for each in history.executions:
        messages[each.call].add(each.message)
        calls[each.message].add(each.call)
    for call, ids in messages.items():
        if len(ids) > 1:
            yield f"{call} was executed as {len(ids)} messages"
    for message, ids in calls.items():
        if len(ids) > 1:
            yield f"{message} was executed for {len(ids)} calls"


def _all_ended(history: History) -> Iterator[str]:
    """A service ends each execution once, unless it was killed."""
    for each in history.executions:
        if not each.endings and each.service not in history.killed:
            yield f"{each.service} began {each.call} and never ended it"
        if len(each.endings) > 1:
            yield f"{each.service} ended {each.call} {len(each.endings)} times"
