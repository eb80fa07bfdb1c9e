"""The settings of a service's rate limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from weenats._internal.validation import check_boolean, check_integer, check_plain
from weenats.rate_limit.buckets import KeyedLimiter, Limiter, SharedLimiter

if TYPE_CHECKING:
    from weenats.context import RequestContext
    from weenats.contract import RateLimit

__all__ = ["KeyExtractor", "LimitScope", "MissingPrincipal", "RateLimitSettings"]
KeyExtractor = Callable[["RequestContext"], str | None]
"""Returns the key of the bucket that a request takes from, None when it has no key."""
LimitScope = Literal["instance", "service"]
"""Whether a limit counts the requests of one instance, or of all instances together."""
MissingPrincipal = Literal["shared", "reject"]
"""Requests without a key share one bucket, or are rejected as UNAUTHENTICATED."""

_MAX_CLIENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """The settings of `with_rate_limit`.

    Attributes:
        limit: the limit of the whole service; None leaves the limits of the contract only.
        per_client: whether each principal has a bucket of its own.
        key_extractor: returns the keys of buckets in place of the principal.
        on_missing_principal: what happens to requests without a key.
        max_clients: how many buckets there are at most.
        scope: whether limits count for each instance or for all together.

    Raises:
        ValueError: a value is out of bounds, or values contradict each other.
        TypeError: `key_extractor` is not a plain function, or `per_client` is not True or False.
    """

    limit: RateLimit | None = None
    per_client: bool = False
    key_extractor: KeyExtractor | None = None
    on_missing_principal: MissingPrincipal = "shared"
    max_clients: int = 10_000
    scope: LimitScope = "instance"

    def __post_init__(self) -> None:
        check_boolean("per_client", self.per_client)
        if self.key_extractor is not None:
            check_plain(self.key_extractor, "key_extractor")
        if self.on_missing_principal not in ("shared", "reject"):
            raise ValueError(
                "on_missing_principal must be 'shared' or 'reject',"
                f" not {self.on_missing_principal!r}"
            )
        if self.scope not in ("instance", "service"):
            raise ValueError(f"scope must be 'instance' or 'service', not {self.scope!r}")
        if self.on_missing_principal == "reject" and not self.is_keyed:
            raise ValueError(
                "on_missing_principal='reject' requires per_client=True or a key_extractor"
            )
        check_integer("max_clients", self.max_clients, 1, _MAX_CLIENTS)

    @property
    def is_keyed(self) -> bool:
        """Whether callers have buckets of their own."""
        return self.per_client or self.key_extractor is not None

    @property
    def identity(self) -> str:
        """What the keys of buckets are: "all", "principal" or "key"."""
        if self.key_extractor is not None:
            return "key"
        return "principal" if self.per_client else "all"

    def limiter(self, limit: RateLimit) -> Limiter:
        """Return new buckets of a `limit`, with the keys of these settings."""
        return KeyedLimiter(limit, self.max_clients) if self.is_keyed else SharedLimiter(limit)
