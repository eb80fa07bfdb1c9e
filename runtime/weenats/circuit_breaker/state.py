"""The state of a circuit breaker, stored by aiobreaker, which has no type hints."""

from __future__ import annotations

from enum import StrEnum

import aiobreaker as theirs  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["CircuitState", "StateHolder"]


class CircuitState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    """Calls reach the handler."""
    OPEN = "open"
    """Calls fail immediately."""
    HALF_OPEN = "half-open"
    """A few trial calls reach the handler, all others fail immediately."""


class StateHolder:
    """The current state, which is closed at first; `breaker.py` decides when it changes.

    aiobreaker's own decisions are not used: it counts consecutive failures only, closes on any
    exception that is not a failure, and admits all calls while half-open.

    Attributes:
        is_closed: whether the state is closed; stored separately, since every call reads it.
    """

    def __init__(self) -> None:
        self.is_closed = True
        self._storage = theirs.storage.CircuitMemoryStorage(theirs.CircuitBreakerState.CLOSED)
        self._breaker = theirs.CircuitBreaker(state_storage=self._storage)

    @property
    def current(self) -> CircuitState:
        """The current state."""
        return CircuitState[self._breaker.current_state.name]

    def change(self, state: CircuitState) -> None:
        """Change the state.

        This does what `open`, `half_open` and `close` of aiobreaker do, but `open` would also call
        `datetime.utcnow`, which is deprecated since Python 3.12.

        Args:
            state: the new state.
        """
        self.is_closed = state is CircuitState.CLOSED
        self._storage.state = self._breaker.state = theirs.CircuitBreakerState[state.name]
