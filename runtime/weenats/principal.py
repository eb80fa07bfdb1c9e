"""The authenticated caller of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any, Final, cast

__all__ = ["Principal", "read_only"]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Principal:
    """The authenticated caller of a request, from a validated token; `repr` shows no attributes.

    Attributes:
        id: id of the caller, by default the claim `sub`.
        issuer: issuer of the token, the claim `iss`.
        scopes: scopes that the token grants.
        claims: all claims of the token, read-only: objects are mapping proxies, arrays are tuples.
        expires_at: expiry of the token in seconds since the epoch, None if it does not expire.

    Raises:
        ValueError: the claims contain themselves, or are nested too deeply.
    """

    id: str
    issuer: str | None = None
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)
    expires_at: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "claims", read_only(self.claims))

    def __repr__(self) -> str:
        return "Principal(...)"

    def __reduce__(self) -> tuple[Any, ...]:
        # Mapping proxies cannot be pickled, and the constructor makes them anew.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return partial(type(self), **{**values, "claims": _plain(self.claims)}), ()


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value of which `read_only` makes the given one."""
    if isinstance(value, MappingProxyType):
        members = cast("MappingProxyType[str, Any]", value)
        return {name: _plain(member) for name, member in members.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in cast("Sequence[Any]", value))
    return value


def read_only(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a read-only copy of a JSON value that several requests share.

    Args:
        value: the value.

    Returns:
        The copy: objects are mapping proxies, arrays are tuples.

    Raises:
        ValueError: the value contains itself, or is nested too deeply.
    """
    try:
        return _read_only(value)
    except RecursionError:
        raise ValueError("a value contains itself, or is nested too deeply") from None


def _read_only(value: Any) -> Any:  # noqa: ANN401 - JSON
    if type(value) in _SCALARS:  # the most frequent case, and cheaper than checking ABCs
        return value
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return MappingProxyType({name: _read_only(member) for name, member in members.items()})
    if isinstance(value, list | tuple):
        return tuple(_read_only(item) for item in cast("list[Any]", value))
    return value
