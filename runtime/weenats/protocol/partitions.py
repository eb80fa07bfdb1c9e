"""The partition of a key: events of one key are in one partition, which keeps their order."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["partition_of"]
_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF


@lru_cache(maxsize=4096)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: FNV-1a (32 bits), as the NATS server computes `partition()`.

    Args:
        key: the key as on the wire; "" for what has none, which is in partition 0.
        partitions: how many there are.
    """
    if not key:
        return 0
    value = _OFFSET
    for byte in key.encode("utf-8", "surrogateescape"):
        value = ((value ^ byte) * _PRIME) & _MASK
    return value % partitions
