"""Issuers of tokens, honest and not: keys, tokens, and validators on a clock that stands still."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from testkit.clocks import FakeClock
from weenats.auth import JwtAuthConfig, JwtValidator, Principal, StaticKeySource
from weenats.auth.keys import public_keys, secret_keys

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "receipts"
NOW: Final = 1_800_000_000
SECRET: Final = bytes(range(64))
CURVES: Final[dict[str, type[ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1]]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def private_key(algorithm: str = "EdDSA", which: int = 0) -> PrivateKey:
    """Return a key for the algorithm; another number is another key."""
    del which
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    return rsa.generate_private_key(65537, 2048)


def pem(key: PrivateKey) -> bytes:
    """Return the public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """Return the public key as JWK."""
    public: Any = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        made = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**made, **members}


def encoded(data: bytes | Mapping[str, Any]) -> str:
    """Return a segment of a token."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment: str) -> bytes:
    """Return what a segment holds."""
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def good_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token; what is set to None is left out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": NOW,
        "exp": NOW + 600,
        "scope": "receipts:read receipts:write",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    header: bytes | Mapping[str, Any],
    payload: bytes | Mapping[str, Any],
    key: Any = None,
    algorithm: str = "EdDSA",
) -> str:
    """Return a token of any bytes, with a signature that holds."""
    text = f"{encoded(header)}.{encoded(payload)}"
    signer = get_default_algorithms()[algorithm]
    key = signer.prepare_key(private_key(algorithm) if key is None else key)
    return f"{text}.{encoded(signer.sign(text.encode(), key))}"


def token(
    claims: Mapping[str, Any] | None = None,
    *,
    algorithm: str = "EdDSA",
    key: Any = None,
    **header: Any,
) -> str:
    """Return a token that is good but for what the test changes; None leaves a header out."""
    head = {"alg": algorithm, "typ": "JWT", "kid": "k-1", **header}
    head = {name: value for name, value in head.items() if value is not None}
    return signed(head, good_claims() if claims is None else claims, key, algorithm)


def config(**changes: Any) -> JwtAuthConfig:
    """Return the rules that good tokens keep."""
    settings: dict[str, Any] = {
        "algorithms": ["EdDSA"],
        "issuer": ISSUER,
        "audience": AUDIENCE,
        **changes,
    }
    if "public_key" not in changes and "secret" not in changes:
        settings["public_key"] = pem(private_key(settings["algorithms"][0]))
    return JwtAuthConfig(**settings)


class FakeValidator(JwtValidator):
    """A validator with a static key, and a clock that the test sets."""

    def __init__(self, **changes: Any) -> None:
        self.time = FakeClock(NOW)
        rules = config(**changes)
        keys = (
            secret_keys(rules.secret_value, rules.algorithms)
            if rules.public_key is None
            else public_keys(rules.public_key, rules.algorithms)
        )
        super().__init__(rules, StaticKeySource(keys), self.time)

    @property
    def remembered(self) -> int:
        """How many tokens it remembers."""
        return len(self._cache)


async def validated(text: str, **changes: Any) -> Principal:
    """Return whom a token names to a validator with these rules."""
    return await FakeValidator(**changes).validate(text)
