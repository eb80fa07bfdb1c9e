"""Which keys JwtValidator requests, how it uses the results, and what it costs."""

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


class Asked:
    """A key source with a fixed result that records its calls."""

    generation = 0

    def __init__(self, answer: Exception | PyJWK) -> None:
        self.questions: list[tuple[str | None, str]] = []
        self._answer = answer

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return or raise the fixed result."""
        self.questions.append((kid, algorithm))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
async def test_every_algorithm_works(algorithm: str) -> None:
    """A valid token of each algorithm is accepted."""
    if algorithm in SYMMETRIC:
        text = signed({"alg": algorithm}, good_claims(), SECRET, algorithm)
        principal = await validated(text, algorithms=[algorithm], secret=SECRET)
    else:
        principal = await validated(token(algorithm=algorithm), algorithms=[algorithm])
    assert principal.id == "ada"


async def test_the_source_is_asked_by_key_id_and_algorithm() -> None:
    """The key source receives kid and alg of the header, if alg is accepted."""
    key = jwk_keys(jwk(private_key("EdDSA")), ["EdDSA"])["EdDSA"]
    keys = Asked(key)
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    await validator.validate(token(kid="a"))
    await validator.validate(token(kid=None))
    assert keys.questions == [("a", "EdDSA"), (None, "EdDSA")]


@pytest.mark.parametrize("text", ["x", "Bearer x", token(typ="JWE"), token(alg="none"), "a" * 9000])
async def test_a_hopeless_token_asks_for_no_key(text: str) -> None:
    """A token that is refused without a key causes no call of the key source."""
    keys = Asked(UnknownKeyError())
    with pytest.raises(InvalidTokenError):
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(text)
    assert keys.questions == []


async def test_an_unknown_key_refuses() -> None:
    """A token with an unknown key is refused."""
    with pytest.raises(InvalidTokenError) as raised:
        await JwtValidator(config(), Asked(UnknownKeyError()), FakeClock(NOW)).validate(token())
    assert raised.value.reason == "no key matches its kid and algorithm"
    assert raised.value.__context__ is None


async def test_missing_keys_are_not_the_fault_of_the_token() -> None:
    """If keys are unavailable, the caller receives UNAVAILABLE, not UNAUTHENTICATED."""
    keys = Asked(KeysUnavailableError())
    with pytest.raises(UnavailableError) as raised:
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(token())
    assert raised.value.message == "the keys that verify tokens are unavailable"
    assert raised.value.__context__ is None


async def test_a_key_verifies_for_its_own_algorithm_only() -> None:
    """A key source that returns a key of another algorithm does not admit the caller."""
    wrong = jwk_keys(jwk(private_key("RS256")), ["RS512"])["RS512"]
    validator = JwtValidator(config(algorithms=["RS256", "RS512"]), Asked(wrong), FakeClock(NOW))
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(token(algorithm="RS256"))
    assert raised.value.reason == "the key is not for this algorithm"


async def test_a_weak_key_verifies_nothing() -> None:
    """A key source that returns a short key does not admit the caller."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    validator = JwtValidator(
        config(algorithms=["RS256"]), Asked(PyJWK(jwk(short), "RS256")), FakeClock(NOW)
    )
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(signed({"alg": "RS256"}, good_claims(), short, "RS256"))
    assert raised.value.reason == "the key is weak or does not fit the algorithm"


async def test_a_flood_of_headers_leaves_bounded_memory() -> None:
    """The cache of headers is bounded and has no refused headers."""
    judge = FakeValidator()
    for number in range(200):
        await judge.validate(token(kid=f"k-{number}"))
        with pytest.raises(InvalidTokenError):
            await judge.validate(token(kid=f"k-{number}", typ="JWE"))
    assert judge._headers.cache_info().currsize <= 64
    assert judge._headers.cache_info().hits == 0


async def test_a_known_header_vouches_for_nothing() -> None:
    """A cached header does not replace the check of payload and signature."""
    judge = FakeValidator()
    head, payload, signature = token().split(".")
    await judge.validate(f"{head}.{payload}.{signature}")
    other = token(good_claims(sub="eve")).split(".")
    for forged in (f"{head}.{other[1]}.{signature}", f"{head}.{payload}.{other[2]}"):
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(forged)
        assert raised.value.reason == "the signature is invalid"


async def test_a_static_source_has_no_other_key() -> None:
    """StaticKeySource returns its key for its algorithms only."""
    source = StaticKeySource({})
    with pytest.raises(UnknownKeyError):
        await source.key("k-1", "EdDSA")
    assert source.generation == 0


async def test_two_validators_have_their_own_keys_and_rules() -> None:
    """Validators do not share keys or settings."""
    with pytest.raises(InvalidTokenError):
        await validated(token(), public_key=jwk(private_key("EdDSA", 1)))
    assert (await validated(token(), public_key=jwk(private_key("EdDSA")))).id == "ada"


@pytest.mark.timing
async def test_a_remembered_token_costs_a_fraction_of_a_signature() -> None:
    """A cached token is at least ten times cheaper than a signature check."""
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
