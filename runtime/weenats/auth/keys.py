"""Keys that signatures are checked with: parsed once, bound to an algorithm, never weak.

A key that is refused is refused without a word of it in the error.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from weenats.auth.json_reader import read_object
from weenats.auth.weak_keys import is_low_order, is_roca

Algorithm = Literal[
    "EdDSA",
    "ES256",
    "ES384",
    "ES512",
    "HS256",
    "HS384",
    "HS512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
]
"""The signature algorithms; EdDSA is Ed25519."""

ALGORITHMS: Final[tuple[str, ...]] = get_args(Algorithm)
SYMMETRIC: Final = frozenset({"HS256", "HS384", "HS512"})

_MIN_SECRET: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_FIT: Final[dict[tuple[str | None, str | None], set[str]]] = {
    ("OKP", "Ed25519"): {"EdDSA"},
    ("EC", "P-256"): {"ES256"},
    ("EC", "P-384"): {"ES384"},
    ("EC", "P-521"): {"ES512"},
    ("RSA", None): {"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"},
}
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PEM: Final = re.compile(
    rb"\s*-----BEGIN ((?:RSA )?PUBLIC KEY)-----[^-]+-----END \1-----\s*", re.ASCII
)
_ASYMMETRIC_TEXT: Final = (b"-----BEGIN", b"---- BEGIN", b"ssh-", b"ecdsa-sha2-", b"{")


class KeyRefusedError(ValueError):
    """A key that must not be used; the text says why and shows nothing of the key."""


def secret_keys(secret: bytes, algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Return the key of each HMAC algorithm.

    Raises:
        KeyRefusedError: the secret is shorter than the hash, is a public key, or is for no HMAC.
    """
    for algorithm in algorithms:
        if algorithm not in _MIN_SECRET:
            raise KeyRefusedError("a secret goes with HMAC algorithms")
        if len(secret) < _MIN_SECRET[algorithm]:
            least = _MIN_SECRET[algorithm]
            raise KeyRefusedError(f"{algorithm} needs a secret of at least {least} bytes")
    if secret.lstrip().startswith(_ASYMMETRIC_TEXT) or _is_der(secret):
        raise KeyRefusedError("a secret is random bytes, not a key of another algorithm")
    jwk = {"kty": "oct", "k": urlsafe_b64encode(secret).rstrip(b"=").decode()}
    return {algorithm: PyJWK(jwk, algorithm) for algorithm in algorithms}


def public_keys(
    key: str | bytes | Mapping[str, Any], algorithms: Collection[str]
) -> dict[str, PyJWK]:
    """Return the key of each algorithm, from PEM or JWK.

    Raises:
        KeyRefusedError: it is no public key, is weak, or does not fit each of the algorithms.
    """
    keys = jwk_keys(key if isinstance(key, Mapping) else _jwk(key), algorithms)
    for algorithm in algorithms:
        if algorithm not in keys:
            raise KeyRefusedError(f"the key does not fit {algorithm}")
    return keys


def jwk_keys(jwk: Mapping[str, Any], algorithms: Collection[str]) -> dict[str, PyJWK]:
    """Return the key for those of the algorithms that it fits, at least one.

    Raises:
        KeyRefusedError: it is no public signing key, is weak, or fits none of the algorithms.
    """
    fitting = _FIT.get((_text(jwk, "kty"), _text(jwk, "crv")))
    if fitting is None:
        raise KeyRefusedError("only RSA, P-256, P-384, P-521 and Ed25519 keys are taken")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeyRefusedError("a private key is where the public one belongs")
    if jwk.get("use", "sig") != "sig":
        raise KeyRefusedError("the key's `use` is not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefusedError("the key's `key_ops` do not let it verify")
    if "alg" in jwk:
        fitting = fitting & {_text(jwk, "alg")}
    taken = [algorithm for algorithm in algorithms if algorithm in fitting]
    if not taken:
        raise KeyRefusedError("the key fits none of the algorithms")
    keys = {algorithm: _parse(jwk, algorithm) for algorithm in taken}
    _check_strength(keys[taken[0]].key)
    return keys


def _parse(jwk: Mapping[str, Any], algorithm: str) -> PyJWK:
    try:
        return PyJWK(dict(jwk), algorithm)
    except (PyJWTError, TypeError, ValueError, UnsupportedAlgorithm, OverflowError):
        pass  # the error of the parser shows the key
    raise KeyRefusedError("the key is malformed")


def _text(jwk: Mapping[str, Any], member: str) -> str | None:
    value = jwk.get(member)
    if value is not None and not isinstance(value, str):
        raise KeyRefusedError(f"the key's `{member}` is no text")
    return value


def _check_strength(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
            raise KeyRefusedError(f"RSA keys have {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits")
        if is_roca(key.public_numbers().n):
            raise KeyRefusedError("the RSA key comes from a broken generator (CVE-2017-15361)")
    elif isinstance(key, ed25519.Ed25519PublicKey) and is_low_order(
        key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    ):
        raise KeyRefusedError("anybody can sign for this Ed25519 key")


def _jwk(text: str | bytes) -> dict[str, Any]:
    """Return the JWK of a key in JSON or PEM."""
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
        if data.lstrip().startswith(b"{"):
            return read_object(data)
        if _PEM.fullmatch(data):
            return _jwk_of(load_pem_public_key(data))
    except (ValueError, TypeError, RecursionError, UnsupportedAlgorithm):
        pass  # the error of the parser may show the key
    raise KeyRefusedError(
        "a public key is one PEM block `PUBLIC KEY` or one JWK: the text of a file, not its path"
    )


def _jwk_of(key: object) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return OKPAlgorithm.to_jwk(key, as_dict=True)
    raise TypeError


def _is_der(secret: bytes) -> bool:
    try:
        load_der_public_key(secret)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
