"""State changes of a circuit breaker: open, half-open, closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from testkit.manual_breaker import ManualBreaker
from weenats import CircuitState, CircuitStateChange


def test_breaker_opens_at_the_failure_threshold() -> None:
    """The third of three failures opens the breaker; two do not."""
    circuit = ManualBreaker()
    circuit.fail(2)
    assert circuit.state == "closed"
    circuit.fail()
    assert circuit.state == "open"


def test_threshold_of_one_opens_at_the_first_failure() -> None:
    """With failure_threshold=1 the first failure opens the breaker."""
    circuit = ManualBreaker(failure_threshold=1)
    circuit.succeed(10)
    circuit.fail()
    assert circuit.state == "open"


def test_successes_do_not_reset_the_failure_count() -> None:
    """Failures are counted within the window, not consecutively."""
    circuit = ManualBreaker()
    for _ in range(3):
        assert circuit.state == "closed"
        circuit.succeed(50)
        circuit.fail()
    assert circuit.state == "open"


def test_failures_expire_from_the_window() -> None:
    """Each failure counts for monitoring_window seconds."""
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


def test_failures_below_the_rate_never_open_the_breaker() -> None:
    """Two failures per window never reach a threshold of three."""
    circuit = ManualBreaker(monitoring_window=60.0)
    for _ in range(1000):
        circuit.fail()
        circuit.pass_time(30)
    assert circuit.state == "closed"


def test_stored_failures_are_bounded() -> None:
    """No more failures than the threshold are stored."""
    circuit = ManualBreaker(recovery_timeout=0.001)
    circuit.fail(3)
    for _ in range(500):
        circuit.pass_time(0.001)
        circuit.fail()
    assert circuit.failures == 3
    assert circuit.breaker.statistics()["opened"] == 501


def test_open_breaker_rejects_with_retry_after() -> None:
    """UNAVAILABLE has the milliseconds until the next trial, counting down, never 0."""
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


def test_breaker_stays_open_until_the_next_call() -> None:
    """The first call after recovery_timeout makes the breaker half-open."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    circuit.fail(3)
    circuit.pass_time(3000)
    assert circuit.state == "open"
    circuit.breaker.admit()
    assert circuit.state == "half-open"


@pytest.mark.parametrize("trials", [1, 2, 5])
def test_half_open_admits_half_open_max_calls(trials: int) -> None:
    """Of 200 concurrent calls half_open_max_calls are admitted; the others are rejected."""
    circuit = ManualBreaker(half_open_max_calls=trials)
    circuit.fail(3)
    circuit.pass_time(30)
    for _ in range(trials):
        circuit.breaker.admit()
    for _ in range(200 - trials):
        assert circuit.refused().details == {"retryAfter": 1000}
    assert "half-open" in circuit.refused().message


def test_retry_after_is_limited_by_recovery_timeout() -> None:
    """In the half-open state retryAfter is at most recovery_timeout."""
    circuit = ManualBreaker(recovery_timeout=0.25)
    circuit.fail(3)
    circuit.pass_time(0.25)
    circuit.breaker.admit()
    assert circuit.refused().details == {"retryAfter": 250}


def test_breaker_closes_after_all_trials_succeed() -> None:
    """The last successful trial closes the breaker with an empty window."""
    circuit = ManualBreaker(half_open_max_calls=3)
    circuit.fail(3)
    circuit.pass_time(30)
    circuit.succeed(2)
    assert circuit.state == "half-open"
    circuit.succeed()
    assert (circuit.state, circuit.failures) == ("closed", 0)
    circuit.fail(2)
    assert circuit.state == "closed"


def test_failed_trial_reopens_the_breaker() -> None:
    """One failed trial after two successes reopens the breaker and restarts the recovery."""
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


def test_failed_trial_reopens_despite_an_empty_window() -> None:
    """A failed trial reopens the breaker even after all older failures expired."""
    circuit = ManualBreaker(monitoring_window=1.0, recovery_timeout=30.0)
    circuit.fail(3)
    circuit.pass_time(30)
    circuit.fail()
    assert (circuit.state, circuit.failures) == ("open", 1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "released"])
def test_late_result_of_an_earlier_call_is_ignored(outcome: str) -> None:
    """A call admitted while closed has no effect once the state has changed."""
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


def test_late_result_of_an_earlier_trial_is_ignored() -> None:
    """A trial of an earlier half-open phase does not count in a later one."""
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


def test_released_trial_frees_its_slot() -> None:
    """A trial that ends without a result changes no state and lets another call in."""
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


def test_hung_trials_are_replaced_after_recovery_timeout() -> None:
    """After recovery_timeout new trials are admitted, and the hung ones no longer count."""
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


def test_trials_far_apart_add_up() -> None:
    """Successful trials count towards closing, however far apart they are."""
    circuit = ManualBreaker(half_open_max_calls=3, recovery_timeout=30.0)
    circuit.fail(3)
    for _ in range(3):
        circuit.pass_time(1000)
        circuit.succeed()
    assert circuit.state == "closed"


def test_success_and_release_do_not_change_a_closed_breaker() -> None:
    """Successful and released calls leave a closed breaker unchanged."""
    circuit = ManualBreaker()
    circuit.fail(2)
    for _ in range(10):
        circuit.breaker.released(circuit.breaker.admit())
    circuit.succeed(10)
    assert (circuit.state, circuit.failures, circuit.changes) == ("closed", 2, [])


def test_state_changes_are_reported_once() -> None:
    """Each change has the old and new state, the failures, and the next trial."""
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


def test_statistics_have_next_trial_while_open() -> None:
    """The nextTrial is an ISO 8601 time in UTC while open, and absent in other states."""
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


def test_seconds_to_trial_counts_down_while_open() -> None:
    """seconds_to_trial() is the rest of the recovery, and 0 in other states."""
    circuit = ManualBreaker(recovery_timeout=30.0)
    assert circuit.breaker.seconds_to_trial() == 0
    circuit.fail(3)
    circuit.pass_time(12)
    assert circuit.breaker.seconds_to_trial() == 18
    circuit.pass_time(100)
    assert circuit.breaker.seconds_to_trial() == 0
    circuit.breaker.admit()
    assert circuit.breaker.seconds_to_trial() == 0
