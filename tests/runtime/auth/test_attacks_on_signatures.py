"""Attacks with the bytes of a token: size, segments, empty, changed and forged signatures."""

from __future__ import annotations

from time import thread_time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from testkit.tokens import (
    FakeValidator,
    decoded,
    encoded,
    good_claims,
    private_key,
    signed,
    token,
    validated,
)
from weenats.auth import InvalidTokenError

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
NOT_THE_KEYS = "the signature is invalid"


async def rejection_reason(text: str, **changes: Any) -> str:
    """Return why a token is rejected."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.timing
@pytest.mark.parametrize("text", ["a" * 5_000_000, "a." * 2_500_000, "\u00e9" * 5_000_000])
async def test_oversized_token_is_rejected_cheaply(text: str) -> None:
    """A token of 5 MB is rejected by its length, in under a millisecond of CPU time."""
    judge = FakeValidator()
    costs: list[float] = []
    for _ in range(20):
        started = thread_time()
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(text)
        costs.append(thread_time() - started)
        assert raised.value.reason == "the token is longer than max_token_bytes"
    assert min(costs) < 0.001


async def test_token_of_max_token_bytes_is_accepted() -> None:
    """A token of max_token_bytes is accepted; one byte more is rejected."""
    text = token()
    assert (await validated(text, max_token_bytes=len(text))).id == "ada"
    assert (
        await rejection_reason(text, max_token_bytes=len(text) - 1)
        == "the token is longer than max_token_bytes"
    )


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "BEARER ", "bEaReR  "])
async def test_bearer_prefix_is_rejected(prefix: str) -> None:
    """A token with a Bearer prefix is rejected, and the reason names the prefix."""
    assert await rejection_reason(prefix + token()) == "the prefix Bearer is for HTTP only"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: "\n" + text,
        lambda text: " " + text,
        lambda text: text + " ",
        lambda text: text + "=",
        lambda text: text + "==",
        lambda text: text.replace(".", "=.", 1),
        lambda text: text + ".",
        lambda text: text + ".AAAA",
        lambda text: "." + text,
        lambda text: text.rsplit(".", 1)[0],
        lambda text: text.rsplit(".", 1)[0] + ".",
        lambda text: text.replace(".", "..", 1),
        lambda text: text.replace(".", "\u3002"),
        lambda text: text[:-1] + "\u00e9",
        lambda text: text[:-1] + "\ud800",
        lambda text: text[:-1] + "\x00",
        lambda text: text[:-1] + "+",
        lambda text: text[:-1] + "/",
        lambda _: "",
        lambda _: ".",
        lambda _: "..",
        lambda _: "null",
    ],
)
async def test_token_must_have_three_segments(change: Any) -> None:
    """Whitespace, padding, other alphabets and other segment counts are rejected."""
    assert await rejection_reason(change(token())) == "the token is not three base64url segments"


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256"])
@pytest.mark.parametrize("fill", [0, 255])
async def test_constant_signature_is_rejected(algorithm: str, fill: int) -> None:
    """Signatures of all zero bits (CVE-2022-21449) or all one bits are rejected."""
    head, payload, signature = token(algorithm=algorithm).split(".")
    forged = encoded(bytes([fill]) * len(decoded(signature)))
    assert (
        await rejection_reason(f"{head}.{payload}.{forged}", algorithms=[algorithm]) == NOT_THE_KEYS
    )


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS256"])
@pytest.mark.parametrize("length", [1, 31, 63, 65, 128])
async def test_signature_of_wrong_length_is_rejected(algorithm: str, length: int) -> None:
    """A truncated or extended signature is rejected."""
    head, payload, signature = token(algorithm=algorithm).split(".")
    forged = encoded((decoded(signature) * 2)[:length])
    assert (
        await rejection_reason(f"{head}.{payload}.{forged}", algorithms=[algorithm]) == NOT_THE_KEYS
    )


async def test_ed25519_signature_is_not_malleable() -> None:
    """Adding the group order to S does not give a second valid signature."""
    head, payload, signature = token().split(".")
    raw = decoded(signature)
    scalar = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    forged = encoded(raw[:32] + scalar.to_bytes(32, "little"))
    assert await rejection_reason(f"{head}.{payload}.{forged}") == NOT_THE_KEYS


async def test_ecdsa_signature_values_must_be_in_range() -> None:
    """Values of r and s that are 0 or at least the order, and DER signatures, are rejected."""
    head, payload, signature = token(algorithm="ES256").split(".")
    raw = decoded(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    pairs = [(0, s), (r, 0), (P256_ORDER, s), (r, P256_ORDER), (0, 0), (P256_ORDER, P256_ORDER)]
    if r + P256_ORDER < 2**256:
        pairs.append((r + P256_ORDER, s))
    for first, second in pairs:
        forged = encoded(first.to_bytes(32, "big") + second.to_bytes(32, "big"))
        assert (
            await rejection_reason(f"{head}.{payload}.{forged}", algorithms=["ES256"])
            == NOT_THE_KEYS
        )
    key: Any = private_key("ES256")
    der = key.sign(f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(der)
    forged = encoded(der)
    assert (
        await rejection_reason(f"{head}.{payload}.{forged}", algorithms=["ES256"]) == NOT_THE_KEYS
    )


async def test_ecdsa_malleability_does_not_bypass_checks() -> None:
    """The variant (r, -s) has the same claims and is checked by the same rules."""
    judge = FakeValidator(algorithms=["ES256"])
    text = token(algorithm="ES256")
    head, payload, signature = text.split(".")
    raw = decoded(signature)
    second = P256_ORDER - int.from_bytes(raw[32:], "big")
    twin = f"{head}.{payload}.{encoded(raw[:32] + second.to_bytes(32, 'big'))}"
    assert await judge.validate(twin) == await judge.validate(text)
    judge.time.now += 631
    for either in (text, twin):
        with pytest.raises(InvalidTokenError, match="UNAUTHENTICATED"):
            await judge.validate(either)


async def test_non_canonical_base64url_is_rejected() -> None:
    """Unused bits at the end of a segment must be zero, so that a token has one spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = token()
    assert len(decoded(text.rsplit(".", 1)[1])) % 3
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    assert decoded(twin.rsplit(".", 1)[1]) == decoded(text.rsplit(".", 1)[1])
    assert await rejection_reason(twin) == "the token is malformed"


@pytest.mark.parametrize("segment", [0, 1])
async def test_changed_header_or_payload_is_rejected(segment: int) -> None:
    """Another header or payload under the signature is rejected."""
    parts = token().split(".")
    other = {"alg": "EdDSA"} if segment == 0 else good_claims(sub="eve")
    parts[segment] = encoded(other)
    assert await rejection_reason(".".join(parts)) == NOT_THE_KEYS


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS512"])
async def test_signature_of_another_key_is_rejected(algorithm: str) -> None:
    """A signature made with another key of the same kind is rejected."""
    forged = signed(
        {"alg": algorithm, "typ": "JWT"}, good_claims(), private_key(algorithm, 666), algorithm
    )
    assert await rejection_reason(forged, algorithms=[algorithm]) == NOT_THE_KEYS
