"""How aggregates are kept in streams."""

from dataclasses import dataclass
from typing import Final

from weenats._internal.validation import check_integer

__all__ = ["AggregateSettings"]
_MAX_CACHE: Final = 10_000_000
_MAX_EVERY: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateSettings:
    """How aggregates are kept in streams.

    Attributes:
        cache_size: how many states an instance remembers for each aggregate.
        snapshot_every: after how many events of a key a snapshot is stored.

    Raises:
        ValueError: a number is out of bounds.
    """

    cache_size: int = 10_000
    snapshot_every: int = 100

    def __post_init__(self) -> None:
        check_integer("cache_size", self.cache_size, 0, _MAX_CACHE)
        check_integer("snapshot_every", self.snapshot_every, 1, _MAX_EVERY)
