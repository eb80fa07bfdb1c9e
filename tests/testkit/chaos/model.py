"""The rules that each history must keep, whatever the faults."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SUCCESS: Final = "success"
GIVEN_UP: Final = "given up"
"""The caller itself ended the call."""
WRONG_REPLY: Final = "wrong reply"
"""The caller got a reply that is not to its call, as strangers forge them."""

_REMOTE: Final = {
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "UNAUTHENTICATED",
    "CANCELLED",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "INTERNAL",  # a forged reply with an error in its headers
}
_LOCAL: Final = {
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "INTERNAL",  # a forged reply that breaks the contract
}
_NEEDS_CAUSE: Final = frozenset(
    {
        "DEADLINE_EXCEEDED local",
        "DEADLINE_EXCEEDED remote",
        "UNAVAILABLE local",
        "RESOURCE_EXHAUSTED local",
        "PERMISSION_DENIED local",
        "INTERNAL local",
        "INTERNAL remote",
        "UNAUTHENTICATED remote",
        WRONG_REPLY,
    }
)
"""Outcomes that no call may have while nothing is wrong."""
_IMPATIENT: Final = 0.1
"""A timeout in seconds up to which a deadline may pass at any time."""
AFTERMATH: Final = 5.0
"""Seconds after a fault in which it still explains what goes wrong."""
_GRACE: Final = 2.0
"""Seconds that a handler may run on, or begin, after its call has ended."""
_UNDERWAY: Final = 2.0
"""Seconds after the end of a handler in which a fault may strike its event on the way."""

OUTCOMES: Final = frozenset(
    {
        SUCCESS,
        GIVEN_UP,
        WRONG_REPLY,
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
        timeout: its timeout in seconds.
        began: when, on the monotonic clock.
        ended: when the caller had its outcome.
    """

    id: str
    client: str
    idempotent: bool
    outcomes: list[str] = field(default_factory=list)
    timeout: float = field(default=3.0, compare=False)
    began: float = field(default=0.0, compare=False)
    ended: float = field(default=0.0, compare=False)


@dataclass(slots=True)
class Execution:
    """An execution of a handler.

    Attributes:
        call: the id of the call.
        message: the id of the message; the attempts of a call have the same.
        attempt: from 1.
        service: the process.
        endings: how it ended: SUCCESS, or the name of what it raised.
        began: when, on the monotonic clock.
        ended: when.
        emits: whether it publishes an event, if it succeeds.
        dawdles: whether it takes longer than any caller waits.
    """

    call: str
    message: str
    attempt: int
    service: str
    endings: list[str] = field(default_factory=list)
    began: float = field(default=0.0, compare=False)
    ended: float = field(default=0.0, compare=False)
    emits: bool = field(default=False, compare=False)
    dawdles: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A fault that was injected.

    Attributes:
        target: the beginning of the names of the processes that it affects, "" for all.
        began: when, on the monotonic clock.
        ended: when.
        fault: which one it was.
    """

    target: str
    began: float
    ended: float
    fault: str = ""

    def explains(self, process: str, began: float, ended: float) -> bool:
        """Return whether it affected a process within a time."""
        is_near = self.began <= ended and began <= self.ended + AFTERMATH
        return is_near and process.startswith(self.target)


@dataclass(slots=True)
class History:
    """What clients and services recorded.

    Attributes:
        calls: by id.
        killed: the processes that had no chance to note how things ended.
        disturbances: the faults that were injected.
        repeated_replies: the clients that got another reply to a request, and when.
        listeners: since when processes subscribe to events.
        heard: when each of them heard the event of which call.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    killed: set[str] = field(default_factory=set)
    disturbances: list[Disturbance] = field(default_factory=list)
    repeated_replies: list[tuple[str, float]] = field(default_factory=list)
    listeners: dict[str, float] = field(default_factory=dict)
    heard: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def disturbed(self, process: str, began: float, ended: float) -> bool:
        """Return whether a fault affected a process within a time."""
        return any(each.explains(process, began, ended) for each in self.disturbances)


def violations(history: History) -> list[str]:
    """Return the violated rules of a history."""
    rules = (
        _one_outcome, _typed_outcomes, _explained, _none_lost, _none_twice, _one_message,
        _all_ended, _one_reply, _in_time, _events_heard,
    )  # fmt: skip
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


def _explained(history: History) -> Iterator[str]:
    """Deadlines, lost connections and refusals have a cause: a fault near the call, or the call."""
    runs: dict[str, list[Execution]] = defaultdict(list)
    for each in history.executions:
        runs[each.call].append(each)
    for call in history.calls.values():
        for outcome in _NEEDS_CAUSE.intersection(call.outcomes):
            is_deadline = outcome.startswith("DEADLINE")
            if is_deadline and (
                call.timeout <= _IMPATIENT or any(each.dawdles for each in runs[call.id])
            ):
                continue
            if not _has_cause(history, call, runs[call.id]):
                yield f"{call.id} ended in {outcome} although nothing was wrong"


def _has_cause(history: History, call: Call, runs: list[Execution]) -> bool:
    """Return whether a fault affected the client, or the service as far as that is known."""
    if history.disturbed(call.client, call.began, call.ended):
        return True
    if any(SUCCESS in each.endings for each in runs):
        return any(history.disturbed(each.service, call.began, call.ended) for each in runs)
    return any(
        each.explains(each.target, call.began, call.ended)
        for each in history.disturbances
        if not each.target.startswith("client")
    )


def _one_reply(history: History) -> Iterator[str]:
    """No request gets a second reply, unless strangers forge replies."""
    for client, at in history.repeated_replies:
        if not history.disturbed(client, at, at):
            yield f"{client} got more than one reply to a request"


def _in_time(history: History) -> Iterator[str]:
    """No handler begins or runs on when its caller has long ended the call."""
    for each in history.executions:
        call = history.calls.get(each.call)
        if call is None or not call.outcomes or not each.endings:
            continue
        latest = call.ended + _GRACE
        if max(each.began, each.ended) > latest and not (
            history.disturbed(each.service, call.began, each.ended)
            or history.disturbed(call.client, call.began, each.ended)
        ):
            what = "began" if each.began > latest else "was still executed"
            yield f"{each.call} {what} {each.ended - call.ended:.1f} s after its end"


def _events_heard(history: History) -> Iterator[str]:
    """Every listener that nothing disturbs hears each event once, and nobody hears one twice.

    What waits on a stalled route arrives when that is open again: a listener that has moved to the
    other server meanwhile hears it there too. Events of calls that nobody made are forged, and may
    be sent any number of times.
    """
    partitions = [each for each in history.disturbances if each.fault == "partition"]
    for listener, calls in history.heard.items():
        for call, times in calls.items():
            is_explained = any(
                each.began <= times[0] <= each.ended <= times[-1] + AFTERMATH for each in partitions
            )
            if len(times) > 1 and call in history.calls and not is_explained:
                yield f"{listener} heard the event of {call} {len(times)} times"
    for each in history.executions:
        if not each.emits or SUCCESS not in each.endings:
            continue
        latest = each.ended + _UNDERWAY
        for listener, since in history.listeners.items():
            if (
                since < each.began
                and listener not in history.killed
                and not history.heard[listener][each.call]
                and not history.disturbed(each.service, each.began, latest)
                and not history.disturbed(listener, each.began, latest)
            ):
                yield f"{listener} did not hear the event of {each.call}"
