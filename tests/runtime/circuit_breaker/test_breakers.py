"""The breakers of one service: how many, who is told, what they tell."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from testkit.clocks import FakeClock
from testkit.contexts import make_context
from testkit.manual_breaker import ended
from testkit.probe import FIND, FORGET, GET, RUN
from weenats import CircuitStateChange, UnavailableError
from weenats.circuit_breaker import CircuitBreakerPolicy, CircuitBreakers

OPERATIONS = (RUN, FORGET, GET, FIND)


def breakers(**policy: Any) -> CircuitBreakers:
    """Return breakers that one failure opens."""
    return CircuitBreakers(CircuitBreakerPolicy(failure_threshold=1, **policy), OPERATIONS)


def call(of: CircuitBreakers, operation: Any, error: Exception | None = None) -> None:
    """Call an operation, which ends in an error if there is one."""
    context = make_context(side="server", operation=operation)
    ended(of.interceptor(operation), context, error)


def fail(of: CircuitBreakers, operation: Any) -> None:
    """Let an operation fail."""
    call(of, operation, ValueError())


def states(of: CircuitBreakers) -> list[Any]:
    """Return what each operation tells."""
    told: list[Any] = [
        of.describe(operation).statistics["circuitBreaker"]() for operation in OPERATIONS
    ]
    return [each["state"] for each in told]


def test_each_operation_has_its_own() -> None:
    """One that fails leaves the others alone."""
    made = breakers()
    fail(made, FORGET)
    assert states(made) == ["closed", "open", "closed", "closed"]
    call(made, RUN)
    with pytest.raises(UnavailableError, match="of forget is open"):
        call(made, FORGET)


def test_one_for_the_whole_service() -> None:
    """With scope service one that fails refuses all, and each tells of the same breaker."""
    changes: list[CircuitStateChange] = []
    made = breakers(scope="service", listener=changes.append)
    fail(made, FORGET)
    assert states(made) == ["open"] * 4
    for operation in OPERATIONS:
        with pytest.raises(UnavailableError, match="of probe is open"):
            call(made, operation)
    assert [(change.service, change.operation) for change in changes] == [("probe", "*")]


def test_failures_of_all_operations_add_up_to_one() -> None:
    """With scope service the threshold is the service's."""
    made = CircuitBreakers(CircuitBreakerPolicy(failure_threshold=4, scope="service"), OPERATIONS)
    for operation in OPERATIONS:
        assert states(made) == ["closed"] * 4
        fail(made, operation)
    assert states(made) == ["open"] * 4


def test_what_is_a_failure_is_the_policys_to_say() -> None:
    """Every guard asks its `is_failure`."""
    made = breakers(is_failure=lambda error: not isinstance(error, ValueError))
    for operation in OPERATIONS:
        fail(made, operation)
    assert states(made) == ["closed"] * 4


def test_a_service_without_operations_never_waits() -> None:
    """Nothing is open where nothing is."""
    assert CircuitBreakers(CircuitBreakerPolicy(), ()).seconds_until_ready() == 0


def test_all_open_until_the_first_trial_is_due() -> None:
    """While one lets calls in there is no wait; with all open it is that of the earliest."""
    clock = FakeClock()
    made = breakers(clock=clock, recovery_timeout=30.0)
    for operation in OPERATIONS:
        assert made.seconds_until_ready() == 0
        fail(made, operation)
        clock.now += 1
    assert made.seconds_until_ready() == 26
    clock.now += 26
    assert made.seconds_until_ready() == 0


def test_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A breaker that opens is a warning, what comes after it is information."""
    caplog.set_level(logging.INFO, "weenats.circuit_breaker")
    clock = FakeClock()
    made = breakers(clock=clock)
    fail(made, RUN)
    clock.now += 30
    call(made, RUN)
    prefix = "the circuit breaker of probe, run, is"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{prefix} open: it was closed, failures: 1; next trial in 30 s"),
        ("INFO", f"{prefix} half-open: it was open, failures: 1"),
        ("INFO", f"{prefix} closed: it was half-open, failures: 0"),
    ]


def test_a_listener_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, each time; the breaker is in its new state."""
    clock = FakeClock()

    def listener(change: CircuitStateChange) -> None:
        raise LookupError(change.new)

    made = breakers(clock=clock, listener=listener)
    fail(made, RUN)
    assert states(made)[0] == "open"
    clock.now += 30
    call(made, RUN)
    assert states(made)[0] == "closed"
    assert caplog.text.count("LookupError: ") == 3


def test_whoever_watches_finds_the_new_state() -> None:
    """`on_change` is called after the change, and before the listener, who may raise."""
    told: list[Any] = []
    policy = CircuitBreakerPolicy(
        failure_threshold=1, scope="service", listener=lambda change: told.append(change.new)
    )
    made = CircuitBreakers(policy, OPERATIONS, lambda: told.append(made.seconds_until_ready() > 0))
    fail(made, RUN)
    assert told == [True, "open"]
