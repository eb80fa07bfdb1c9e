"""The states that an instance remembers: as many and as large as it may."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from weenats.aggregates.cache import Cache, Connections, Snapshot

SIZE = 100


class OneConnection:
    """A connection that never breaks."""

    def number(self) -> int:
        """Return its number."""
        return 1


def make_cache(size: int) -> Cache:
    """Return a cache."""
    return Cache(size, cast("Connections", OneConnection()), lambda key: f"wallets.{key}")


def use(cache: Cache, key: str, size: int = SIZE) -> bool:
    """Use a key as a command does, and return whether its state was remembered."""
    with cache.slot(key) as slot:
        is_known = slot.known is not None
        sequence = 1 if slot.known is None else slot.known.sequence + 1
        slot.learn(Snapshot(b"x" * size, 1, sequence, 0, {}))
        return is_known


def test_least_recently_used_keys_are_forgotten() -> None:
    """The last keys are remembered, as many as the cache may have."""
    cache = make_cache(3)
    for key in "abcad":
        use(cache, key)
    assert [use(cache, key) for key in "dacb"] == [True, True, True, False]
    assert len(cache) == 3


def test_keys_in_use_stay() -> None:
    """A key that a command uses is not forgotten, however many come after it."""
    cache = make_cache(2)
    with ExitStack() as stack:
        slots = [stack.enter_context(cache.slot(key)) for key in "abcd"]
        use(cache, "e")
        assert [cache.slot(key) for key in "abcd"] == slots
    assert len(cache) == 2


def test_large_states_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered has a size at most, also when states grow and shrink."""
    monkeypatch.setattr("weenats.aggregates.cache._MAX_BYTES", 10 * SIZE)
    cache = make_cache(1000)
    for number in range(30):
        use(cache, str(number))
    assert len(cache) == 10
    use(cache, "29", 9 * SIZE)
    assert (len(cache), use(cache, "28", 0)) == (2, True)
    use(cache, "29", 0)
    for number in range(10):
        use(cache, str(number))
    assert len(cache) == 12
    use(cache, "larger than all", 11 * SIZE)
    assert len(cache) == 0
