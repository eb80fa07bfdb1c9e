"""How JwtValidator looks up keys, handles failures, and what it costs."""

from __future__ import annotations

from time import thread_time
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK

from testkit.clocks import FakeClock
from testkit.tokens import (
    NOW,
    SECRET,
    FakeValidator,
    config,
    decoded,
    good_claims,
    jwk,
    private_key,
    signed,
    token,
    validated,
)
from weenats.auth import (
    InvalidTokenError,
    JwtValidator,
    KeysUnavailableError,
    StaticKeySource,
    UnknownKeyError,
)
from weenats.auth.keys import SYMMETRIC, Algorithm, jwk_keys
from weenats.errors import UnavailableError


class RecordingKeySource:
    """A key source that returns or raises a given result, and records its lookups."""

    generation = 0

    def __init__(self, answer: Exception | PyJWK) -> None:
        self.questions: list[tuple[str | None, str]] = []
        self._answer = answer

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the result, or raise it."""
        self.questions.append((kid, algorithm))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
async def test_every_algorithm_is_supported(algorithm: str) -> None:
    """A valid token of each algorithm gives its principal."""
    if algorithm in SYMMETRIC:
        text = signed({"alg": algorithm}, good_claims(), SECRET, algorithm)
        principal = await validated(text, algorithms=[algorithm], secret=SECRET)
    else:
        principal = await validated(token(algorithm=algorithm), algorithms=[algorithm])
    assert principal.id == "ada"


async def test_key_is_looked_up_by_kid_and_algorithm() -> None:
    """The lookup uses kid and algorithm of the header."""
    key = jwk_keys(jwk(private_key("EdDSA")), ["EdDSA"])["EdDSA"]
    keys = RecordingKeySource(key)
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    await validator.validate(token(kid="a"))
    await validator.validate(token(kid=None))
    assert keys.questions == [("a", "EdDSA"), (None, "EdDSA")]


@pytest.mark.parametrize("text", ["x", "Bearer x", token(typ="JWE"), token(alg="none"), "a" * 9000])
async def test_malformed_token_causes_no_key_lookup(text: str) -> None:
    """A token that can be rejected without a key never reaches the key source."""
    keys = RecordingKeySource(UnknownKeyError())
    with pytest.raises(InvalidTokenError):
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(text)
    assert keys.questions == []


async def test_unknown_key_rejects_the_token() -> None:
    """A token without a matching key is rejected."""
    with pytest.raises(InvalidTokenError) as raised:
        await JwtValidator(
            config(), RecordingKeySource(UnknownKeyError()), FakeClock(NOW)
        ).validate(token())
    assert raised.value.reason == "no key matches its kid and algorithm"
    assert raised.value.__context__ is None


async def test_unavailable_keys_raise_unavailable() -> None:
    """While keys cannot be fetched the error is UNAVAILABLE, not UNAUTHENTICATED."""
    keys = RecordingKeySource(KeysUnavailableError())
    with pytest.raises(UnavailableError) as raised:
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(token())
    assert raised.value.message == "the keys that verify tokens are unavailable"
    assert raised.value.__context__ is None


async def test_key_of_another_algorithm_is_rejected() -> None:
    """A key source that returns a key of another algorithm authenticates no caller."""
    wrong = jwk_keys(jwk(private_key("RS256")), ["RS512"])["RS512"]
    validator = JwtValidator(
        config(algorithms=["RS256", "RS512"]), RecordingKeySource(wrong), FakeClock(NOW)
    )
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(token(algorithm="RS256"))
    assert raised.value.reason == "the key is not for this algorithm"


async def test_weak_key_of_the_source_is_rejected() -> None:
    """A key source that returns a key that is too short authenticates no caller."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    validator = JwtValidator(
        config(algorithms=["RS256"]), RecordingKeySource(PyJWK(jwk(short), "RS256")), FakeClock(NOW)
    )
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(signed({"alg": "RS256"}, good_claims(), short, "RS256"))
    assert raised.value.reason == "the key is weak or does not fit the algorithm"


async def test_header_cache_is_bounded() -> None:
    """At most 64 parsed headers are cached, and rejected headers are not."""
    judge = FakeValidator()
    for number in range(200):
        await judge.validate(token(kid=f"k-{number}"))
        with pytest.raises(InvalidTokenError):
            await judge.validate(token(kid=f"k-{number}", typ="JWE"))
    assert judge._headers.cache_info().currsize <= 64
    assert judge._headers.cache_info().hits == 0


async def test_cached_header_does_not_skip_verification() -> None:
    """Another payload or signature under a cached header is still verified."""
    judge = FakeValidator()
    head, payload, signature = token().split(".")
    await judge.validate(f"{head}.{payload}.{signature}")
    other = token(good_claims(sub="eve")).split(".")
    for forged in (f"{head}.{other[1]}.{signature}", f"{head}.{payload}.{other[2]}"):
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(forged)
        assert raised.value.reason == "the signature is invalid"


async def test_static_key_source_has_only_its_keys() -> None:
    """A lookup of any other key fails."""
    source = StaticKeySource({})
    with pytest.raises(UnknownKeyError):
        await source.key("k-1", "EdDSA")
    assert source.generation == 0


async def test_validators_are_independent() -> None:
    """A token accepted by one validator is rejected by one with another key."""
    with pytest.raises(InvalidTokenError):
        await validated(token(), public_key=jwk(private_key("EdDSA", 1)))
    assert (await validated(token(), public_key=jwk(private_key("EdDSA")))).id == "ada"


@pytest.mark.timing
async def test_cached_token_is_ten_times_cheaper_than_verifying() -> None:
    """Validating a cached token is at least ten times cheaper than verifying its signature."""
    judge, text = FakeValidator(), token()
    head, payload, signature = text.split(".")
    key = private_key("EdDSA").public_key()
    await judge.validate(text)
    hits: list[float] = []
    checks: list[float] = []
    for _ in range(5):
        started = thread_time()
        for _ in range(1000):
            await judge.validate(text)
        hits.append(thread_time() - started)
        started = thread_time()
        for _ in range(1000):
            key.verify(decoded(signature), f"{head}.{payload}".encode())  # type: ignore[union-attr,call-arg,arg-type]
        checks.append(thread_time() - started)
    assert min(hits) * 10 < min(checks)
