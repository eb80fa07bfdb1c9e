"""Where the keys come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt import PyJWK


class UnknownKeyError(Exception):
    """No key has this id and fits this algorithm."""


class KeysUnavailableError(UnknownKeyError):
    """There are no keys to judge a token by; it may be good."""


class KeySource(Protocol):
    """Knows the keys that may have signed a token."""

    @property
    def generation(self) -> int:
        """A number that changes whenever a key comes or goes."""
        ...

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key of this id, or the only one that fits when a token names none.

        Raises:
            UnknownKeyError: there is none.
            KeysUnavailableError: the keys are not known and cannot be had now.
        """
        ...


class StaticKeySource:
    """One key that never changes, whatever id a token names."""

    def __init__(self, keys: Mapping[str, PyJWK]) -> None:
        self.generation: Final = 0
        self._keys = dict(keys)

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key."""
        del kid
        if algorithm not in self._keys:
            raise UnknownKeyError
        return self._keys[algorithm]
