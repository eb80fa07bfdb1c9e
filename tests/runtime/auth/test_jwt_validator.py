"""Which keys a validator asks for, what it makes of the answers, and what it costs."""

from __future__ import annotations

from time import thread_time

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
from weenats.auth.keys import ALGORITHMS, SYMMETRIC, jwk_keys
from weenats.errors import UnavailableError


class Asked:
    """Keys that fail as the test says, and note what they were asked for."""

    generation = 0

    def __init__(self, answer: Exception | PyJWK) -> None:
        self.questions: list[tuple[str | None, str]] = []
        self._answer = answer

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Answer, or fail."""
        self.questions.append((kid, algorithm))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_works(algorithm: str) -> None:
    """A good token of each algorithm names its caller."""
    if algorithm in SYMMETRIC:
        text = signed({"alg": algorithm}, good_claims(), SECRET, algorithm)
        principal = await validated(text, algorithms=[algorithm], secret=SECRET)
    else:
        principal = await validated(token(algorithm=algorithm), algorithms=[algorithm])
    assert principal.id == "ada"


async def test_the_source_is_asked_by_key_id_and_algorithm() -> None:
    """What the header says picks among the keys, once its algorithm is one that is taken."""
    key = jwk_keys(jwk(private_key("EdDSA")), ["EdDSA"])["EdDSA"]
    keys = Asked(key)
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    await validator.validate(token(kid="a"))
    await validator.validate(token(kid=None))
    assert keys.questions == [("a", "EdDSA"), (None, "EdDSA")]


@pytest.mark.parametrize("text", ["x", "Bearer x", token(typ="JWE"), token(alg="none"), "a" * 9000])
async def test_a_hopeless_token_asks_for_no_key(text: str) -> None:
    """What can be refused without a key never reaches the source of keys, so fetches nothing."""
    keys = Asked(UnknownKeyError())
    with pytest.raises(InvalidTokenError):
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(text)
    assert keys.questions == []


async def test_an_unknown_key_refuses() -> None:
    """A token that names no known key proves nothing."""
    with pytest.raises(InvalidTokenError) as raised:
        await JwtValidator(config(), Asked(UnknownKeyError()), FakeClock(NOW)).validate(token())
    assert raised.value.reason == "no key has its kid and fits its algorithm"
    assert raised.value.__context__ is None


async def test_missing_keys_are_not_the_fault_of_the_token() -> None:
    """While the keys cannot be had the caller is told to come again, not that it is nobody."""
    keys = Asked(KeysUnavailableError())
    with pytest.raises(UnavailableError) as raised:
        await JwtValidator(config(), keys, FakeClock(NOW)).validate(token())
    assert raised.value.message == "the keys that tokens are signed with cannot be had"
    assert raised.value.__context__ is None


async def test_a_key_verifies_for_its_own_algorithm_only() -> None:
    """A source that hands out a key of another algorithm lets nobody in."""
    wrong = jwk_keys(jwk(private_key("RS256")), ["RS512"])["RS512"]
    validator = JwtValidator(config(algorithms=["RS256", "RS512"]), Asked(wrong), FakeClock(NOW))
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(token(algorithm="RS256"))
    assert raised.value.reason == "the key is not for its algorithm"


async def test_a_weak_key_verifies_nothing() -> None:
    """A source that hands out a key which is too short lets nobody in, however well it fits."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    validator = JwtValidator(
        config(algorithms=["RS256"]), Asked(PyJWK(jwk(short), "RS256")), FakeClock(NOW)
    )
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(signed({"alg": "RS256"}, good_claims(), short, "RS256"))
    assert raised.value.reason == "the key is weak, or does not fit its algorithm"


async def test_a_flood_of_headers_leaves_bounded_memory() -> None:
    """Headers are read once while few are about; those that are refused are not kept."""
    judge = FakeValidator()
    for number in range(200):
        await judge.validate(token(kid=f"k-{number}"))
        with pytest.raises(InvalidTokenError):
            await judge.validate(token(kid=f"k-{number}", typ="JWE"))
    assert judge._headers.cache_info().currsize <= 64
    assert judge._headers.cache_info().hits == 0


async def test_a_known_header_vouches_for_nothing() -> None:
    """Another payload, or signature, under the header of a good token is judged all the same."""
    judge = FakeValidator()
    head, payload, signature = token().split(".")
    await judge.validate(f"{head}.{payload}.{signature}")
    other = token(good_claims(sub="eve")).split(".")
    for forged in (f"{head}.{other[1]}.{signature}", f"{head}.{payload}.{other[2]}"):
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(forged)
        assert raised.value.reason == "the signature is not that of the key"


async def test_a_static_source_has_no_other_key() -> None:
    """It hands out what it was given, for that algorithm."""
    source = StaticKeySource({})
    with pytest.raises(UnknownKeyError):
        await source.key("k-1", "EdDSA")
    assert source.generation == 0


async def test_two_validators_have_their_own_keys_and_rules() -> None:
    """What one takes, another with another key refuses."""
    with pytest.raises(InvalidTokenError):
        await validated(token(), public_key=jwk(private_key("EdDSA", 1)))
    assert (await validated(token(), public_key=jwk(private_key("EdDSA")))).id == "ada"


@pytest.mark.timing
async def test_a_remembered_token_costs_a_fraction_of_a_signature() -> None:
    """A repeated token is at least ten times cheaper than the check of its signature."""
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
