"""How aggregates are kept in streams."""

from dataclasses import dataclass
from typing import Final

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
        _check("cache_size", self.cache_size, 0, _MAX_CACHE)
        _check("snapshot_every", self.snapshot_every, 1, _MAX_EVERY)


def _check(name: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is from {least} to {most}, not {value!r}")
