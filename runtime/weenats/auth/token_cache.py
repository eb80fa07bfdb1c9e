"""Tokens that were verified a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weenats.context import Principal


class TokenCache:
    """Remembers whom verified tokens name, for a short time and up to a number of tokens.

    It belongs to one validator, so to one set of rules. It knows tokens by their digest only. All
    of it is forgotten when the keys change.

    Args:
        size: how many tokens; those not used for longest go first. None are kept when it is 0.
        ttl: how many seconds each is kept at most.
    """

    def __init__(self, size: int, ttl: float) -> None:
        self._size = size if ttl > 0 else 0
        self._ttl = ttl
        self._generation = -1
        self._entries: OrderedDict[bytes, tuple[float, float, Principal]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, generation: int, now: float) -> Principal | None:
        """Return whom the token names, None when it must be verified.

        An entry holds from the moment of its verification, which had the token's nbf behind it, to
        its exp or the end of its time. A clock that was set back leaves no entry standing longer.
        """
        if generation != self._generation:
            self._entries.clear()
            self._generation = generation
            return None
        entry = self._entries.get(digest)
        if entry is None:
            return None
        since, until, principal = entry
        if since <= now < until:
            self._entries.move_to_end(digest)
            return principal
        del self._entries[digest]
        return None

    def put(self, digest: bytes, generation: int, now: float, principal: Principal) -> None:
        """Keep whom a token names that the keys of this generation have just verified."""
        if generation != self._generation:
            self._entries.clear()
            self._generation = generation
        expires_at = principal.expires_at
        until = now + self._ttl if expires_at is None else min(now + self._ttl, expires_at)
        if self._size == 0 or until <= now:
            return
        self._entries[digest] = (now, until, principal)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
