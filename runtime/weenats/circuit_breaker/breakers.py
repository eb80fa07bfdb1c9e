"""The circuit breakers of one running instance, as a member of its chain."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.circuit_breaker.breaker import CircuitBreaker, note_state
from weenats.circuit_breaker.guard import HandlerGuard
from weenats.circuit_breaker.policy import EVERY_OPERATION
from weenats.circuit_breaker.state import CircuitState
from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from weenats.circuit_breaker.policy import CircuitBreakerPolicy, CircuitStateChange
    from weenats.contract import AnyOperation

__all__ = ["CircuitBreakers", "report_change"]
_LOG: Final = LimitedLogger("weenats.circuit_breaker")


class CircuitBreakers(ServiceFeature):
    """One breaker for each operation, or one for all operations, by the scope of the policy.

    Args:
        policy: the policy of each breaker.
        operations: the operations of the service.
        on_change: called after each change of a breaker's state.
    """

    def __init__(
        self,
        policy: CircuitBreakerPolicy,
        operations: Iterable[AnyOperation],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._policy = policy
        self._on_change = on_change
        self._breakers: dict[AnyOperation, CircuitBreaker] = {}
        by_name: dict[str, CircuitBreaker] = {}
        for operation in operations:
            name = operation.label if policy.scope == "operation" else EVERY_OPERATION
            if name not in by_name:
                by_name[name] = CircuitBreaker(policy, operation.contract.name, name, self._report)
            self._breakers[operation] = by_name[name]

    @override
    def interceptor(self, operation: AnyOperation) -> HandlerGuard:
        return HandlerGuard(self._breakers[operation], operation, self._policy.is_failure)

    @override
    def describe(self, operation: AnyOperation) -> Description:
        policy = self._policy
        value = (
            f"{policy.failure_threshold} failures in {policy.monitoring_window:g} s open it for"
            f" {policy.recovery_timeout:g} s, trial calls: {policy.half_open_max_calls},"
            f" one breaker for each {policy.scope}"
        )
        return Description(
            name="circuit breaker",
            settings=(Setting("circuit breaker", value, "with_circuit_breaker"),),
            span_attributes={semconv.FEATURE_CIRCUIT_BREAKER: CircuitState.CLOSED.value},
            statistics={"circuitBreaker": self._breakers[operation].statistics},
        )

    @override
    def gauges(self) -> Mapping[str, float]:
        breakers = {*self._breakers.values()}
        return {semconv.BREAKERS_OPEN: sum(not each.is_closed for each in breakers)}

    @override
    def seconds_until_ready(self) -> float:
        """Return the seconds until the first breaker admits trial calls, 0 unless all are open."""
        return min((each.seconds_to_trial() for each in self._breakers.values()), default=0.0)

    def _report(self, change: CircuitStateChange) -> None:
        old, new = change.old.value, change.new.value
        note_state(change.new, semconv.CIRCUIT_BREAKER_CHANGED, old=old, new=new)
        report_change(change, self._policy, self._on_change)


def report_change(
    change: CircuitStateChange, policy: CircuitBreakerPolicy, on_change: Callable[[], None]
) -> None:
    """Log a change of a breaker, and notify those who wait for it.

    Args:
        change: the change.
        policy: the policy of the breaker, with its listener.
        on_change: called before the listener.
    """
    is_open = change.new is CircuitState.OPEN
    _LOG.log(
        logging.WARNING if is_open else logging.INFO,
        "the circuit breaker of %s, %s, is %s: it was %s, failures: %d%s",
        change.service,
        change.operation,
        change.new,
        change.old,
        change.failures,
        f"; next trial in {change.next_trial:g} s" if is_open else "",
    )
    on_change()
    if policy.listener is not None:
        try:
            policy.listener(change)
        except BaseException as raised:  # a listener must not affect the breaker
            if ends_task(raised):
                raise
            _LOG.exception("the listener of the circuit breakers failed")
