"""The partitions of keys: messages of one key are in one partition, and stay in order."""

from typing import Final

__all__ = ["PARTITIONS", "partition_of"]
PARTITIONS: Final = 16
"""The default number of partitions."""
_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF


def partition_of(key: str, partitions: int = PARTITIONS) -> int:
    """Return the partition of a key: FNV-1a (32 bits) of its UTF-8, as `partition()` of NATS.

    Args:
        key: the key.
        partitions: the number of partitions.
    """
    value = _OFFSET
    for byte in key.encode():
        value = (value ^ byte) * _PRIME & _MASK
    return value % partitions
