"""The circuit breakers of one running service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from weenats.circuit_breaker.breaker import CircuitBreaker
from weenats.circuit_breaker.guard import HandlerGuard
from weenats.circuit_breaker.policy import EVERY_OPERATION, CircuitBreakerPolicy
from weenats.circuit_breaker.state import CircuitState
from weenats.circuit_breaker.tracing import tell_state
from weenats.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import JsonValue

    from weenats.circuit_breaker.policy import CircuitStateChange
    from weenats.contract import AnyOperation
    from weenats.telemetry.manager import Attributes

_LOG: Final = logging.getLogger("weenats.circuit_breaker")


class CircuitBreakers:
    """One breaker for each operation, or one for all, as the policy says.

    Args:
        policy: the rules; without any there are no breakers.
        operations: what the service offers.
    """

    def __init__(
        self, policy: CircuitBreakerPolicy | None, operations: Iterable[AnyOperation]
    ) -> None:
        self._policy = policy or CircuitBreakerPolicy()
        self._by_operation: dict[AnyOperation, CircuitBreaker] = {}
        self._on_change: Callable[[], None] | None = None
        if policy is not None:
            self._make(operations)

    def guard(self, operation: AnyOperation) -> HandlerGuard | None:
        """Return what stands around the handler of an operation, None when nothing does."""
        breaker = self._by_operation.get(operation)
        if breaker is None:
            return None
        return HandlerGuard(breaker, operation, self._policy.is_failure)

    @property
    def not_closed(self) -> int | None:
        """How many of them are not closed, None when there are none."""
        breakers = {*self._by_operation.values()}
        return sum(not each.is_closed for each in breakers) if breakers else None

    def attributes(self) -> Attributes:
        """Return what is said of them on the spans of most requests."""
        return {semconv.FEATURE_CIRCUIT_BREAKER: "closed"} if self._by_operation else {}

    def data(self, operation: AnyOperation) -> dict[str, Callable[[], JsonValue]]:
        """Return what adds to the `data` of an operation in `$SRV.STATS`."""
        breaker = self._by_operation.get(operation)
        return {} if breaker is None else {"circuitBreaker": breaker.statistics}

    def seconds_to_trial(self) -> float:
        """Return how long nobody is let in by any of them: 0 unless all are open."""
        return min((each.seconds_to_trial() for each in self._by_operation.values()), default=0.0)

    def on_change(self, review: Callable[[], None]) -> None:
        """Call this whenever one of them has changed."""
        self._on_change = review

    def _make(self, operations: Iterable[AnyOperation]) -> None:
        shared: CircuitBreaker | None = None
        for operation in operations:
            if self._policy.scope == "operation":
                breaker = self._new(operation, operation.name)
            else:
                breaker = shared = shared or self._new(operation, EVERY_OPERATION)
            self._by_operation[operation] = breaker

    def _new(self, operation: AnyOperation, name: str) -> CircuitBreaker:
        return CircuitBreaker(self._policy, operation.contract.name, name, self._report)

    def _report(self, change: CircuitStateChange) -> None:
        changed = {"old": change.old.value, "new": change.new.value}
        tell_state(change.new.value, semconv.CIRCUIT_BREAKER_CHANGED, **changed)
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
        if self._on_change is not None:
            self._on_change()
        if self._policy.listener is not None:
            try:
                self._policy.listener(change)
            except Exception:  # noqa: BLE001 - a listener changes nothing
                _LOG.exception("the listener of the circuit breakers failed")
