"""The state of a circuit, held by aiobreaker.

The one file that knows aiobreaker, and so the one that lives with its lack of types.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import aiobreaker as theirs  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]


class CircuitState(StrEnum):
    """What becomes of calls: they are made, refused, or a few of them are tried."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


_THEIRS: Final = {
    CircuitState.CLOSED: theirs.CircuitBreakerState.CLOSED,
    CircuitState.OPEN: theirs.CircuitBreakerState.OPEN,
    CircuitState.HALF_OPEN: theirs.CircuitBreakerState.HALF_OPEN,
}
_OURS: Final = {their: our for our, their in _THEIRS.items()}


class StateHolder:
    """Holds the state, closed at first; when it changes is decided elsewhere.

    aiobreaker's own calls are not used: they count failures in a row only, close on any exception
    that is no failure, and let everybody in while half-open.

    Attributes:
        is_closed: whether calls are made as always; kept beside the state, since each call asks.
    """

    def __init__(self) -> None:
        self.is_closed = True
        self._storage = theirs.storage.CircuitMemoryStorage(theirs.CircuitBreakerState.CLOSED)
        self._breaker = theirs.CircuitBreaker(state_storage=self._storage)

    @property
    def current(self) -> CircuitState:
        """The state."""
        return _OURS[self._breaker.current_state]

    def change(self, state: CircuitState) -> None:
        """Be in another state.

        As aiobreaker's `open`, `half_open` and `close`, but for the naive wall-clock time that
        `open` would note: Python 3.12 warns of it.
        """
        self.is_closed = state is CircuitState.CLOSED
        self._storage.state = _THEIRS[state]
        self._breaker.state = _THEIRS[state]
