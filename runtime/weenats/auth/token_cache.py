"""Tokens that were verified a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weenats.auth.key_source import KeySource
    from weenats.principal import Principal
    from weenats.protocol.deadline import Clock


class TokenCache:
    """Remembers whom verified tokens name, for a short time and up to a number of tokens.

    It belongs to one validator, so to one set of rules. It knows tokens by their digest only. What
    other keys verified than those of now is not known.

    Args:
        size: how many tokens; those not used for longest go first. None are kept when it is 0.
        ttl: how many seconds each is kept at most.
        max_length: longer tokens are not looked at.
        keys: says when keys come or go.
        clock: the time, seconds since the epoch.
    """

    def __init__(
        self, *, size: int, ttl: float, max_length: int, keys: KeySource, clock: Clock
    ) -> None:
        self._size = size
        self._ttl = ttl
        self._max_length = max_length
        self._keys = keys
        self._clock = clock
        self._generation = keys.generation
        self._entries: OrderedDict[bytes, tuple[int, float, float, Principal]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str) -> Principal | None:
        """Return whom the token names, None when it must be verified.

        An entry holds from the moment of its verification, which had the token's nbf behind it, to
        its exp or the end of its time. A clock that was set back leaves no entry standing longer.
        """
        if len(token) > self._max_length:
            return None
        # BLAKE2b, not SHA-256, and here, not in a function: this is most of what asking costs.
        digest = blake2b(token.encode("utf-8", "surrogatepass")).digest()
        entry = self._entries.get(digest)
        if entry is None:
            return None
        generation, since, until, principal = entry
        if generation == self._keys.generation and since <= self._clock() < until:
            self._entries.move_to_end(digest)
            return principal
        del self._entries[digest]
        return None

    def put(self, token: str, generation: int, now: float, principal: Principal) -> None:
        """Keep whom a token names that the keys of this generation have just verified."""
        if generation != self._generation:
            self._entries.clear()
            self._generation = generation
        expires_at = principal.expires_at
        until = now + self._ttl if expires_at is None else min(now + self._ttl, expires_at)
        if self._size == 0 or until <= now:
            return
        digest = blake2b(token.encode()).digest()
        self._entries[digest] = (generation, now, until, principal)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
