"""The history of a run, from the journals of its processes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from testkit.chaos.journal import read
from testkit.chaos.model import Call, Disturbance, Execution, History


def history_of(
    journals: Iterable[Path], killed: Iterable[str], disturbances: Iterable[Disturbance] = ()
) -> History:
    """Return the history in the journals; each is named after its process."""
    history = History(killed=set(killed), disturbances=list(disturbances))
    for path in journals:
        runs: dict[tuple[str, int], Execution] = {}
        for record in read(path):
            _take(history, path.stem, record, runs)
    return history


def _take(
    history: History, process: str, record: dict[str, Any], runs: dict[tuple[str, int], Execution]
) -> None:
    at: float = record["at"]
    match record:
        case {"what": "called", "call": call, "idempotent": idempotent, "timeout": timeout}:
            history.calls[call] = Call(call, process, idempotent, timeout=timeout, began=at)
        case {"what": "answered", "call": call, "outcome": outcome}:
            history.calls[call].outcomes.append(outcome)
            history.calls[call].ended = at
        case {"what": "replied again"}:
            history.repeated_replies.append((process, at))
        case {"what": "listens"}:
            history.listeners[process] = at
        case {"what": "heard", "call": call}:
            history.heard[process][call].append(at)
        case {"what": "began", "call": call, "message": message, "attempt": attempt}:
            run = runs[message, attempt] = Execution(call, message, attempt, process, began=at)
            run.emits, run.dawdles = record.get("emits", False), record.get("dawdles", False)
            history.executions.append(run)
        case {"what": "ended", "message": message, "attempt": attempt, "how": how}:
            runs[message, attempt].endings.append(how)
            runs[message, attempt].ended = at
        case _:
            raise ValueError(f"{process} wrote {record}")
