"""The cache of verified tokens: lifetime, size, and invalidation."""

from __future__ import annotations

import asyncio
import gc
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


class CountingValidator(FakeValidator):
    """A validator that counts the signatures it verifies."""

    checks = 0

    def _verify(self, token: str, key: PyJWK, algorithm: str) -> dict[str, Any]:
        self.checks += 1
        return super()._verify(token, key, algorithm)


class RotatingKeySource:
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


async def test_token_is_verified_once() -> None:
    """A cached token is not verified again and gives the same principal."""
    judge, text = CountingValidator(), token()
    first = await judge.validate(text)
    for _ in range(100):
        assert await judge.validate(text) is first
    assert judge.checks == 1


async def test_concurrent_calls_with_one_token_are_accepted() -> None:
    """Concurrent calls with the same token are all accepted."""
    judge, text = CountingValidator(), token()
    principals = await asyncio.gather(*(judge.validate(text) for _ in range(50)))
    assert {principal.id for principal in principals} == {"ada"}


async def test_cache_key_is_the_whole_token() -> None:
    """Tokens that share header, claims, subject, kid or jti are each verified."""
    judge = CountingValidator()
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


async def test_rejections_are_not_cached() -> None:
    """A rejected token is verified anew, and is accepted once it becomes valid."""
    judge, text = CountingValidator(leeway=0), token(good_claims(nbf=NOW + 60))
    for _ in range(3):
        with pytest.raises(InvalidTokenError):
            await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)
    judge.time.now = NOW + 60
    assert (await judge.validate(text)).id == "ada"


async def test_expiry_of_a_cached_token_is_checked() -> None:
    """The claim exp is checked on every call, cached or not."""
    judge, text = CountingValidator(leeway=0), token(good_claims(exp=NOW + 10))
    await judge.validate(text)
    judge.time.now = NOW + 9.999
    await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 10
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert raised.value.reason == "the token has expired"
    assert judge.remembered == 0


async def test_token_within_the_leeway_is_not_cached() -> None:
    """After exp a token is verified on each call until the leeway ends."""
    judge, text = CountingValidator(leeway=30), token(good_claims(exp=NOW + 10))
    await judge.validate(text)
    judge.time.now = NOW + 39
    await judge.validate(text)
    await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)
    judge.time.now = NOW + 40
    with pytest.raises(InvalidTokenError):
        await judge.validate(text)


async def test_nbf_of_a_cached_token_is_checked() -> None:
    """A clock set back before nbf rejects a token that was accepted before."""
    judge, text = CountingValidator(leeway=0), token(good_claims(nbf=NOW, iat=None))
    await judge.validate(text)
    judge.time.now = NOW - 1
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert raised.value.reason == "the token is not valid yet (nbf)"


async def test_clock_set_back_invalidates_cache_entries() -> None:
    """An entry from a later time is verified anew."""
    judge, text = CountingValidator(), token()
    judge.time.now = NOW + 100
    await judge.validate(text)
    judge.time.now = NOW
    await judge.validate(text)
    assert judge.checks == 2


async def test_cache_entries_expire_after_cache_ttl() -> None:
    """After cache_ttl the signature is verified again; hits do not extend an entry."""
    judge, text = CountingValidator(cache_ttl=60), token()
    for second in range(0, 60, 5):
        judge.time.now = NOW + second
        await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 60
    await judge.validate(text)
    assert judge.checks == 2


@pytest.mark.parametrize("off", [{"cache_ttl": 0}, {"cache_size": 0}])
async def test_cache_can_be_disabled(off: dict[str, Any]) -> None:
    """With cache_ttl=0 or cache_size=0 each call verifies the signature."""
    judge, text = CountingValidator(**off), token()
    for _ in range(3):
        await judge.validate(text)
    assert (judge.checks, judge.remembered) == (3, 0)


async def test_key_rotation_invalidates_cached_tokens() -> None:
    """A token whose key was withdrawn is rejected from then on."""
    keys = RotatingKeySource(old=private_key("EdDSA"))
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    text = token(kid="old")
    await validator.validate(text)
    keys.rotate(new=private_key("EdDSA", 1))
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(text)
    assert raised.value.reason == "no key matches its kid and algorithm"
    fresh = signed({"alg": "EdDSA", "kid": "new"}, good_claims(), private_key("EdDSA", 1))
    assert (await validator.validate(fresh)).id == "ada"


async def test_rotation_during_a_lookup_invalidates_the_token() -> None:
    """A token verified while the keys rotate is rejected after the next rotation."""

    class RotatingDuringLookup(RotatingKeySource):
        async def key(self, kid: str | None, algorithm: str) -> PyJWK:
            found = await super().key(kid, algorithm)
            self.generation += 1
            return found

    keys = RotatingDuringLookup(**{"k-1": private_key("EdDSA")})
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    text = token()
    await validator.validate(text)
    keys.rotate()
    with pytest.raises(InvalidTokenError):
        await validator.validate(text)


async def test_reused_kid_does_not_accept_old_tokens() -> None:
    """A new key with the same kid does not verify tokens of the old key."""
    keys = RotatingKeySource(**{"k-1": private_key("EdDSA")})
    validator = JwtValidator(config(), keys, FakeClock(NOW))
    await validator.validate(token())
    keys.rotate(**{"k-1": private_key("EdDSA", 1)})
    with pytest.raises(InvalidTokenError) as raised:
        await validator.validate(token())
    assert raised.value.reason == "the signature is invalid"


async def test_cache_is_not_shared_between_validators() -> None:
    """A cached token is rejected by a validator with another audience or issuer."""
    text = token()
    receipts = FakeValidator()
    await receipts.validate(text)
    for other in ({"audience": "billing"}, {"issuer": f"{ISSUER}/other"}):
        with pytest.raises(InvalidTokenError):
            await FakeValidator(**other).validate(text)
    await receipts.validate(text)


@pytest.mark.timing
def test_cache_memory_is_bounded() -> None:
    """A flood of valid tokens keeps cache_size entries and no more memory."""
    clock = FakeClock(NOW)
    cache = TokenCache(size=1000, ttl=60, max_length=8192, keys=RotatingKeySource(), clock=clock)

    def flood(second: int) -> int:
        for number in range(10_000):
            claims = good_claims(jti=str(number))
            principal = Principal(id="ada", claims=claims, expires_at=NOW + 600)
            cache.put(f"token-{second * 10_000 + number}", 0, NOW + second, principal)
        assert len(cache) == 1000
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_one = flood(0)
        # A cache that kept what it evicts would hold ten times as much.
        assert max(flood(second) for second in range(1, 4)) < after_one * 2
    finally:
        tracemalloc.stop()
    clock.now = NOW + 4
    assert cache.get("token-39999") is not None
    assert cache.get("token-38999") is None


async def test_invalid_tokens_do_not_evict_valid_ones() -> None:
    """Invalid tokens take no cache entry and evict no valid token."""
    judge, good = CountingValidator(cache_size=1), token()
    await judge.validate(good)
    for number in range(2000):
        with pytest.raises(InvalidTokenError):
            await judge.validate(f"{good}{number}")
    assert judge.remembered == 1
    checks = judge.checks
    await judge.validate(good)
    assert judge.checks == checks


async def test_least_recently_used_token_is_evicted() -> None:
    """A token in use stays cached, however many others are added."""
    judge = CountingValidator(cache_size=2)
    used = token()
    await judge.validate(used)
    for number in range(5):
        await judge.validate(token(good_claims(jti=str(number))))
        await judge.validate(used)
    assert (judge.checks, judge.remembered) == (6, 2)


def test_newest_tokens_are_kept() -> None:
    """The newest tokens stay cached, up to the maximum token length."""
    cache = TokenCache(size=2, ttl=60, max_length=3, keys=RotatingKeySource(), clock=FakeClock(NOW))
    for text in ("a", "bb", "ccc", "dddd"):
        cache.put(text, 0, NOW, Principal(id=text))
    assert [cache.get(text) for text in ("a", "bb")] == [None, None]
    found = cache.get("ccc")
    assert found is not None
    assert found.id == "ccc"
    assert cache.get("dddd") is None


async def test_token_without_exp_is_cached_for_cache_ttl() -> None:
    """Tokens that never expire are verified anew after cache_ttl."""
    judge = CountingValidator(max_lifetime=None, required_claims=["sub"])
    text = token(good_claims(exp=None))
    assert (await judge.validate(text)).expires_at is None
    judge.time.now = NOW + 59
    await judge.validate(text)
    assert judge.checks == 1
    judge.time.now = NOW + 60
    await judge.validate(text)
    assert judge.checks == 2


def test_cache_stores_digests_only() -> None:
    """The cache holds digests, so no token can be read from memory."""
    judge, text = FakeValidator(), token()
    asyncio.run(judge.validate(text))
    assert text not in repr(judge._cache._entries)
    assert [*judge._cache._entries] != [text.encode()]
    assert [len(digest) for digest in judge._cache._entries] == [64]
    assert pem(private_key("EdDSA")).decode() not in repr(vars(judge))
