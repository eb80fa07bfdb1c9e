"""Keeping calls away from handlers that fail: circuit breakers.

The rules are ours, the state is aiobreaker's.
"""

from weenats.circuit_breaker.breakers import CircuitBreakers
from weenats.circuit_breaker.guard import HandlerGuard
from weenats.circuit_breaker.policy import (
    CircuitBreakerPolicy,
    CircuitStateChange,
    IsFailure,
    Listener,
    Scope,
)
from weenats.circuit_breaker.state import CircuitState

__all__ = [
    "CircuitBreakerPolicy",
    "CircuitBreakers",
    "CircuitState",
    "CircuitStateChange",
    "HandlerGuard",
    "IsFailure",
    "Listener",
    "Scope",
]
