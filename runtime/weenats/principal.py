"""The authenticated caller of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

__all__ = ["Principal"]
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Principal:
    """Who calls, as a validated token says; repr shows nothing of it.

    Attributes:
        id: who it is.
        issuer: who vouches for it.
        scopes: what it may do.
        claims: all that the token says, read-only at every depth: objects are mapping proxies,
            arrays are tuples.
        expires_at: when the token expires, seconds since the epoch.
    """

    id: str
    issuer: str | None = None
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    expires_at: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "claims", _read_only(self.claims))

    def __repr__(self) -> str:
        return "Principal(...)"


def _read_only(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a copy that nobody can change, since all requests of a caller share it."""
    if type(value) in _SCALARS:  # most are, and asking an ABC costs more
        return value
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return MappingProxyType({name: _read_only(member) for name, member in members.items()})
    if isinstance(value, list | tuple):
        return tuple(_read_only(item) for item in cast("list[Any]", value))
    return value
