"""Checks of the claims of a token whose signature is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from weenats.auth.config import MAX_TEXT, in_seconds
from weenats.auth.validator import InvalidTokenError
from weenats.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weenats.auth.config import JwtAuthConfig

__all__ = ["ClaimRules"]

_MAX_DATE: Final = 253_402_300_799  # the last second of the year 9999, seconds since the epoch


class ClaimRules:
    """The checks that PyJWT does not make: times by the given clock, types of claims, scopes.

    Args:
        config: the settings to check against.
    """

    def __init__(self, config: JwtAuthConfig) -> None:
        lifetime = config.max_lifetime
        self._leeway = in_seconds(config.leeway)
        self._max_lifetime = None if lifetime is None else in_seconds(lifetime)
        self._principal_claim = config.principal_claim

    def principal(self, claims: Mapping[str, Any], now: float) -> Principal:
        """Return the principal of the claims.

        Args:
            claims: the verified claims.
            now: the current time, seconds since the epoch.

        Raises:
            InvalidTokenError: a claim is malformed, or the token is not valid at this time.
        """
        expires_at = self._check_times(claims, now)
        identity = _text(claims, self._principal_claim)
        if identity is None:
            raise InvalidTokenError("the principal claim is missing")
        _text(claims, "sub")
        return Principal(
            id=identity,
            issuer=_text(claims, "iss"),
            scopes=_scopes(claims),
            claims=claims,
            expires_at=expires_at,
        )

    def _check_times(self, claims: Mapping[str, Any], now: float) -> float | None:
        expires_at, not_before, issued_at = (_date(claims, name) for name in ("exp", "nbf", "iat"))
        if expires_at is not None and now >= expires_at + self._leeway:
            raise InvalidTokenError("the token has expired")
        if not_before is not None and now < not_before - self._leeway:
            raise InvalidTokenError("the token is not valid yet (nbf)")
        if issued_at is not None and now < issued_at - self._leeway:
            raise InvalidTokenError("the token was issued in the future (iat)")
        if expires_at is not None and self._max_lifetime is not None:
            lifetime = expires_at - (now if issued_at is None else issued_at)
            if lifetime > self._max_lifetime + self._leeway:
                raise InvalidTokenError("the lifetime exceeds max_lifetime")
        return expires_at


def _date(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not 0 <= value <= _MAX_DATE:  # refuses NaN too
        raise InvalidTokenError(f"{name} is not a valid time")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise InvalidTokenError(f"{name} is not a string of 1 to {MAX_TEXT} printable characters")
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes of `scope` (RFC 8693) and of `scp`, which several issuers write instead."""
    return frozenset([*_scope_list(claims, "scope"), *_scope_list(claims, "scp")]) - {""}


def _scope_list(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the scopes of a string, separated by single spaces, or of an array; null has none."""
    value = claims.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return value.split(" ")
    if isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, str) for item in items):
            return cast("list[str]", items)
    raise InvalidTokenError(f"{name} is not a string or an array of strings")
