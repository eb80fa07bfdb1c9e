"""A cache of verified tokens."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weenats.auth.keys import KeySource
    from weenats.principal import Principal
    from weenats.protocol.timeouts import Clock

__all__ = ["TokenCache"]


class TokenCache:
    """The principals of recently verified tokens (LRU, with a time to live).

    It stores digests of tokens, never the tokens. Entries become invalid when a key is added or
    removed. A cache belongs to one validator, since the result depends on its settings.

    Args:
        size: maximum number of entries; the least recently used is removed first. 0: no cache.
        ttl: time to live of an entry, in seconds.
        max_length: maximum length of cached tokens; longer tokens are never hashed.
        keys: the key source, whose generation entries depend on.
        clock: wall-clock time, seconds since the epoch.
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
        """Return the principal of a cached token, None if the token must be verified.

        An entry is valid from its verification (after the token's `nbf`) until its time to live or
        the token's `exp` ends. Setting the clock back does not prolong it.

        Args:
            token: the token of a request.
        """
        if len(token) > self._max_length:
            return None
        # BLAKE2b, which is faster than SHA-256, and inline: this is most of the cost of a hit.
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
        """Store the principal of a verified token.

        Args:
            token: the token.
            generation: generation of the keys that verified it.
            now: time of verification, seconds since the epoch.
            principal: the principal.
        """
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
