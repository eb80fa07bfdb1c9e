"""The circuit breakers of one service: their scope, listeners and statistics."""

from __future__ import annotations

import asyncio
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
    """Return breakers that open at the first failure."""
    return CircuitBreakers(CircuitBreakerPolicy(failure_threshold=1, **policy), OPERATIONS)


def call(of: CircuitBreakers, operation: Any, error: Exception | None = None) -> None:
    """Call an operation, which ends in an error if there is one."""
    context = make_context(side="server", operation=operation)
    ended(of.interceptor(operation), context, error)


def fail_operation(of: CircuitBreakers, operation: Any) -> None:
    """Record a failure of an operation."""
    call(of, operation, OSError())


def states(of: CircuitBreakers) -> list[Any]:
    """Return the breaker state of each operation."""
    told: list[Any] = [
        of.describe(operation).statistics["circuitBreaker"]() for operation in OPERATIONS
    ]
    return [each["state"] for each in told]


def test_each_operation_has_its_own_breaker() -> None:
    """A failing operation does not affect the others."""
    made = breakers()
    fail_operation(made, FORGET)
    assert states(made) == ["closed", "open", "closed", "closed"]
    call(made, RUN)
    with pytest.raises(UnavailableError, match="of forget is open"):
        call(made, FORGET)


def test_scope_service_shares_one_breaker() -> None:
    """With scope="service" a failure rejects calls of all operations."""
    changes: list[CircuitStateChange] = []
    made = breakers(scope="service", listener=changes.append)
    fail_operation(made, FORGET)
    assert states(made) == ["open"] * 4
    for operation in OPERATIONS:
        with pytest.raises(UnavailableError, match="of probe is open"):
            call(made, operation)
    assert [(change.service, change.operation) for change in changes] == [("probe", "*")]


def test_scope_service_counts_failures_of_all_operations() -> None:
    """With scope="service" failures of all operations count towards one threshold."""
    made = CircuitBreakers(CircuitBreakerPolicy(failure_threshold=4, scope="service"), OPERATIONS)
    for operation in OPERATIONS:
        assert states(made) == ["closed"] * 4
        fail_operation(made, operation)
    assert states(made) == ["open"] * 4


def test_is_failure_decides_what_counts() -> None:
    """Every guard uses the is_failure function of the policy."""
    made = breakers(is_failure=lambda error: not isinstance(error, OSError))
    for operation in OPERATIONS:
        fail_operation(made, operation)
    assert states(made) == ["closed"] * 4


def test_service_without_operations_has_no_wait() -> None:
    """seconds_to_trial() is 0 for a service without operations."""
    assert CircuitBreakers(CircuitBreakerPolicy(), ()).seconds_until_ready() == 0


def test_seconds_to_trial_is_that_of_the_earliest_trial() -> None:
    """The wait is 0 while any breaker admits calls, otherwise until the earliest trial."""
    clock = FakeClock()
    made = breakers(clock=clock, recovery_timeout=30.0)
    for operation in OPERATIONS:
        assert made.seconds_until_ready() == 0
        fail_operation(made, operation)
        clock.now += 1
    assert made.seconds_until_ready() == 26
    clock.now += 26
    assert made.seconds_until_ready() == 0


def test_state_changes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Opening is logged as a warning, other changes as information."""
    caplog.set_level(logging.INFO, "weenats.circuit_breaker")
    clock = FakeClock()
    made = breakers(clock=clock)
    fail_operation(made, RUN)
    clock.now += 30
    call(made, RUN)
    prefix = "the circuit breaker of probe, run, is"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"{prefix} open: it was closed, failures: 1; next trial in 30 s"),
        ("INFO", f"{prefix} half-open: it was open, failures: 1"),
        ("INFO", f"{prefix} closed: it was half-open, failures: 0"),
    ]


@pytest.mark.parametrize("kind", [LookupError, asyncio.CancelledError, GeneratorExit])
def test_failing_listener_does_not_affect_the_breaker(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Each exception of the listener is logged, and the state still changes."""
    clock = FakeClock()

    def listener(change: CircuitStateChange) -> None:
        raise kind(change.new)

    made = breakers(clock=clock, listener=listener)
    fail_operation(made, RUN)
    assert states(made)[0] == "open"
    clock.now += 30
    call(made, RUN)
    assert states(made)[0] == "closed"
    assert caplog.text.count(f"{kind.__name__}: ") == 3


def test_on_change_is_called_after_the_change() -> None:
    """on_change callbacks run after the state change and before the listener."""
    told: list[Any] = []
    policy = CircuitBreakerPolicy(
        failure_threshold=1, scope="service", listener=lambda change: told.append(change.new)
    )
    made = CircuitBreakers(policy, OPERATIONS, lambda: told.append(made.seconds_until_ready() > 0))
    fail_operation(made, RUN)
    assert told == [True, "open"]
