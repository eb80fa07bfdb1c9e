"""When a breaker opens, what it tries, when it closes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from testkit.manual_breaker import ManualBreaker
from weenats import CircuitState, CircuitStateChange


def test_the_threshold_opens_it() -> None:
    """The third of three failures opens it; two do not."""
    circuit = ManualBreaker()
    circuit.fail(2)
    assert circuit.state == "closed"
    circuit.fail()
    assert circuit.state == "open"


def test_one_failure_may_be_enough() -> None:
    """A threshold of one opens at the first failure."""
    circuit = ManualBreaker(failure_threshold=1)
    circuit.succeed(10)
    circuit.fail()
    assert circuit.state == "open"


def test_successes_in_between_forgive_nothing() -> None:
    """Failures are counted in the window, not in a row."""
    circuit = ManualBreaker()
    for _ in range(3):
        assert circuit.state == "closed"
        circuit.succeed(50)
        circuit.fail()
    assert circuit.state == "open"


def test_failures_leave_the_window_one_by_one() -> None:
    """A failure counts for 60 seconds; those that are younger count on."""
    circuit = ManualBreaker(monitoring_window=60.0)
    circuit.fail()
    circuit.pass_time(30)
    circuit.fail()
    circuit.pass_time(29.999)
    assert circuit.failures == 2
    circuit.pass_time(0.001)
    assert circuit.failures == 1
    circuit.fail()
    assert circuit.state == "closed"
    circuit.fail()
    assert circuit.state == "open"


def test_slow_failures_never_open_it() -> None:
    """Two in every window, for ever, are fewer than three."""
    circuit = ManualBreaker(monitoring_window=60.0)
    for _ in range(1000):
        circuit.fail()
        circuit.pass_time(30)
    assert circuit.state == "closed"


def test_many_failures_take_no_memory() -> None:
    """However many trials fail, no more failures are kept than the threshold."""
    circuit = ManualBreaker(recovery_timeout=0.001)
    circuit.fail(3)
    for _ in range(500):
        circuit.pass_time(0.001)
        circuit.fail()
    assert circuit.failures == 3
    assert circuit.breaker.statistics()["opened"] == 501


def test_open_refuses_at_once_and_says_when() -> None:
    """UNAVAILABLE with the milliseconds until the next trial, counting down, never 0."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    circuit.fail(3)
    error = circuit.refused()
    assert error.details == {"retryAfter": 30_000}
    assert error.message == "the circuit breaker of run is open"
    circuit.pass_time(29.5)
    assert circuit.refused().retry_after == 0.5
    circuit.pass_time(0.4999)
    assert circuit.refused().details == {"retryAfter": 1}
    assert circuit.breaker.statistics()["refused"] == 3


def test_open_stays_open_until_somebody_calls() -> None:
    """Nothing changes by itself: the first call after the recovery is the trial."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    circuit.fail(3)
    circuit.pass_time(3000)
    assert circuit.state == "open"
    circuit.breaker.admit()
    assert circuit.state == "half-open"


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_half_open_admits_exactly_so_many(trials: int) -> None:
    """Of 200 who come at once, `half_open_max_calls` are let in; the others may soon ask again."""
    circuit = ManualBreaker(half_open_max_calls=trials)
    circuit.fail(3)
    circuit.pass_time(30)
    for _ in range(trials):
        circuit.breaker.admit()
    for _ in range(200 - trials):
        assert circuit.refused().details == {"retryAfter": 1000}
    assert "half-open" in circuit.refused().message


def test_who_waits_for_trials_waits_no_longer_than_a_trial_may_hang() -> None:
    """With a short recovery the hint is as short."""
    circuit = ManualBreaker(recovery_timeout=0.25)
    circuit.fail(3)
    circuit.pass_time(0.25)
    circuit.breaker.admit()
    assert circuit.refused().details == {"retryAfter": 250}


def test_all_trials_have_to_succeed() -> None:
    """The last of three successes closes it, with an empty window."""
    circuit = ManualBreaker(half_open_max_calls=3)
    circuit.fail(3)
    circuit.pass_time(30)
    circuit.succeed(2)
    assert circuit.state == "half-open"
    circuit.succeed()
    assert (circuit.state, circuit.failures) == ("closed", 0)
    circuit.fail(2)
    assert circuit.state == "closed"


def test_one_trial_that_fails_opens_it_again() -> None:
    """Two successes do not make up for it; the recovery begins anew."""
    circuit = ManualBreaker(half_open_max_calls=3)
    circuit.fail(3)
    circuit.pass_time(30)
    circuit.succeed(2)
    circuit.fail()
    assert circuit.state == "open"
    circuit.pass_time(29)
    assert circuit.refused().retry_after == 1
    circuit.pass_time(1)
    circuit.succeed(3)
    assert circuit.state == "closed"


def test_one_failing_trial_is_enough_though_the_window_is_empty() -> None:
    """A failure at the end of a long recovery opens it, however old the others are."""
    circuit = ManualBreaker(monitoring_window=1.0, recovery_timeout=30.0)
    circuit.fail(3)
    circuit.pass_time(30)
    circuit.fail()
    assert (circuit.state, circuit.failures) == ("open", 1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "released"])
def test_a_call_of_before_changes_nothing(outcome: str) -> None:
    """A call begun while closed that ends while open, half-open or closed again is no news."""
    circuit = ManualBreaker()
    late = [circuit.breaker.admit() for _ in range(9)]
    end = getattr(circuit.breaker, outcome)
    circuit.fail(3)
    circuit.pass_time(20)
    for call in late[:3]:
        end(call)
    assert (circuit.state, circuit.failures) == ("open", 3)
    assert circuit.refused().retry_after == 10
    circuit.pass_time(10)
    trial = circuit.breaker.admit()
    for call in late[3:6]:
        end(call)
    assert circuit.state == "half-open"
    circuit.refused()
    circuit.breaker.succeeded(trial)
    for call in late[6:]:
        end(call)
    assert (circuit.state, circuit.failures) == ("closed", 0)


def test_a_trial_of_before_changes_nothing() -> None:
    """Of two trials one opens it again; what the other ends in does not close the next ones."""
    circuit = ManualBreaker(half_open_max_calls=2)
    circuit.fail(3)
    circuit.pass_time(30)
    slow, bad = circuit.breaker.admit(), circuit.breaker.admit()
    circuit.breaker.failed(bad)
    circuit.pass_time(30)
    circuit.succeed()
    circuit.breaker.succeeded(slow)
    assert circuit.state == "half-open"
    circuit.succeed()
    assert circuit.state == "closed"


def test_a_trial_without_a_verdict_gives_its_place_back() -> None:
    """The next caller is tried in its place; neither does it close nor open anything."""
    circuit = ManualBreaker(half_open_max_calls=2)
    circuit.fail(3)
    circuit.pass_time(30)
    cancelled, running = circuit.breaker.admit(), circuit.breaker.admit()
    circuit.refused()
    circuit.breaker.released(cancelled)
    assert circuit.state == "half-open"
    again = circuit.breaker.admit()
    circuit.refused()
    circuit.breaker.succeeded(running)
    assert circuit.state == "half-open"
    circuit.breaker.succeeded(again)
    assert circuit.state == "closed"


def test_trials_that_never_end_make_room_in_the_end() -> None:
    """After the recovery timeout as many others are tried; those that hung are given up."""
    circuit = ManualBreaker(half_open_max_calls=2, recovery_timeout=30.0)
    circuit.fail(3)
    circuit.pass_time(30)
    hung = [circuit.breaker.admit() for _ in range(2)]
    circuit.pass_time(29.999)
    circuit.refused()
    circuit.pass_time(0.001)
    first, second = circuit.breaker.admit(), circuit.breaker.admit()
    circuit.refused()
    for call in hung:
        circuit.breaker.failed(call)
        circuit.breaker.released(call)
    assert circuit.state == "half-open"
    circuit.refused()
    circuit.breaker.succeeded(first)
    circuit.breaker.succeeded(second)
    assert circuit.state == "closed"
    assert [change.new for change in circuit.changes] == ["open", "half-open", "closed"]


def test_callers_that_come_slowly_are_trials_too() -> None:
    """Trials far apart add up: a place that is free is no trial that hangs."""
    circuit = ManualBreaker(half_open_max_calls=3, recovery_timeout=30.0)
    circuit.fail(3)
    for _ in range(3):
        circuit.pass_time(1000)
        circuit.succeed()
    assert circuit.state == "closed"


def test_closed_releases_and_succeeds_without_a_trace() -> None:
    """Calls that end well or without a verdict leave a closed breaker as it was."""
    circuit = ManualBreaker()
    circuit.fail(2)
    for _ in range(10):
        circuit.breaker.released(circuit.breaker.admit())
    circuit.succeed(10)
    assert (circuit.state, circuit.failures, circuit.changes) == ("closed", 2, [])


def test_every_change_is_reported_once() -> None:
    """Old and new state, the failures of the window, and when the next trial is."""
    circuit = ManualBreaker(recovery_timeout=30.0)

    def change(old: str, new: str, failures: int, next_trial: float | None) -> CircuitStateChange:
        return CircuitStateChange(
            service="probe",
            operation="run",
            old=CircuitState(old),
            new=CircuitState(new),
            failures=failures,
            next_trial=next_trial,
        )

    circuit.fail(3)
    circuit.pass_time(30)
    circuit.fail()
    circuit.pass_time(30)
    circuit.succeed()
    assert circuit.changes == [
        change("closed", "open", 3, 30.0),
        change("open", "half-open", 3, None),
        change("half-open", "open", 3, 30.0),
        change("open", "half-open", 1, None),
        change("half-open", "closed", 0, None),
    ]


def test_statistics_tell_the_next_trial_while_open() -> None:
    """ISO 8601 in UTC with ms and Z, by the wall clock; in other states there is none."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    assert circuit.breaker.statistics() == {
        "state": "closed",
        "failures": 0,
        "refused": 0,
        "opened": 0,
    }
    circuit.fail(3)
    circuit.pass_time(10)
    before = datetime.now(UTC)
    told = circuit.breaker.statistics().pop("nextTrial")
    assert isinstance(told, str)
    assert told.endswith("Z")
    due = datetime.fromisoformat(told)
    margin = timedelta(milliseconds=1)
    assert before - margin <= due - timedelta(seconds=20) <= datetime.now(UTC)
    circuit.pass_time(20)
    circuit.breaker.admit()
    assert "nextTrial" not in circuit.breaker.statistics()


def test_it_lets_in_when_open_and_due_and_half_open() -> None:
    """`seconds_to_trial` is what is left of the recovery, and 0 in any other state."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    assert circuit.breaker.seconds_to_trial() == 0
    circuit.fail(3)
    circuit.pass_time(12)
    assert circuit.breaker.seconds_to_trial() == 18
    circuit.pass_time(100)
    assert circuit.breaker.seconds_to_trial() == 0
    circuit.breaker.admit()
    assert circuit.breaker.seconds_to_trial() == 0
