"""Checks a run of commands: a pure function of the streams and of what the callers saw."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from testkit.durability.commands import (
    REFUSED,
    REPLIED,
    Call,
    CommandRun,
    Seen,
    StoredCommit,
    StoredEvent,
    Wallet,
)
from testkit.durability.findings import Findings

KINDS: Final = (
    "lost",
    "doubled",
    "out of order",
    "different reply",
    "reply without commit",
    "not answered",
    "refused and stored",
    "unknown command",
    "wrong key",
    "gap",
    "wrong state",
    "event lost",
    "event doubled",
    "event out of order",
    "unknown event",
    "wrong view",
)
_EMPTY: Final = Wallet(0, 0)
_DURABLE: Final = "deposited"
_SIGNS: Final = {"deposited": 1, "withdrawn": -1}


@dataclass(slots=True)
class _Key:
    """What the checker knows of one wallet."""

    sequence: int = 0
    revision: int = 0
    wallet: Wallet = _EMPTY
    spans: list[tuple[float, float, str]] = field(default_factory=list)
    relayed: int = 0
    durable: int = 0


def check(run: CommandRun) -> Findings:
    """Return what is wrong with a run."""
    return _Check(run).findings


class _Check:
    def __init__(self, run: CommandRun) -> None:
        self.findings = Findings.of(KINDS)
        self._calls = {each.id: each for each in run.calls}
        self._keys: defaultdict[str, _Key] = defaultdict(_Key)
        self._results: dict[str, Wallet | None] = {}
        self._awaited: dict[str, StoredEvent] = {}
        self._seen: set[str] = set()
        for commit in run.commits:
            self._commit(commit)
        for key, known in self._keys.items():
            self._real_time(key, known)
        for call in self._calls.values():
            self._call(call)
        for event in run.events:
            self._event(event)
        for event in self._awaited.values():
            self._find("event lost", f"{event.id}, revision {event.revision} of {event.key}")
        self._states(run)
        self._view(run)

    def _find(self, kind: str, text: str) -> None:
        self.findings.add(kind, text)

    def _commit(self, commit: StoredCommit) -> None:
        """Check a commit against those before it and its caller."""
        call = self._calls.get(commit.message_id)
        what = f"commit {commit.sequence} of {commit.key}"
        if commit.message_id in self._results:
            self._find("doubled", f"{what}: {commit.message_id}")
        self._results.setdefault(commit.message_id, commit.result)
        if call is None:
            self._find("unknown command", f"{what}: {commit.message_id}")
        elif call.key != commit.key or commit.subject_key != commit.key:
            self._find("wrong key", f"{what}, subject {commit.subject_key}, caller {call.key}")
        elif call.command != commit.command or call.cents != sum(
            each.cents for each in commit.changes
        ):
            self._find("unknown command", f"{what} is not what {call.id} asked for")
        known = self._keys[commit.subject_key]
        self._place(commit, known, what)
        self._fold(commit, known, what)
        if call is not None:
            known.spans.append((call.began, call.ended, call.id))

    def _place(self, commit: StoredCommit, known: _Key, what: str) -> None:
        """Check that a commit follows on the one before it."""
        if commit.previous != known.sequence:
            kind = "out of order" if commit.previous < known.sequence else "lost"
            self._find(kind, f"{what} follows on {commit.previous}, not on {known.sequence}")
        if commit.revision - len(commit.changes) != known.revision:
            self._find("gap", f"{what} leads to {commit.revision} from {known.revision}")
        known.sequence, known.revision = commit.sequence, commit.revision

    def _fold(self, commit: StoredCommit, known: _Key, what: str) -> None:
        """Apply the events, and compare the state with what the service has made of them."""
        balance, changes = known.wallet
        revision = commit.revision - len(commit.changes)
        for change in commit.changes:
            balance += _SIGNS.get(change.type, 0) * change.cents
            changes += 1
            revision += 1
            if balance != change.balance:
                self._find("wrong state", f"{what} has balance {change.balance}, not {balance}")
                balance = change.balance
            if change.type == _DURABLE:
                self._awaited[change.id] = StoredEvent(
                    0, change.id, commit.key, revision, change.cents, change.balance
                )
        known.wallet = Wallet(balance, changes)
        if commit.result != known.wallet:
            self._find("wrong state", f"{what} replies {commit.result}, not {known.wallet}")

    def _real_time(self, key: str, known: _Key) -> None:
        """Check that what was answered before a command began was stored before it."""
        answered = float("inf")
        for began, ended, message_id in reversed(known.spans):
            if answered < began:
                self._find("out of order", f"{message_id} of {key} began after a later commit")
            answered = min(answered, ended)
        known.spans.clear()

    def _call(self, call: Call) -> None:
        """Compare what a caller was answered with the commit."""
        replies = [each.value for each in call.attempts if each.outcome == REPLIED]
        outcomes = {each.outcome for each in call.attempts}
        if not outcomes & {REPLIED, REFUSED}:
            self._find("not answered", f"{call.id} of {call.key}")
        is_stored = call.id in self._results
        if replies and not is_stored:
            self._find("reply without commit", f"{call.id} of {call.key}: {replies[0]}")
        expected = self._results[call.id] if is_stored else replies[0] if replies else None
        for reply in replies:
            if reply != expected:
                self._find("different reply", f"{call.id} of {call.key}: {reply}, not {expected}")
        if is_stored and outcomes == {REFUSED}:
            self._find("refused and stored", f"{call.id} of {call.key}")
        known = [each for each in call.attempts if each.outcome in {REPLIED, REFUSED}]
        if known and known[0].outcome == REPLIED:
            later = [each for each in known if each.began > call.ended]
            if any(each.outcome == REFUSED for each in later):
                self._find("different reply", f"{call.id} of {call.key} was refused later")

    def _event(self, event: StoredEvent) -> None:
        """Check an event against its commit and the events before it."""
        what = f"event {event.id} of {event.key}"
        if event.id in self._seen:
            self._find("event doubled", what)
            return
        self._seen.add(event.id)
        expected = self._awaited.pop(event.id, None)
        if expected is None or expected != event._replace(sequence=0):
            self._find("unknown event", f"{what} is not {expected}")
            return
        known = self._keys[event.key]
        if event.revision <= known.relayed:
            self._find("event out of order", f"{what}: {event.revision} after {known.relayed}")
        known.relayed = max(known.relayed, event.revision)
        known.durable += 1

    def _states(self, run: CommandRun) -> None:
        """Compare what `get` shows in the end with the events."""
        for key, known in self._keys.items():
            if run.states.get(key) != (known.revision, known.wallet):
                shown = run.states.get(key)
                expected = f"revision {known.revision}, {known.wallet}"
                self._find("wrong state", f"{key} is shown as {shown}, not {expected}")

    def _view(self, run: CommandRun) -> None:
        """Compare the view of the projection with the durable events."""
        for key in self._keys.keys() | run.view.keys():
            known = self._keys[key]
            expected = Seen(known.durable, known.relayed, 0)
            if (found := run.view.get(key, Seen(0, 0, 0))) != expected:
                self._find("wrong view", f"{key} is {found}, not {expected}")
