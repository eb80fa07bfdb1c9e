# A stub: `weenats generate` replaces it until you change it. Checksum: 8d86ccdfa9e2ef9b
"""The upcasters of accounts: they make the next version of the data of stored events.

They are pure: the same data must become the same, whenever it is read.
"""

from pydantic import JsonValue


def deposited_from_1(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return version 2 of the data of deposited.

    Args:
        data: Version 1, as `DepositedV1` has it.
    """
    raise NotImplementedError
