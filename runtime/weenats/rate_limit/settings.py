"""How many requests a service lets through, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Final, Literal

from weenats.rate_limit.buckets import KeyedLimiter, Limiter, SharedLimiter

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.contract import RateLimit

KeyExtractor = Callable[["RequestContext"], str | None]
"""Returns whose bucket a request takes from; None when it cannot say."""
MissingPrincipal = Literal["shared", "reject"]

_MAX_CLIENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """What `with_rate_limit` was told.

    Raises:
        ValueError: a value is out of bounds, or they do not go together.
    """

    limit: RateLimit
    per_client: bool = False
    key_extractor: KeyExtractor | None = None
    on_missing_principal: MissingPrincipal = "shared"
    max_clients: int = 10_000

    def __post_init__(self) -> None:
        extract: object = self.key_extractor
        if extract is not None and (not callable(extract) or iscoroutinefunction(extract)):
            raise TypeError("key_extractor is a callable, not async, that takes a RequestContext")
        if self.on_missing_principal not in ("shared", "reject"):
            raise ValueError(
                f"on_missing_principal is shared or reject, not {self.on_missing_principal!r}"
            )
        if self.on_missing_principal == "reject" and not self.is_keyed:
            raise ValueError("a limit for all callers rejects no strangers: add per_client=True")
        if type(self.max_clients) is not int or not 1 <= self.max_clients <= _MAX_CLIENTS:
            raise ValueError(f"max_clients is from 1 to {_MAX_CLIENTS}, not {self.max_clients!r}")

    @property
    def is_keyed(self) -> bool:
        """Say whether callers have buckets of their own."""
        return self.per_client or self.key_extractor is not None

    @property
    def identity(self) -> str:
        """Say by what callers are told apart."""
        if self.key_extractor is not None:
            return "key"
        return "principal" if self.per_client else "all"

    def limiter(self, limit: RateLimit) -> Limiter:
        """Return new buckets of a limit, by the keys of this one."""
        return KeyedLimiter(limit, self.max_clients) if self.is_keyed else SharedLimiter(limit)
