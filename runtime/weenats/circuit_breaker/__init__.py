"""Circuit breakers: calls to handlers that fail are refused until a few trial calls succeed.

The policy is implemented here, the state is held by aiobreaker.
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
