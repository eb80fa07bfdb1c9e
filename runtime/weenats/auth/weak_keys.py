"""Public keys that look sound and whose signatures can be forged."""

from __future__ import annotations

from typing import Final

_GENERATOR: Final = 65537
_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_POWERS: Final = tuple(
    (prime, frozenset(pow(_GENERATOR, exponent, prime) for exponent in range(prime - 1)))
    for prime in _PRIMES
)
_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})


def is_roca(modulus: int) -> bool:
    """Say whether the RSA key comes from the generator of CVE-2017-15361, so can be factored."""
    return all(modulus % prime in powers for prime, powers in _POWERS)


def is_low_order(ed25519: bytes) -> bool:
    """Say whether the Ed25519 key is one of the few points that make forging trivial.

    The key of all zeros, what memory holds before a key is written there, is one of them.
    """
    y = int.from_bytes(ed25519, "little") & (2**255 - 1)
    return y % _FIELD in _LOW_ORDER
