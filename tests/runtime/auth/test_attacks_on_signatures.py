"""Attacks with the bytes of a token: size, segments, and empty, changed or forged signatures."""

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


async def refused(text: str, **changes: Any) -> str:
    """Return the reason for which a token is refused."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.timing
@pytest.mark.parametrize("text", ["a" * 5_000_000, "a." * 2_500_000, "\u00e9" * 5_000_000])
async def test_five_megabytes_cost_nothing(text: str) -> None:
    """A token of 5 MB is refused by its length, in less than a millisecond of CPU."""
    judge = FakeValidator()
    costs: list[float] = []
    for _ in range(20):
        started = thread_time()
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(text)
        costs.append(thread_time() - started)
        assert raised.value.reason == "the token is longer than max_token_bytes"
    assert min(costs) < 0.001


async def test_the_longest_token_is_taken() -> None:
    """A token of max_token_bytes is accepted, one byte more is not."""
    text = token()
    assert (await validated(text, max_token_bytes=len(text))).id == "ada"
    assert (
        await refused(text, max_token_bytes=len(text) - 1)
        == "the token is longer than max_token_bytes"
    )


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "BEARER ", "bEaReR  "])
async def test_the_prefix_of_http_is_refused(prefix: str) -> None:
    """A `Bearer` prefix is refused, and the reason says so."""
    assert await refused(prefix + token()) == "the prefix Bearer is for HTTP only"


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
async def test_a_token_has_three_segments(change: Any) -> None:
    """White space, padding, other alphabets and other numbers of segments are refused."""
    assert await refused(change(token())) == "the token is not three base64url segments"


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256"])
@pytest.mark.parametrize("fill", [0, 255])
async def test_a_signature_of_zeros_is_none(algorithm: str, fill: int) -> None:
    """Signatures of zeros (CVE-2022-21449) and ones are refused."""
    head, payload, signature = token(algorithm=algorithm).split(".")
    forged = encoded(bytes([fill]) * len(decoded(signature)))
    assert await refused(f"{head}.{payload}.{forged}", algorithms=[algorithm]) == NOT_THE_KEYS


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS256"])
@pytest.mark.parametrize("length", [1, 31, 63, 65, 128])
async def test_a_signature_has_its_length(algorithm: str, length: int) -> None:
    """A truncated or longer signature is refused."""
    head, payload, signature = token(algorithm=algorithm).split(".")
    forged = encoded((decoded(signature) * 2)[:length])
    assert await refused(f"{head}.{payload}.{forged}", algorithms=[algorithm]) == NOT_THE_KEYS


async def test_an_edwards_signature_has_one_form() -> None:
    """Adding the group order to S of an Ed25519 signature makes it invalid."""
    head, payload, signature = token().split(".")
    raw = decoded(signature)
    scalar = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    forged = encoded(raw[:32] + scalar.to_bytes(32, "little"))
    assert await refused(f"{head}.{payload}.{forged}") == NOT_THE_KEYS


async def test_numbers_of_a_curve_signature_are_in_their_range() -> None:
    """ECDSA signatures with r or s of 0, the order or more are refused, in DER too."""
    head, payload, signature = token(algorithm="ES256").split(".")
    raw = decoded(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    pairs = [(0, s), (r, 0), (P256_ORDER, s), (r, P256_ORDER), (0, 0), (P256_ORDER, P256_ORDER)]
    if r + P256_ORDER < 2**256:
        pairs.append((r + P256_ORDER, s))
    for first, second in pairs:
        forged = encoded(first.to_bytes(32, "big") + second.to_bytes(32, "big"))
        assert await refused(f"{head}.{payload}.{forged}", algorithms=["ES256"]) == NOT_THE_KEYS
    key: Any = private_key("ES256")
    der = key.sign(f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(der)
    forged = encoded(der)
    assert await refused(f"{head}.{payload}.{forged}", algorithms=["ES256"]) == NOT_THE_KEYS


async def test_the_second_form_of_a_curve_signature_gains_nothing() -> None:
    """ECDSA accepts (r, -s) as well; the claims are checked in the same way."""
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


async def test_a_segment_has_one_spelling() -> None:
    """Unused bits at the end of a segment must be zero, so that each token has one text."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = token()
    assert len(decoded(text.rsplit(".", 1)[1])) % 3
    twin = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    assert decoded(twin.rsplit(".", 1)[1]) == decoded(text.rsplit(".", 1)[1])
    assert await refused(twin) == "the token is malformed"


@pytest.mark.parametrize("segment", [0, 1])
async def test_what_is_signed_cannot_change(segment: int) -> None:
    """A changed header or payload makes the signature invalid."""
    parts = token().split(".")
    other = {"alg": "EdDSA"} if segment == 0 else good_claims(sub="eve")
    parts[segment] = encoded(other)
    assert await refused(".".join(parts)) == NOT_THE_KEYS


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "PS512"])
async def test_another_key_is_another_issuer(algorithm: str) -> None:
    """A signature by another key of the same type is refused."""
    forged = signed(
        {"alg": algorithm, "typ": "JWT"}, good_claims(), private_key(algorithm, 666), algorithm
    )
    assert await refused(forged, algorithms=[algorithm]) == NOT_THE_KEYS
