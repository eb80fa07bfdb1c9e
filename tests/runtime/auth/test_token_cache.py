"""The cache of verified tokens: content, time to live, invalidation and size."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest
from jwt import PyJWK

from testkit.clocks import FakeClock
from testkit.tokens import (
    ISSUER,
    NOW,
    FakeValidator,
    config,
    good_claims,
    jwk,
    pem,
    private_key,
    signed,
    token,
)
from weenats.auth import InvalidTokenError, JwtValidator, Principal, UnknownKeyError
from weenats.auth.keys import jwk_keys
from weenats.auth.token_cache import TokenCache


class Counting(FakeValidator):
    """A validator that counts signature checks."""

    checks = 0

    def _verify(self, token: str, key: PyJWK, algorithm: str) -> dict[str, Any]:
        self.checks += 1
        return super()._verify(token, key, algorithm)


class Rotating:
    """A key source whose keys a test replaces."""

    def __init__(self, **keys: Any) -> None:
        self.generation = 0
        self.keys = keys

    def rotate(self, **keys: Any) -> None:
        """Replace the keys."""
        self.generation += 1
        self.keys = keys

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key."""
        if kid not in self.keys:
            raise UnknownKeyError
        return jwk_keys(jwk(self.keys[kid]), [algorithm])[algorithm]


async def test_a_token_is_verified_once() -> None:
    """A repeated token is not verified again and has the same principal."""
    judge, text = Counting(), token()
    first = await judge.validate(text)
    for _ in range(100):
        assert await judge.validate(text) is first
    assert judge.checks == 1


async def test_many_callers_with_one_token_at_once() -> None:
    """Concurrent calls with one token are all admitted."""
    judge, text = Counting(), token()
    principals = await asyncio.gather(*(judge.validate(text) for _ in range(50)))
    assert {principal.id for principal in principals} == {"ada"}


async def test_only_the_whole_token_is_known() -> None:
    """Tokens that share header, claims, sub, kid or jti are verified separately."""
    judge = Counting()
    good = token(good_claims(jti="j-1"))
    head, payload, signature = good.split(".")
    await judge.validate(good)
    other = token(good_claims(jti="j-1", scope="admin")).split(".")
    for forged in (
        f"{head}.{payload}.{other[2]}",
        f"{head}.{other[1]}.{signature}",
        f"{other[0]}.{other[1]}.{signature}",
        good[:-4] + "AAAA",
        good.swapcase(),
    ):
        with pytest.raises(InvalidTokenError):
            await judge.validate(forged)
    assert (await judge.validate(".".join(other))).scopes == {"admin"}


async def test_a_refusal_is_not_remembered() -> None:
    """Refusals are not cached: a token that was not valid yet is accepted later."""
    judge, text = Counting(leeway=0), token(good_claims(nbf=NOW + 60))
    for _ in range(3):
        with pytest.raises(InvalidTokenError):
            await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)
    judge.time.now = NOW + 60
    assert (await judge.validate(text)).id == "ada"


async def test_a_token_that_expires_between_two_calls_is_refused() -> None:
    """Every call checks exp, to the second."""
    judge, text = Counting(leeway=0), token(good_claims(exp=NOW + 10))
    await judge.validate(text)
    judge.time.now = NOW + 9.999
    await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 10
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert raised.value.reason == "the token has expired"
    assert judge.remembered == 0


async def test_within_the_leeway_a_token_is_verified_each_time() -> None:
    """After exp, within the leeway, tokens are not cached."""
    judge, text = Counting(leeway=30), token(good_claims(exp=NOW + 10))
    await judge.validate(text)
    judge.time.now = NOW + 39
    await judge.validate(text)
    await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)
    judge.time.now = NOW + 40
    with pytest.raises(InvalidTokenError):
        await judge.validate(text)


async def test_nbf_is_looked_at_on_every_call() -> None:
    """If the clock is set back before nbf, a cached token is refused."""
    judge, text = Counting(leeway=0), token(good_claims(nbf=NOW, iat=None))
    await judge.validate(text)
    judge.time.now = NOW - 1
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert raised.value.reason == "the token is not valid yet (nbf)"


async def test_a_clock_that_is_set_back_keeps_nothing_longer() -> None:
    """If the clock is set back, entries of a later time are verified again."""
    judge, text = Counting(), token()
    judge.time.now = NOW + 100
    await judge.validate(text)
    judge.time.now = NOW
    await judge.validate(text)
    assert judge.checks == 2


async def test_nothing_is_remembered_beyond_its_time() -> None:
    """After cache_ttl a token is verified again; hits do not prolong the entry."""
    judge, text = Counting(cache_ttl=60), token()
    for second in range(0, 60, 5):
        judge.time.now = NOW + second
        await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 60
    await judge.validate(text)
    assert judge.checks == 2


@pytest.mark.parametrize("off", [{"cache_ttl": 0}, {"cache_size": 0}])
async def test_remembering_can_be_turned_off(off: dict[str, Any]) -> None:
    """With cache_ttl or cache_size of 0, every call is verified."""
    judge, text = Counting(**off), token()
    for _ in range(3):
        await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)


async def test_a_rotated_key_forgets_its_tokens() -> None:
    """A token is refused as soon as its key is withdrawn."""
    keys = Rotating(old=private_key("EdDSA"))
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    text = token(kid="old")
    await validator.validate(text)
    keys.rotate(new=private_key("EdDSA", 1))
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(text)
    assert raised.value.reason == "no key matches its kid and algorithm"
    fresh = signed({"alg": "EdDSA", "kid": "new"}, good_claims(), private_key("EdDSA", 1))
    assert (await validator.validate(fresh)).id == "ada"


async def test_a_key_that_goes_while_it_is_looked_for_is_not_remembered_beyond() -> None:
    """A key that is rotated during a validation does not leave a valid entry."""

    class Slow(Rotating):
        async def key(self, kid: str | None, algorithm: str) -> PyJWK:
            found = await super().key(kid, algorithm)
            self.generation += 1
            return found

    keys = Slow(**{"k-1": private_key("EdDSA")})
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    text = token()
    await validator.validate(text)
    keys.rotate()
    with pytest.raises(InvalidTokenError):
        await validator.validate(text)


async def test_a_reused_key_id_is_another_key() -> None:
    """A reused kid with another key invalidates old tokens."""
    keys = Rotating(**{"k-1": private_key("EdDSA")})
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    await validator.validate(token())
    keys.rotate(**{"k-1": private_key("EdDSA", 1)})
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(token())
    assert raised.value.reason == "the signature is invalid"


async def test_two_services_do_not_share_what_they_remember() -> None:
    """Caches are not shared between services with other audiences or issuers."""
    text = token()
    receipts = FakeValidator()
    await receipts.validate(text)
    for other in ({"audience": "billing"}, {"issuer": f"{ISSUER}/other"}):
        with pytest.raises(InvalidTokenError):
            await FakeValidator(**other).validate(text)
    await receipts.validate(text)


@pytest.mark.timing
def test_ten_thousand_different_tokens_a_second_leave_bounded_memory() -> None:
    """A flood of valid tokens leaves cache_size entries."""
    clock = FakeClock(NOW)
    cache = TokenCache(size=1000, ttl=60, max_length=8192, keys=Rotating(), clock=clock)

    def flood(second: int) -> int:
        for number in range(10_000):
            claims = good_claims(jti=str(number))
            principal = Principal(id="ada", claims=claims, expires_at=NOW + 600)
            cache.put(f"token-{second * 10_000 + number}", 0, NOW + second, principal)
        assert len(cache) == 1000
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_one = flood(0)
        assert max(flood(second) for second in range(1, 4)) < after_one * 1.2
    finally:
        tracemalloc.stop()
    clock.now = NOW + 4
    assert cache.get("token-39999") is not None
    assert cache.get("token-38999") is None


async def test_a_flood_of_bad_tokens_leaves_nothing() -> None:
    """Invalid tokens are not cached and evict nothing."""
    judge, good = Counting(cache_size=1), token()
    await judge.validate(good)
    for number in range(2000):
        with pytest.raises(InvalidTokenError):
            await judge.validate(f"{good}{number}")
    assert judge.remembered == 1
    checks = judge.checks
    await judge.validate(good)
    assert judge.checks == checks


async def test_the_least_used_token_goes_first() -> None:
    """The least recently used token is evicted."""
    judge = Counting(cache_size=2)
    used = token()
    await judge.validate(used)
    for number in range(5):
        await judge.validate(token(good_claims(jti=str(number))))
        await judge.validate(used)
    assert (judge.checks, judge.remembered) == (6, 2)


def test_the_newest_tokens_stay() -> None:
    """The most recent tokens stay, up to the maximum length."""
    cache = TokenCache(size=2, ttl=60, max_length=3, keys=Rotating(), clock=FakeClock(NOW))
    for text in ("a", "bb", "ccc", "dddd"):
        cache.put(text, 0, NOW, Principal(id=text))
    assert [cache.get(text) for text in ("a", "bb")] == [None, None]
    found = cache.get("ccc")
    assert found is not None
    assert found.id == "ccc"
    assert cache.get("dddd") is None


async def test_a_token_without_end_is_remembered_for_its_time_only() -> None:
    """A token without exp is verified again after cache_ttl."""
    judge = Counting(max_lifetime=None, required_claims=["sub"])
    text = token(good_claims(exp=None))
    assert (await judge.validate(text)).expires_at is None
    judge.time.now = NOW + 59
    await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 60
    await judge.validate(text)
    assert judge.checks == 2


def test_no_token_is_kept() -> None:
    """The cache stores digests, so that memory dumps do not contain tokens."""
    judge, text = FakeValidator(), token()
    asyncio.run(judge.validate(text))
    assert text not in repr(judge._cache._entries)
    assert [*judge._cache._entries] != [text.encode()]
    assert [len(digest) for digest in judge._cache._entries] == [64]
    assert pem(private_key("EdDSA")).decode() not in repr(vars(judge))
