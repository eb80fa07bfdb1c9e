"""Which public keys and secrets are accepted."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from testkit.tokens import CURVES, SECRET, encoded, jwk, pem, private_key
from weenats.auth.keys import Algorithm, KeyRefusedError, jwk_keys, public_keys, secret_keys

FIT = {
    "RS256": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "ES256": ["ES256"],
    "ES384": ["ES384"],
    "ES512": ["ES512"],
    "EdDSA": ["EdDSA"],
}
ONE_BLOCK = (
    "a public key must be one PEM block `PUBLIC KEY` or one JWK: the content of a file, not its"
    " path"
)
FITS_NONE = "the key fits none of the algorithms"
KINDS = "only RSA, P-256, P-384, P-521 and Ed25519 keys are supported"


def rejection_reason(key: Any, *algorithms: str) -> str:
    """Return why a public key is rejected; the error contains nothing of the key."""
    with pytest.raises(KeyRefusedError) as raised:
        public_keys(key, algorithms or ["EdDSA"])
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return str(raised.value)


@pytest.mark.parametrize("kind", [*FIT])
@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_key_fits_the_algorithms_of_its_kind(kind: str, algorithm: str) -> None:
    """A key, as PEM or JWK, is accepted for the algorithms of its kind and curve only."""
    key = private_key(kind)
    forms: list[Any] = [pem(key), pem(key).decode(), jwk(key), f"\n {json.dumps(jwk(key))}"]
    for form in forms:
        if algorithm in FIT[kind]:
            assert public_keys(form, [algorithm])[algorithm].algorithm_name == algorithm
        else:
            assert rejection_reason(form, algorithm) == FITS_NONE


def test_key_must_fit_all_algorithms() -> None:
    """The error names an algorithm that the key cannot verify."""
    assert (
        rejection_reason(pem(private_key("RS256")), "RS256", "ES256")
        == "the key does not fit ES256"
    )


@pytest.mark.parametrize("bits", [1024, 1536, 2047])
def test_short_rsa_keys_are_rejected(bits: int) -> None:
    """RSA keys of less than 2048 bits are rejected."""
    modulus = (1 << bits) - 0x1234567  # the length is what is looked at
    key = {"kty": "RSA", "n": encoded(modulus.to_bytes(256, "big").lstrip(b"\0")), "e": "AQAB"}
    assert rejection_reason(key, "RS256") == "RSA keys must have 2048 to 8192 bits"


def test_generated_1024_bit_key_is_rejected() -> None:
    """A real RSA key of 1024 bits is rejected, as PEM and as JWK."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    assert rejection_reason(pem(key), "RS256") == "RSA keys must have 2048 to 8192 bits"
    assert rejection_reason(jwk(key), "PS256") == "RSA keys must have 2048 to 8192 bits"


def test_oversized_rsa_keys_are_rejected() -> None:
    """RSA keys that are too expensive to verify with are rejected."""
    key = {"kty": "RSA", "n": encoded(b"\xff" * 2048), "e": "AQAB"}
    assert rejection_reason(key, "RS256") == "RSA keys must have 2048 to 8192 bits"


def test_roca_keys_are_rejected() -> None:
    """An RSA modulus of the ROCA generator (CVE-2017-15361) is rejected by its fingerprint."""
    primorial = 1
    for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73):
        primorial *= prime
    for prime in (79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157):
        primorial *= prime
    modulus = pow(65537, 12345, primorial) + primorial * ((1 << 2047) // primorial + 4711)
    key = {"kty": "RSA", "n": encoded(modulus.to_bytes(256, "big")), "e": "AQAB"}
    assert (
        rejection_reason(key, "RS256") == "the RSA key has the ROCA vulnerability (CVE-2017-15361)"
    )
    assert public_keys(pem(private_key("RS256")), ["RS256"])


LOW_ORDER = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
    "7P///////////////////////////////////////38=",
    "7f///////////////////////////////////////38=",
    "7v///////////////////////////////////////38=",
    "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=",
    "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=",
]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_ed25519_keys_are_rejected(point: str) -> None:
    """Ed25519 keys of low order allow forged signatures and are rejected."""
    raw = b64decode(point)
    key = {"kty": "OKP", "crv": "Ed25519", "x": encoded(raw)}
    assert (
        rejection_reason(key, "EdDSA")
        == "the Ed25519 key is a low-order point: its signatures can be forged"
    )


def test_low_order_key_accepts_a_forged_signature() -> None:
    """The reason for rejecting them: a forged signature verifies with a key of low order."""
    key = ed25519.Ed25519PublicKey.from_public_bytes(b64decode(LOW_ORDER[1]))
    key.verify((1).to_bytes(32, "little") + bytes(32), b"whatever anybody wants")
    assert public_keys(pem(private_key("EdDSA")), ["EdDSA"])


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"use": "enc"}, "`use` of the key is not `sig`"),
        ({"use": ""}, "`use` of the key is not `sig`"),
        ({"use": ["sig"]}, "`use` of the key is not `sig`"),
        ({"key_ops": ["sign"]}, "`key_ops` of the key do not contain `verify`"),
        ({"key_ops": ["encrypt", "wrapKey"]}, "`key_ops` of the key do not contain `verify`"),
        ({"key_ops": []}, "`key_ops` of the key do not contain `verify`"),
        ({"key_ops": "verify"}, "`key_ops` of the key do not contain `verify`"),
        ({"alg": "ES256"}, FITS_NONE),
        ({"alg": "HS256"}, FITS_NONE),
        ({"alg": "none"}, FITS_NONE),
        ({"alg": "ECDH-ES"}, FITS_NONE),
        ({"alg": 5}, "`alg` of the key is not a string"),
        ({"crv": "Ed448"}, KINDS),
        ({"crv": "X25519"}, KINDS),
        ({"crv": 5}, "`crv` of the key is not a string"),
        ({"crv": None}, KINDS),
        ({"kty": "oct"}, KINDS),
        ({"kty": "EC"}, KINDS),
        ({"kty": None}, KINDS),
        ({"kty": ["OKP"]}, "`kty` of the key is not a string"),
        ({"d": "AAAA"}, "a public key is required, not a private key"),
        ({"k": "AAAA"}, "a public key is required, not a private key"),
        ({"x": ""}, "the key is malformed"),
        ({"x": "AAAA"}, "the key is malformed"),
        ({"x": 5}, "the key is malformed"),
        ({"x": None}, "the key is malformed"),
    ],
)
def test_jwk_must_be_a_public_signing_key(members: dict[str, Any], reason: str) -> None:
    """Use, operations, algorithm, type, curve and members must fit a verification key."""
    key = jwk(private_key("EdDSA"), **members)
    assert rejection_reason(key) == reason
    with pytest.raises(KeyRefusedError) as raised:
        jwk_keys(key, ["RS256", "ES256", "EdDSA"] if reason != FITS_NONE else ["EdDSA"])
    assert str(raised.value) == reason


def test_jwk_may_declare_its_purpose() -> None:
    """Fitting `use`, `key_ops` and `alg` members are accepted, and so is a kid."""
    key = jwk(private_key("EdDSA"), use="sig", key_ops=["verify"], alg="EdDSA", kid="k-1")
    assert [*jwk_keys(key, ["RS256", "EdDSA"])] == ["EdDSA"]
    bound = jwk(private_key("RS256"), alg="RS256")
    assert [*jwk_keys(bound, ["PS256", "RS256"])] == ["RS256"]


def test_null_in_a_jwk_is_an_absent_member() -> None:
    """Some issuers write null for each member that a key does not have, private ones too."""
    nulls = dict.fromkeys(("use", "key_ops", "alg", "kid", "d", "p", "k", "oth", "x5c"))
    assert [*jwk_keys(jwk(private_key("EdDSA"), **nulls), ["RS256", "EdDSA"])] == ["EdDSA"]
    assert [*jwk_keys(jwk(private_key("RS256"), crv=None), ["RS256", "EdDSA"])] == ["RS256"]


def test_symmetric_key_in_jwks_is_rejected() -> None:
    """A shared secret among public keys is rejected for all algorithms."""
    key = {"kty": "oct", "k": encoded(SECRET), "alg": "HS256"}
    with pytest.raises(KeyRefusedError, match="only RSA"):
        jwk_keys(key, ["HS256", "RS256"])


def test_ec_point_must_be_on_its_curve() -> None:
    """An invalid point, or coordinates of wrong length, are malformed."""
    key = jwk(private_key("ES256"))
    assert rejection_reason({**key, "y": encoded(bytes(32))}, "ES256") == "the key is malformed"
    assert rejection_reason({**key, "y": encoded(bytes(48))}, "ES256") == "the key is malformed"
    assert rejection_reason({**key, "crv": "P-384"}, "ES384") == "the key is malformed"


def _private_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    made: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return made


def test_pem_must_be_one_public_key() -> None:
    """Private keys, several keys, certificates, SSH keys, DER and empty text are rejected."""
    key: Any = private_key("RS256")
    public = key.public_key()
    for text in [
        _private_pem(key),
        _private_pem(key, PrivateFormat.TraditionalOpenSSL),
        _private_pem(private_key("EdDSA")),
        pem(key) + pem(key),
        pem(key) + _private_pem(key),
        pem(key)[:-40],
        pem(key).replace(b"PUBLIC KEY", b"CERTIFICATE"),
        pem(key).replace(b"M", b"!"),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        b"",
        "",
        "\u00e9",
        "k-1",
        "{",
        "[]",
        '{"kty":"RSA","kty":"oct"}',
        b"{\xff}",
    ]:
        assert rejection_reason(text, "RS256") == ONE_BLOCK
    assert public_keys(public.public_bytes(Encoding.PEM, PublicFormat.PKCS1), ["RS256"])


def test_unsupported_key_types_are_rejected() -> None:
    """X25519, Ed448, DSA and other curves are rejected."""
    others: list[Any] = [
        x25519.X25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        dsa.generate_private_key(1024),  # noqa: S505 - of any size
    ]
    for key in others:
        assert rejection_reason(pem(key)) == ONE_BLOCK
    assert rejection_reason(pem(ec.generate_private_key(ec.SECP256K1())), "ES256") == KINDS


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_secret_must_be_as_long_as_the_hash(algorithm: str, least: int) -> None:
    """A secret shorter than the hash of its algorithm is rejected."""
    assert secret_keys(SECRET[:least], [algorithm])[algorithm].algorithm_name == algorithm
    for length in (0, 1, least - 1):
        with pytest.raises(KeyRefusedError, match=f"at least {least} bytes"):
            secret_keys(SECRET[:length], [algorithm])


def test_public_key_as_secret_is_rejected() -> None:
    """A public key in any encoding is rejected as a shared secret."""
    key: Any = private_key("RS256")
    public = key.public_key()
    for secret in [
        pem(key),
        b"\n " + pem(key),
        _private_pem(key),
        json.dumps(jwk(key)).encode(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        pem(ec.generate_private_key(CURVES["ES256"]())),
    ]:
        with pytest.raises(KeyRefusedError, match="must be random bytes, not a key"):
            secret_keys(secret, ["HS256"])


@pytest.mark.parametrize("algorithm", ["none", "RS256", "EdDSA", "hs256", ""])
def test_secret_requires_hmac_algorithms(algorithm: str) -> None:
    """A secret with another algorithm, or with `none`, is rejected."""
    with pytest.raises(
        KeyRefusedError, match=f"^a secret requires an HMAC algorithm, not '{algorithm}'$"
    ):
        secret_keys(SECRET, ["HS256", algorithm])
