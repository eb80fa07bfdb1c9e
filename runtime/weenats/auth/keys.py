"""Verification keys: key sources, parsing, and checks that refuse weak keys.

Error messages and reprs show nothing of a key.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, Protocol, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from weenats.auth.json_reader import read_object

__all__ = [
    "SYMMETRIC",
    "Algorithm",
    "KeyRefusedError",
    "KeySource",
    "KeysUnavailableError",
    "StaticKeySource",
    "UnknownKeyError",
    "jwk_keys",
    "public_keys",
    "secret_keys",
]

_EllipticCurve = Literal["EdDSA", "ES256", "ES384", "ES512"]
_Hmac = Literal["HS256", "HS384", "HS512"]
_Rsa = Literal["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
Algorithm = Literal[_EllipticCurve, _Hmac, _Rsa]
"""The supported signature algorithms (RFC 7518, RFC 8037); EdDSA is Ed25519."""

SYMMETRIC: Final = frozenset(get_args(_Hmac))
"""The HMAC algorithms, which use a shared secret."""

_MIN_SECRET: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes of the shortest secret: the length of the hash (RFC 7518, section 3.2)."""
_ALGORITHMS_OF: Final[dict[tuple[str | None, str | None], set[str]]] = {
    ("OKP", "Ed25519"): {"EdDSA"},
    ("EC", "P-256"): {"ES256"},
    ("EC", "P-384"): {"ES384"},
    ("EC", "P-521"): {"ES512"},
    ("RSA", None): {*get_args(_Rsa)},
}
"""The algorithms of a JWK, by its `kty` and `crv`."""
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""The members that only private and secret keys have (RFC 7518, section 6)."""
_PEM: Final = re.compile(
    rb"\s*-----BEGIN ((?:RSA )?PUBLIC KEY)-----[^-]+-----END \1-----\s*", re.ASCII
)
_ASYMMETRIC_TEXT: Final = (b"-----BEGIN", b"---- BEGIN", b"ssh-", b"ecdsa-sha2-", b"{")

_ROCA_GENERATOR: Final = 65537
_ROCA_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA_RESIDUES: Final = tuple(
    (prime, frozenset(pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime - 1)))
    for prime in _ROCA_PRIMES
)
_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y coordinates of the Ed25519 points whose order is at most 8."""


class KeyRefusedError(ValueError):
    """A key that is malformed, weak or unsuitable; the message shows nothing of the key."""


class UnknownKeyError(Exception):
    """No key has the requested id and fits the algorithm."""


class KeysUnavailableError(UnknownKeyError):
    """No keys are available now, so the token can be neither accepted nor rejected."""


class KeySource(Protocol):
    """A source of the keys that verify tokens."""

    @property
    def generation(self) -> int:
        """A number that changes whenever a key is added or removed."""
        ...

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return a verification key.

        Args:
            kid: the `kid` header of the token. None if the token has none; then the only key that
                fits the algorithm is returned.
            algorithm: the `alg` header of the token.

        Raises:
            UnknownKeyError: no key, or more than one, is suitable.
            KeysUnavailableError: no keys are available now.
        """
        ...


class StaticKeySource:
    """A key source with one fixed key, which verifies tokens with any `kid`.

    Args:
        keys: the key, once for each algorithm that it may be used with.
    """

    def __init__(self, keys: Mapping[str, PyJWK]) -> None:
        self.generation: Final = 0
        """See `KeySource`."""
        self._keys = dict(keys)

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key.

        Args:
            kid: ignored.
            algorithm: the `alg` header of the token.

        Raises:
            UnknownKeyError: the key is not for this algorithm.
        """
        del kid
        if algorithm not in self._keys:
            raise UnknownKeyError
        return self._keys[algorithm]


def secret_keys(secret: bytes, algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Return the keys of a shared secret by algorithm.

    Args:
        secret: the shared secret.
        algorithms: HMAC algorithms.

    Raises:
        KeyRefusedError: an algorithm is not an HMAC, or the secret is shorter than its hash or
            looks like a public key.
    """
    for algorithm in algorithms:
        if algorithm not in _MIN_SECRET:
            raise KeyRefusedError(f"a secret requires an HMAC algorithm, not {algorithm!r}")
        if len(secret) < _MIN_SECRET[algorithm]:
            least = _MIN_SECRET[algorithm]
            raise KeyRefusedError(f"{algorithm} requires a secret of at least {least} bytes")
    if secret.lstrip().startswith(_ASYMMETRIC_TEXT) or _is_der(secret):
        raise KeyRefusedError("a secret must be random bytes, not a key of another algorithm")
    jwk = {"kty": "oct", "k": urlsafe_b64encode(secret).rstrip(b"=").decode()}
    return {algorithm: PyJWK(jwk, algorithm) for algorithm in algorithms}


def public_keys(
    key: str | bytes | Mapping[str, Any], algorithms: Collection[str]
) -> dict[str, PyJWK]:
    """Parse a public key and return it by algorithm.

    Args:
        key: one PEM block or one JWK (JSON text or mapping).
        algorithms: the algorithms that the key must fit, all of them.

    Raises:
        KeyRefusedError: the key is malformed, not public or weak, or does not fit an algorithm.
    """
    keys = jwk_keys(key if isinstance(key, Mapping) else _read_key(key), algorithms)
    for algorithm in algorithms:
        if algorithm not in keys:
            raise KeyRefusedError(f"the key does not fit {algorithm}")
    return keys


def jwk_keys(jwk: Mapping[str, Any], algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Parse a JWK (RFC 7517) and return it by algorithm, for those algorithms that it fits.

    Args:
        jwk: the members of the JWK.
        algorithms: the accepted algorithms.

    Raises:
        KeyRefusedError: the key is malformed, weak or not a public signing key, or fits none of
            the algorithms.
    """
    # Some issuers write null for each member that a key does not have.
    jwk = {name: value for name, value in jwk.items() if value is not None}
    fitting = _ALGORITHMS_OF.get((_text(jwk, "kty"), _text(jwk, "crv")))
    if fitting is None:
        raise KeyRefusedError("only RSA, P-256, P-384, P-521 and Ed25519 keys are supported")
    _check_purpose(jwk)
    if "alg" in jwk:
        fitting = fitting & {_text(jwk, "alg")}
    usable = [algorithm for algorithm in algorithms if algorithm in fitting]
    if not usable:
        raise KeyRefusedError("the key fits none of the algorithms")
    keys = {algorithm: _parse(jwk, algorithm) for algorithm in usable}
    _check_strength(keys[usable[0]].key)
    return keys


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeyRefusedError("a public key is required, not a private key")
    if jwk.get("use", "sig") != "sig":
        raise KeyRefusedError("`use` of the key is not `sig`")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefusedError("`key_ops` of the key do not contain `verify`")


def _parse(jwk: Mapping[str, Any], algorithm: str) -> PyJWK:
    try:
        return PyJWK(dict(jwk), algorithm)
    except (PyJWTError, TypeError, ValueError, UnsupportedAlgorithm, OverflowError):
        pass  # not raised from here: the parser's error shows the key
    raise KeyRefusedError("the key is malformed")


def _text(jwk: Mapping[str, Any], member: str) -> str | None:
    value = jwk.get(member)
    if value is not None and not isinstance(value, str):
        raise KeyRefusedError(f"`{member}` of the key is not a string")
    return value


def _check_strength(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
            raise KeyRefusedError(f"RSA keys must have {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits")
        if _is_roca(key.public_numbers().n):
            raise KeyRefusedError("the RSA key has the ROCA vulnerability (CVE-2017-15361)")
    elif isinstance(key, ed25519.Ed25519PublicKey) and _is_low_order(
        key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    ):
        raise KeyRefusedError("the Ed25519 key is a low-order point: its signatures can be forged")


def _is_roca(modulus: int) -> bool:
    """Whether the modulus is from the generator of CVE-2017-15361, so that it can be factored."""
    return all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES)


def _is_low_order(ed25519_key: bytes) -> bool:
    """Whether the key is one of the few points for which signatures can be forged.

    All zeros, the content of memory before a key is written to it, is one of them.
    """
    y = int.from_bytes(ed25519_key, "little") & (2**255 - 1)
    return y % _FIELD in _LOW_ORDER


def _read_key(text: str | bytes) -> dict[str, Any]:
    """Return the JWK of a key in JSON or PEM."""
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
        if data.lstrip().startswith(b"{"):
            return read_object(data)
        if _PEM.fullmatch(data):
            return _to_jwk(serialization.load_pem_public_key(data))
    except (ValueError, TypeError, RecursionError, UnsupportedAlgorithm):
        pass  # not raised from here: the parser's error may show the key
    raise KeyRefusedError(
        "a public key must be one PEM block `PUBLIC KEY` or one JWK: the content of a file, not its"
        " path"
    )


def _to_jwk(key: object) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    raise TypeError


def _is_der(secret: bytes) -> bool:
    try:
        serialization.load_der_public_key(secret)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
