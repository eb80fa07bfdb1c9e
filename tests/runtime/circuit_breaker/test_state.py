"""The state that aiobreaker stores."""

from __future__ import annotations

import pytest

from weenats import CircuitState
from weenats.circuit_breaker.state import StateHolder


@pytest.mark.parametrize("old", CircuitState)
@pytest.mark.parametrize("new", CircuitState)
def test_state_holder_sets_the_aiobreaker_state(old: CircuitState, new: CircuitState) -> None:
    """After any change holder, breaker and storage agree, without wall-clock times."""
    holder = StateHolder()
    assert holder.is_closed
    holder.change(old)
    holder.change(new)
    assert holder.current is new
    assert holder.is_closed == (new is CircuitState.CLOSED)
    assert holder._breaker.state.state.name == holder._storage.state.name == new.name
    assert holder._storage.opened_at is None
