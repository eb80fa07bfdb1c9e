"""Attacks with the header of a token: algorithm, keys, key id, extensions, type."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from testkit.tokens import (
    FakeValidator,
    encoded,
    good_claims,
    jwk,
    pem,
    private_key,
    signed,
    token,
    validated,
)
from weenats.auth import InvalidTokenError

NONE_SPELLINGS = ["none", "None", "NONE", "nOnE", "none ", "\u043eone", "", "nonE\x00"]


async def rejection_reason(text: str, **changes: Any) -> str:
    """Return why a token is rejected."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.parametrize("algorithm", NONE_SPELLINGS)
@pytest.mark.parametrize("signature", ["", "x", "AAAA"])
async def test_alg_none_is_rejected(algorithm: str, signature: str) -> None:
    """`alg: none` is rejected in every spelling, with and without a signature."""
    text = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(good_claims())}.{signature}"
    expected = (
        "the algorithm is not accepted"
        if signature
        else "the token is not three base64url segments"
    )
    assert await rejection_reason(text) == expected


@pytest.mark.parametrize("algorithm", [None, 5, True, ["EdDSA"], {"EdDSA": 1}, "eddsa", "EDDSA"])
async def test_algorithm_name_must_match_exactly(algorithm: Any) -> None:
    """A missing `alg`, another case or another type is rejected, even if the signature is valid."""
    text = signed({"alg": algorithm, "typ": "JWT"}, good_claims())
    assert await rejection_reason(text) == "the algorithm is not accepted"
    assert (
        await rejection_reason(signed({"typ": "JWT"}, good_claims()))
        == "the algorithm is not accepted"
    )


def _encodings_of(key: Any) -> dict[str, bytes]:
    public = key.public_key()
    return {
        "pem": pem(key),
        "pem without newline": pem(key).strip(),
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "pkcs1 der": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        "jwk": json.dumps(jwk(key)).encode(),
        "compact jwk": json.dumps(jwk(key), separators=(",", ":")).encode(),
    }


@pytest.mark.parametrize("form", [*_encodings_of(private_key("RS256"))])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_hmac_with_the_public_key_is_rejected(form: str, algorithm: str) -> None:
    """A token signed by HMAC with the RSA public key, in any encoding, is rejected."""
    text = f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(good_claims())}"
    secret = _encodings_of(private_key("RS256"))[form]
    mac = hmac.new(secret, text.encode(), getattr(hashlib, algorithm.replace("HS", "sha")))
    forged = f"{text}.{encoded(mac.digest())}"
    assert await rejection_reason(forged, algorithms=["RS256"]) == "the algorithm is not accepted"


@pytest.mark.parametrize("claimed", ["PS256", "RS512", "ES256", "EdDSA"])
async def test_signature_of_another_algorithm_is_rejected(claimed: str) -> None:
    """A signature made with one algorithm is not valid for another, accepted or not."""
    text = signed({"alg": claimed, "typ": "JWT"}, good_claims(), algorithm="RS256")
    expected = {
        "PS256": "the signature is invalid",
        "RS512": "the signature is invalid",
    }
    taken = ["RS256", "PS256", "RS512"]
    assert await rejection_reason(text, algorithms=taken) == expected.get(
        claimed, "the algorithm is not accepted"
    )


@pytest.mark.parametrize("algorithms", [["RS256"], ["ES256"], ["EdDSA"]])
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t"])
async def test_keys_in_the_header_are_ignored(member: str, algorithms: list[str]) -> None:
    """Keys and key URLs in the header are never used."""
    algorithm = algorithms[0]
    attacker = private_key(algorithm, 666)
    brought = {
        "jwk": jwk(attacker),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain",
        "x5c": [encoded(pem(attacker))],
        "x5t": "AAAA",
    }
    header = {"alg": algorithm, "typ": "JWT", "kid": "k-1", member: brought[member]}
    forged = signed(header, good_claims(), attacker, algorithm)
    assert await rejection_reason(forged, algorithms=algorithms) == "the signature is invalid"
    # The same header under an honest signature does no harm either.
    honest = signed(header, good_claims(), algorithm=algorithm)
    assert (await validated(honest, algorithms=algorithms)).id == "ada"


@pytest.mark.parametrize("kid", [None, 5, True, ["k-1"], {"k": 1}, "k" * 256])
async def test_malformed_key_id_is_rejected(kid: Any) -> None:
    """A kid that is not a string, or too long, is rejected before any key lookup."""
    text = signed({"alg": "EdDSA", "kid": kid}, good_claims())
    assert await rejection_reason(text) == "kid is not a string of at most 255 characters"


@pytest.mark.parametrize(
    "kid", ["", "../../../dev/null", "x' OR '1'='1", "/etc/passwd", "k\x00", "|sleep 5", "k" * 255]
)
async def test_kid_is_never_interpreted(kid: str) -> None:
    """A kid that looks like a path, query or command selects no other key."""
    assert (await validated(token(kid=kid))).id == "ada"
    forged = signed({"alg": "EdDSA", "kid": kid}, good_claims(), private_key("EdDSA", 666))
    assert await rejection_reason(forged) == "the signature is invalid"


@pytest.mark.parametrize(
    "extensions",
    [
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None},
        {"b64": False},
        {"b64": True},
        {"b64": 0},
    ],
)
async def test_critical_extensions_are_rejected(extensions: dict[str, Any]) -> None:
    """`crit` extensions and unencoded payloads (`b64`) are rejected."""
    text = signed({"alg": "EdDSA", "typ": "JWT", **extensions}, good_claims())
    assert await rejection_reason(text) == "the header has unsupported extensions (crit, b64)"


async def test_detached_payload_is_rejected() -> None:
    """A token without its payload does not have three segments."""
    head, _, signature = token().split(".")
    assert (
        await rejection_reason(f"{head}..{signature}")
        == "the token is not three base64url segments"
    )


@pytest.mark.parametrize("typ", ["JWE", "dpop+jwt", "secevent+jwt", "", 5, None, ["JWT"], "JWT "])
async def test_unknown_typ_is_rejected(typ: Any) -> None:
    """A token whose typ names another purpose is rejected by default."""
    text = signed({"alg": "EdDSA", "typ": typ}, good_claims())
    assert await rejection_reason(text) == "typ is not accepted"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_common_typ_values_are_accepted(typ: str | None) -> None:
    """JWT and access token types are accepted in any case, and so is a missing typ."""
    assert (await validated(token(typ=typ))).id == "ada"


async def test_configured_token_types_are_required() -> None:
    """With token_types set, a token must have one of these types."""
    rules = {"token_types": ["at+jwt"]}
    assert (await validated(token(typ="application/AT+JWT"), **rules)).id == "ada"
    assert await rejection_reason(token(typ="JWT"), **rules) == "typ is not accepted"
    assert await rejection_reason(token(typ=None), **rules) == "typ is missing"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"alg":"none","alg":"EdDSA"}', "duplicate member"),
        (b'{"alg":"EdDSA","kid":"a","kid":"b"}', "duplicate member"),
        (b'{"alg":"EdDSA","x":{"a":1,"a":2}}', "duplicate member"),
        (b'["EdDSA"]', "not an object"),
        (b'"EdDSA"', "not an object"),
        (b"null", "not an object"),
        (b'{"alg":"EdDSA"', "not valid JSON in UTF-8"),
        (b'{"alg":"EdDSA"}{}', "not valid JSON in UTF-8"),
        (b'\xef\xbb\xbf{"alg":"EdDSA"}', "not valid JSON in UTF-8"),
        ('{"alg":"EdDSA"}'.encode("utf-16"), "not valid JSON in UTF-8"),
        (b'{"alg":"EdDSA","x":"\xff"}', "not valid JSON in UTF-8"),
        (b'{"alg":"EdDSA","kid":"\\ud800"}', "not valid JSON in UTF-8"),
        (b'{"alg":"EdDSA","x":NaN}', "not a JSON number"),
        (b'{"alg":"EdDSA","x":1e999}', "number out of range"),
        (b'{"alg":"EdDSA","x":' + b"[" * 40 + b"]" * 40 + b"}", "nested more than 32 levels deep"),
    ],
)
async def test_ambiguous_header_is_rejected(header: bytes, reason: str) -> None:
    """A header that two parsers could read differently is rejected, even if signed correctly."""
    assert await rejection_reason(signed(header, good_claims())) == f"malformed header: {reason}"
