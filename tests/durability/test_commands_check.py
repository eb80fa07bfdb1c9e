"""The checker finds each planted defect of a run of commands, and none in a sound run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from testkit.durability.commands import (
    REFUSED,
    REPLIED,
    UNKNOWN,
    Attempt,
    Call,
    Change,
    CommandRun,
    Seen,
    StoredCommit,
    StoredEvent,
    Wallet,
    commit_of,
    event_of,
    read_calls,
)
from testkit.durability.commands_check import KINDS, check
from testkit.durability.findings import Findings


@dataclass
class Run:
    """A run that a test may change; it begins as a sound one."""

    calls: list[Call] = field(default_factory=list)
    commits: list[StoredCommit] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    states: dict[str, tuple[int, Wallet]] = field(default_factory=dict)
    view: dict[str, Seen] = field(default_factory=dict)

    def add(self, number: int, key: str, command: str, *cents: int) -> None:
        """Add a command that was stored, with its events and its reply."""
        revision, (balance, changes) = self.states.get(key, (0, Wallet(0, 0)))
        previous = max((each.sequence for each in self.commits if each.key == key), default=0)
        found: list[Change] = []
        for amount in cents:
            balance += amount if command == "deposit" else -amount
            name = "deposited" if command == "deposit" else "withdrawn"
            found.append(Change(f"e-{number}-{len(found)}", name, amount, balance))
            if name == "deposited":
                place = revision + len(found), amount, balance
                self.events.append(StoredEvent(len(self.events) + 1, found[-1].id, key, *place))
                seen = self.view.get(key, Seen(0, 0, 0))
                self.view[key] = Seen(seen.events + 1, place[0], 0)
        state = Wallet(balance, changes + len(cents))
        revision += len(cents)
        self.states[key] = revision, state
        sequence, message_id = len(self.commits) + 1, f"c-{number}"
        self.commits.append(
            StoredCommit(
                *(sequence, key, key, command, message_id, previous, revision, tuple(found), state)
            )
        )
        attempts = (Attempt(REPLIED, state, number),)
        self.calls.append(
            Call(message_id, key, command, sum(cents), number, number + 0.5, attempts)
        )

    def change_call(self, number: int, **members: Any) -> None:
        """Change what a caller saw."""
        self.calls[number] = self.calls[number]._replace(**members)

    def change_commit(self, number: int, **members: Any) -> None:
        """Change what was stored."""
        self.commits[number] = self.commits[number]._replace(**members)

    def change_event(self, number: int, **members: Any) -> None:
        """Change what was sent on."""
        self.events[number] = self.events[number]._replace(**members)

    def add_attempt(self, number: int, outcome: str, value: Wallet | str, began: float) -> None:
        """Add a request to a call."""
        attempts = self.calls[number].attempts
        self.change_call(number, attempts=(*attempts, Attempt(outcome, value, began)))

    def check(self) -> Findings:
        """Return what the checker finds."""
        members = self.calls, self.commits, self.events, self.states, self.view
        return check(CommandRun(*members))

    def kinds(self) -> set[str]:
        """Return the kinds of what the checker finds."""
        return self.check().kinds


def sound() -> Run:
    """Return a run with everything that may happen."""
    run = Run()
    run.add(1, "a", "deposit", 3)
    run.add(2, "b", "deposit", 1, 1)
    run.add(3, "a", "deposit", 2, 2)
    run.add(4, "a", "withdraw", 4)
    run.add(5, "b", "deposit", 3)
    run.add(6, "a", "deposit", 1)
    # Repeated after the reply was lost, and again later.
    run.change_call(1, attempts=(Attempt(UNKNOWN, "UNAVAILABLE", 2), *run.calls[1].attempts))
    run.add_attempt(1, REPLIED, Wallet(2, 2), 9)
    refusal = Attempt(REFUSED, "NOT_FOUND", 7)
    run.calls.append(Call("c-7", "c", "withdraw", 1, 7, 7.5, (refusal, refusal)))
    return run


def test_sound_run() -> None:
    """Repeats with one reply and commands that were refused break no rule."""
    run = sound()
    findings = run.check()
    assert findings.kinds == set()
    assert set(findings.counts) == set(KINDS)
    assert str(findings).startswith("lost 0, doubled 0, out of order 0")


def _lose_commit(run: Run) -> None:
    del run.commits[2]


def _lose_last_commit(run: Run) -> None:
    del run.commits[5]


def _double_commit(run: Run) -> None:
    run.add(8, "b", "deposit", 3)
    run.change_commit(6, message_id="c-5")
    del run.calls[-1]


def _reorder(run: Run) -> None:
    second, third = run.commits[2], run.commits[3]
    run.commits[2:4] = [third._replace(sequence=3), second._replace(sequence=4)]


def _store_late(run: Run) -> None:
    run.change_call(5, began=0.5, ended=0.9)


def _answer_differently(run: Run) -> None:
    run.add_attempt(1, REPLIED, Wallet(5, 3), 10)


def _refuse_a_repeat(run: Run) -> None:
    run.add_attempt(1, REFUSED, "NOT_FOUND", 10)


def _reply_without_commit(run: Run) -> None:
    attempts = (Attempt(REPLIED, Wallet(1, 1), 9),)
    run.calls.append(Call("c-9", "c", "deposit", 1, 9, 9.5, attempts))


def _answer_nothing(run: Run) -> None:
    attempts = (Attempt(UNKNOWN, "DEADLINE_EXCEEDED", 9),)
    run.calls.append(Call("c-9", "c", "deposit", 1, 9, 9.5, attempts))


def _store_what_was_refused(run: Run) -> None:
    run.change_call(5, attempts=(Attempt(REFUSED, "NOT_FOUND", 6),))


def _store_without_caller(run: Run) -> None:
    del run.calls[4]


def _store_another_amount(run: Run) -> None:
    run.change_call(4, cents=4)


def _store_under_another_key(run: Run) -> None:
    run.change_commit(4, subject_key="d")


def _store_for_another_key(run: Run) -> None:
    run.change_call(4, key="d")


def _skip_a_revision(run: Run) -> None:
    run.change_commit(5, revision=6)


def _fold_wrongly(run: Run) -> None:
    wrong = Change("e-6-0", "deposited", 1, 5)
    run.change_commit(5, changes=(wrong,))


def _store_another_reply(run: Run) -> None:
    run.change_commit(3, result=Wallet(3, 3))


def _show_an_old_state(run: Run) -> None:
    run.states["a"] = 4, Wallet(3, 4)


def _relay_nothing(run: Run) -> None:
    del run.events[3]


def _relay_twice(run: Run) -> None:
    run.events.append(run.events[3])


def _relay_out_of_order(run: Run) -> None:
    run.events[3], run.events[4] = run.events[4], run.events[3]


def _relay_other_data(run: Run) -> None:
    run.change_event(3, balance=99)


def _relay_what_is_not_stored(run: Run) -> None:
    run.events.append(StoredEvent(9, "e-9", "a", 9, 1, 1))


def _lose_from_the_view(run: Run) -> None:
    run.view["a"] = run.view["a"]._replace(events=3)


def _apply_twice(run: Run) -> None:
    run.view["b"] = run.view["b"]._replace(events=4, late=1)


def _make_up_a_key(run: Run) -> None:
    run.view["z"] = Seen(1, 1, 0)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (_lose_commit, "lost"),
        (_lose_last_commit, "reply without commit"),
        (_double_commit, "doubled"),
        (_reorder, "out of order"),
        (_store_late, "out of order"),
        (_answer_differently, "different reply"),
        (_refuse_a_repeat, "different reply"),
        (_reply_without_commit, "reply without commit"),
        (_answer_nothing, "not answered"),
        (_store_what_was_refused, "refused and stored"),
        (_store_without_caller, "unknown command"),
        (_store_another_amount, "unknown command"),
        (_store_under_another_key, "wrong key"),
        (_store_for_another_key, "wrong key"),
        (_skip_a_revision, "gap"),
        (_fold_wrongly, "wrong state"),
        (_store_another_reply, "wrong state"),
        (_show_an_old_state, "wrong state"),
        (_relay_nothing, "event lost"),
        (_relay_twice, "event doubled"),
        (_relay_out_of_order, "event out of order"),
        (_relay_other_data, "unknown event"),
        (_relay_what_is_not_stored, "unknown event"),
        (_lose_from_the_view, "wrong view"),
        (_apply_twice, "wrong view"),
        (_make_up_a_key, "wrong view"),
    ],
)
def test_planted_defect(plant: Callable[[Run], None], kind: str) -> None:
    """A run with one defect is not sound, and the finding says why."""
    run = sound()
    plant(run)
    assert kind in run.kinds()


def test_refused_attempt_beside_a_stored_one() -> None:
    """A request that was lost may be stored after another one was refused."""
    run = sound()
    run.add(8, "c", "deposit", 1)
    attempts = (Attempt(UNKNOWN, "UNAVAILABLE", 8), Attempt(REFUSED, "NOT_FOUND", 8.2))
    run.change_call(7, attempts=attempts)
    assert run.kinds() == set()


def test_stored_messages() -> None:
    """Commits and events are read as they are in the streams."""
    change = b'{"cents":2,"balance":2}'
    commit = commit_of(
        7,
        "wallets.commits.3.wallet.w-1",
        b'{"aggregate":{"type":"wallet","key":"w-1"},"command":"deposit","revision":1,"previous":0,'
        b'"events":[{"id":"e-1","type":"deposited","data":%b}],"result":{"balance":2,"changes":1},'
        b'"metadata":{"messageId":"c-1"}}' % change,
    )
    changes = (Change("e-1", "deposited", 2, 2),)
    assert commit == StoredCommit(*(7, "w-1", "w-1", "deposit", "c-1", 0, 1, changes, Wallet(2, 1)))
    event = event_of(3, b'{"id":"e-1","aggregate":{"key":"w-1"},"revision":1,"data":%b}' % change)
    assert event == StoredEvent(3, "e-1", "w-1", 1, 2, 2)


def test_journals(tmp_path: Any) -> None:
    """Calls are read as callers write them."""
    path = tmp_path / "caller.journal"
    path.write_text(
        '["c-1","w-1","deposit",2,1.5,2.5,[["unknown","UNAVAILABLE",1.5],["replied",[2,1],2]]]\n'
    )
    attempts = (Attempt(UNKNOWN, "UNAVAILABLE", 1.5), Attempt(REPLIED, Wallet(2, 1), 2))
    assert list(read_calls([path])) == [Call("c-1", "w-1", "deposit", 2, 1.5, 2.5, attempts)]
