"""JwksKeySource: when it fetches, which keys it serves, and how it handles failures."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from testkit.clocks import FakeClock, travel
from testkit.tokens import jwk as public_jwk
from testkit.tokens import private_key
from testkit.waiting import LIMIT, settle, until
from weenats.auth import jwks
from weenats.auth.jwks import JwksKeySource, read_keys
from weenats.auth.jwks_fetch import FetchError
from weenats.auth.keys import KeysUnavailableError, UnknownKeyError
from weenats.context import CURRENT

URI = "https://user:hidden@issuer.example/keys?secret=hidden"


def make_ed25519_jwk(kid: str | None = "a", **members: Any) -> dict[str, Any]:
    """Return a new public signing key as JWK."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    found = {**OKPAlgorithm.to_jwk(public, as_dict=True), **members}
    return found if kid is None else {**found, "kid": kid}


def make_jwks(*keys: Any) -> bytes:
    """Return a JWKS document."""
    return json.dumps({"keys": keys}).encode()


class Endpoint:
    """A fake JWKS endpoint: returns a document or raises, and records its calls."""

    def __init__(self, clock: FakeClock, *keys: Any) -> None:
        self.clock = clock
        self.answer: bytes | Exception = make_jwks(*keys)
        self.asked_at: list[float] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, uri: str) -> bytes:
        """Return the document when the gate is open."""
        assert uri == URI
        self.asked_at.append(self.clock.now)
        assert self.gate.wait(LIMIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def fetches(self) -> int:
        """The number of fetches."""
        return len(self.asked_at)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that tests advance."""
    return FakeClock()


@pytest.fixture
def endpoint(clock: FakeClock) -> Endpoint:
    """An endpoint with the key `a`."""
    return Endpoint(clock, make_ed25519_jwk("a"))


@pytest.fixture
async def source(clock: FakeClock, endpoint: Endpoint) -> Any:
    """The key source under test."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    yield source
    endpoint.gate.set()
    await source.close()


async def wait_until_idle(source: JwksKeySource) -> None:
    """Wait until no fetch is running."""
    await until(lambda: source._fetching is None or source._fetching.done())


async def refused(source: JwksKeySource, kid: str | None = "x", algorithm: str = "EdDSA") -> bool:
    """Return whether the source rejects this key."""
    try:
        await source.key(kid, algorithm)
    except UnknownKeyError:
        return True
    return False


async def test_first_lookup_fetches_the_keys_once(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """Nothing is fetched before the first lookup; 100 concurrent lookups share one fetch."""
    assert endpoint.fetches == 0
    keys = await asyncio.gather(*(source.key("a", "EdDSA") for _ in range(100)))
    assert endpoint.fetches == 1
    assert isinstance(keys[0], PyJWK)


async def test_start_fetches_the_keys(source: JwksKeySource, endpoint: Endpoint) -> None:
    """A started source has its keys before the first lookup."""
    source.start()
    await wait_until_idle(source)
    assert (endpoint.fetches, source.state().keys) == (1, 1)


async def test_fetch_does_not_block_the_event_loop(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """A slow endpoint blocks a thread, not the event loop."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(source.key("a", "EdDSA"))
    await until(lambda: endpoint.fetches == 1)
    assert not waiting.done()
    endpoint.gate.set()
    await waiting


async def test_keys_are_refreshed_before_they_expire(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """A lookup after REFRESH_AFTER starts a fetch without waiting for it."""
    await source.key("a", "EdDSA")
    clock.now += jwks.REFRESH_AFTER - 0.1
    await source.key("a", "EdDSA")
    assert endpoint.fetches == 1
    clock.now += 0.1
    endpoint.gate.clear()
    await source.key("a", "EdDSA")
    await until(lambda: endpoint.fetches == 2)
    endpoint.gate.set()
    await wait_until_idle(source)
    assert source.state().age == 0


async def test_timer_refreshes_keys_without_lookups() -> None:
    """A timer refreshes the keys, so that the next lookup need not wait."""
    time = travel()
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=loop.time)
    source.start()
    await until(lambda: source.state().status == "fresh")
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.fetches == 2)
    await wait_until_idle(source)
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.fetches == 3)
    await source.close()
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: source._timer is None)
    assert endpoint.fetches == 3


async def test_stale_keys_are_used_while_the_endpoint_is_down(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Known keys stay usable while the endpoint fails for 30 seconds as they expire."""
    await source.key("a", "EdDSA")
    clock.now += jwks.LIFETIME - 1
    endpoint.answer = FetchError("the response has status 500")
    for _ in range(300):
        clock.now += 0.1
        assert not await refused(source, "a")
        await wait_until_idle(source)
    assert source.state().status == "stale"
    assert 6 <= endpoint.fetches - 1 <= 10
    assert source.state().last_error == "the response has status 500"
    endpoint.answer = make_jwks(make_ed25519_jwk("a"), make_ed25519_jwk("b"))
    clock.now += jwks.MAX_BACKOFF
    await source.key("b", "EdDSA")
    state = source.state()
    assert (state.status, state.failures, state.last_error) == ("fresh", 0, None)


async def test_stale_keys_are_dropped_after_max_stale(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After LIFETIME plus MAX_STALE the old keys are no longer used."""
    await source.key("a", "EdDSA")
    endpoint.answer = FetchError("down")
    clock.now += jwks.LIFETIME + jwks.MAX_STALE - 0.1
    assert not await refused(source, "a")
    await wait_until_idle(source)
    generation = source.generation
    clock.now += 0.1
    with pytest.raises(KeysUnavailableError):
        await source.key("a", "EdDSA")
    assert source.state().status == "empty"
    assert source.generation == generation + 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "the keys at https://issuer.example/keys are too old and no longer used"
    ]


async def test_failed_fetches_back_off(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Without keys, fetches back off from one second to MAX_BACKOFF."""
    endpoint.answer = FetchError("down")
    for _ in range(1000):
        with pytest.raises(KeysUnavailableError):
            await source.key("a", "EdDSA")
        await wait_until_idle(source)
        clock.now += 0.06
    pauses = [
        later - before
        for before, later in zip(endpoint.asked_at, endpoint.asked_at[1:], strict=False)
    ]
    assert pauses[:3] == pytest.approx([1, 2, 4], abs=0.1)
    assert min(pauses[3:]) >= jwks.MAX_BACKOFF
    assert source.state().failures == endpoint.fetches


async def test_unknown_kids_cause_one_fetch_per_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """10,000 unknown kids in ten seconds cause ten fetches; known keys still work."""
    await source.key("a", "EdDSA")
    for number in range(10_000):
        clock.now += 0.001
        assert await refused(source, f"invented-{number}")
    assert not await refused(source, "a")
    assert endpoint.fetches <= 1 + 10


async def test_rotated_key_is_accepted_within_a_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Under a flood of unknown kids a new key is found at the next fetch, a second later."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "b")
    endpoint.answer = make_jwks(make_ed25519_jwk("b"))
    for _ in range(7):
        clock.now += 0.125
        assert await refused(source, "b")
        assert await refused(source, "flood")
    clock.now += 0.125
    assert not await refused(source, "b")
    assert await refused(source, "a")


async def test_rotation_under_load_rejects_no_token(
    source: JwksKeySource,
    endpoint: Endpoint,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Concurrent lookups of the new key wait for the one fetch that brings it."""
    monkeypatch.setattr(jwks, "UNKNOWN_WAIT", LIMIT)
    await source.key("a", "EdDSA")
    clock.now += 1
    endpoint.answer = make_jwks(make_ed25519_jwk("a"), make_ed25519_jwk("b"))
    outcomes = await asyncio.gather(
        *(refused(source, "b") for _ in range(500)), *(refused(source, "a") for _ in range(500))
    )
    assert not any(outcomes)
    assert endpoint.fetches == 2


async def test_unknown_kid_waits_at_most_unknown_wait() -> None:
    """A slow endpoint delays unknown kids by UNKNOWN_WAIT, and known kids not at all."""
    time = travel()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "x"))
    await until(lambda: endpoint.fetches == 2)
    assert not await refused(source, "a")
    assert not waiting.done()
    time.advance(jwks.UNKNOWN_WAIT)
    assert await waiting
    endpoint.gate.set()
    await source.close()


async def test_unknown_kids_do_not_wait_for_a_slow_endpoint() -> None:
    """Unknown kids fail immediately once a fetch is late, or if the previous one was slow.

    The keys of a slow fetch are used when they arrive; a fast fetch is waited for again.
    """
    time = travel()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    early = asyncio.create_task(refused(source, "b"))
    await until(lambda: endpoint.fetches == 2)
    time.advance(jwks.UNKNOWN_WAIT)
    assert await refused(source, "b")
    assert await early
    endpoint.answer = make_jwks(make_ed25519_jwk("a"), make_ed25519_jwk("b"))
    endpoint.gate.set()
    await wait_until_idle(source)
    assert not await refused(source, "b")
    time.advance(2)
    endpoint.gate.clear()
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)  # without waiting for anything
    await until(lambda: endpoint.fetches == 3)
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)
    endpoint.gate.set()
    await wait_until_idle(source)
    endpoint.answer = make_jwks(make_ed25519_jwk("c"))
    time.advance(2)
    assert not await refused(source, "c")
    await source.close()


async def test_invented_kids_do_not_pile_up() -> None:
    """While a fetch runs, few invented kids are waited for; all others are refused at once."""
    time = travel()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")

    async def flood(name: str) -> list[asyncio.Task[bool]]:
        time.advance(2)
        endpoint.gate.clear()
        fetches = endpoint.fetches
        calls = [asyncio.create_task(refused(source, f"{name}-{n}")) for n in range(100)]
        await until(lambda: endpoint.fetches == fetches + 1)
        await settle()
        return [call for call in calls if not call.done()]

    for name, waiting in (("first", jwks.MAX_UNKNOWN), ("second", 1), ("third", 1)):
        calls = await flood(name)
        assert len(calls) == waiting
        endpoint.gate.set()
        assert all(await asyncio.gather(*calls))
    time.advance(jwks.DISTRUST)
    assert len(await flood("later")) == jwks.MAX_UNKNOWN
    endpoint.gate.set()
    await source.close()


async def test_tokens_without_kid_do_not_end_the_distrust() -> None:
    """A token without kid for which there is no key does not let invented kids be waited for."""
    time = travel()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(
        URI, ["EdDSA", "ES256"], fetch=endpoint, clock=asyncio.get_running_loop().time
    )
    await source.key("a", "EdDSA")
    for kid in ("invented", None):
        time.advance(2)
        assert await refused(source, kid, "ES256")
    time.advance(2)
    endpoint.gate.clear()
    calls = [asyncio.create_task(refused(source, kid, "ES256")) for kid in (None, "b", "b", "c")]
    await until(lambda: endpoint.fetches == 4)
    await settle()
    assert [call.done() for call in calls] == [False, True, True, True]
    endpoint.gate.set()
    assert all(await asyncio.gather(*calls))
    await source.close()


async def test_rotation_during_a_flood_of_invented_kids() -> None:
    """A key that is found ends the distrust: all requests wait for the next one again."""
    time = travel()
    endpoint = Endpoint(FakeClock(), make_ed25519_jwk())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    assert await refused(source, "invented")
    for kid in "bc":
        time.advance(2)
        endpoint.answer = make_jwks(make_ed25519_jwk(kid))
        outcomes = await asyncio.gather(*(refused(source, kid) for _ in range(100)))
        assert sum(outcomes) == (99 if kid == "b" else 0)
        assert not await refused(source, kid)
    await source.close()


async def test_known_kid_with_wrong_algorithm_causes_no_fetch(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """An algorithm that does not fit the known key is rejected at once."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "a", "RS256")
    assert endpoint.fetches == 1


async def test_missing_kid_selects_the_only_fitting_key(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Without a kid the only key is used; with two keys the lookup fails."""
    assert (await source.key(None, "EdDSA")).key_id == "a"
    endpoint.answer = make_jwks(make_ed25519_jwk("a"), make_ed25519_jwk("b"))
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await wait_until_idle(source)
    assert await refused(source, None)


async def test_generation_changes_only_with_the_keys(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """The same keys keep the generation; added, removed and renamed keys change it."""
    first, second = make_ed25519_jwk("a"), make_ed25519_jwk("b")
    generations = []
    for keys in ([first], [first], [first, second], [second], [{**first, "kid": "b"}]):
        endpoint.answer = make_jwks(*keys)
        clock.now += jwks.REFRESH_AFTER
        source.start()
        await wait_until_idle(source)
        generations.append(source.generation)
    assert generations == [1, 1, 2, 3, 4]


async def test_empty_jwks_removes_all_keys(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """An issuer that withdraws its only key takes effect at the next fetch."""
    await source.key("a", "EdDSA")
    endpoint.answer = make_jwks()
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await wait_until_idle(source)
    assert await refused(source, "a")
    assert source.state().status == "empty"


async def test_state_reports_keys_and_failures(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """The state has the status, number and age of keys, failure count and last error."""
    state = source.state()
    assert (state.status, state.keys, state.age, state.last_error) == ("empty", 0, None, None)
    await source.key("a", "EdDSA")
    endpoint.answer = RuntimeError("hidden")
    clock.now += jwks.LIFETIME
    await source.key("a", "EdDSA")
    await wait_until_idle(source)
    state = source.state()
    assert (state.status, state.keys, state.age) == ("stale", 1, jwks.LIFETIME)
    assert (state.failures, state.last_error) == (1, "RuntimeError")


async def test_close_cancels_a_running_fetch(source: JwksKeySource, endpoint: Endpoint) -> None:
    """close() does not wait for the endpoint, and may be called twice."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "a"))
    await until(lambda: endpoint.fetches == 1)
    fetching = source._fetching
    await source.close()
    await source.close()
    assert fetching is not None
    assert fetching.cancelled()
    assert await waiting
    endpoint.gate.set()


async def test_lookup_after_close_restarts_the_timer(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """A lookup of fresh keys after close() starts one timer again."""
    await source.key("a", "EdDSA")
    await wait_until_idle(source)
    await source.close()
    assert source._timer is None
    await source.key("a", "EdDSA")
    timer = source._timer
    assert timer is not None
    await source.key("a", "EdDSA")
    assert source._timer is timer
    assert endpoint.fetches == 1


async def test_timer_retries_a_failed_fetch_after_cooldown() -> None:
    """A failed fetch is repeated after COOLDOWN, earlier than a successful one."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(FakeClock())
    endpoint.answer = FetchError("down")
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=loop.time)
    before = loop.time()
    source.start()
    await until(lambda: source.state().failures == 1 and source._timer is not None)
    assert source._timer is not None
    assert before + jwks.COOLDOWN <= source._timer.when() <= loop.time() + jwks.COOLDOWN
    await source.close()


def test_source_works_in_several_event_loops(clock: FakeClock, endpoint: Endpoint) -> None:
    """Keys outlive the loop that fetched them; a fetch of a closed loop blocks no other."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    assert endpoint.fetches >= 3


async def test_fetch_does_not_inherit_the_request_context(source: JwksKeySource) -> None:
    """The fetching thread sees neither the current message nor its deadline."""
    seen: list[Any] = []

    def look(_: str) -> bytes:
        seen.append(CURRENT.get())
        return make_jwks(make_ed25519_jwk("a"))

    source._load = look
    CURRENT.set(object())  # type: ignore[arg-type]
    await source.key("a", "EdDSA")
    assert seen == [None]


async def test_logs_and_repr_hide_credentials_of_the_uri(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """User, password and query are hidden; a repeated failure is logged once."""
    caplog.set_level(logging.INFO, "weenats.auth")
    endpoint.answer = FetchError("the response has status 500")
    for _ in range(5):
        assert await refused(source, "a")
        clock.now += 10
    assert caplog.messages == [
        "the keys at https://issuer.example/keys cannot be fetched: the response has status 500"
    ]
    endpoint.answer = make_jwks()
    assert await refused(source, "a")
    assert caplog.messages[1:] == ["the keys at https://issuer.example/keys can be fetched again"]
    assert repr(source) == "<JwksKeySource https://issuer.example/keys>"


def test_hmac_with_jwks_is_rejected() -> None:
    """A key source with an HMAC algorithm cannot be created."""
    with pytest.raises(
        ValueError,
        match=r"^jwks_uri cannot be used with HMAC algorithms: a JWKS has public keys only$",
    ):
        JwksKeySource(URI, ["HS256"])


RSA: dict[str, Any] = {
    **RSAAlgorithm.to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), as_dict=True
    ),
    "kid": "rsa",
}
WEAK: dict[str, Any] = RSAAlgorithm.to_jwk(
    rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),  # noqa: S505 - it is to be refused
    as_dict=True,
)


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "x"},
        {**RSA, "kid": "x", "use": "enc"},
        {**RSA, "kid": "x", "key_ops": ["sign"]},
        {**RSA, "kid": "x", "key_ops": "verify"},
        {**RSA, "kid": "x", "alg": "RSA-OAEP"},
        {**RSA, "kid": "x", "alg": "HS256"},
        {**RSA, "kid": 5},
        {**RSA, "kid": "x", "n": 5},
        {**RSA, "kid": "x", "n": "%%%"},
        {**RSA, "kid": "x", "d": "AQAB"},
        {**WEAK, "kid": "x"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "x"},
        {"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "x"},
        {"kid": "x"},
        {},
        [],
        None,
        "x",
    ],
)
def test_unusable_keys_are_skipped(bad: Any) -> None:
    """An unusable key in the set does not affect the other keys."""
    keys, _ = read_keys(make_jwks(bad, RSA), ["RS256", "EdDSA"])
    assert {kid: list(fitting) for kid, fitting in keys.items()} == {"rsa": ["RS256"]}


def test_key_alg_limits_its_algorithms() -> None:
    """A key with `alg` fits that algorithm only, a key without fits all of its kind."""
    algorithms = ["RS256", "PS256", "ES256"]
    assert set(read_keys(make_jwks(RSA), algorithms)[0]["rsa"]) == {"RS256", "PS256"}
    named = read_keys(make_jwks({**RSA, "alg": "PS256"}), algorithms)[0]
    assert set(named["rsa"]) == {"PS256"}


@pytest.mark.parametrize("kid", ["a", None])
def test_ambiguous_keys_are_ignored(kid: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """Of keys with the same kid, or none, and the same algorithm none is used."""
    alike = [make_ed25519_jwk(kid) for _ in range(3)]
    keys, known = read_keys(make_jwks(alike[0], make_ed25519_jwk("b"), *alike[1:]), ["EdDSA"])
    assert list(keys) == ["b"]
    assert list(known) == [("b", "EdDSA")]
    assert caplog.messages == [
        "the JWKS has several keys with the same kid and algorithm; none of them is used"
    ]


@pytest.mark.parametrize("kid", ["a", None])
def test_key_type_tells_keys_apart(kid: str | None) -> None:
    """Keys with the same kid, or none, are used when their types differ."""
    document = make_jwks(make_ed25519_jwk(kid), {**RSA, "kid": kid})
    keys, known = read_keys(document, ["EdDSA", "RS256"])
    assert keys[kid]["EdDSA"].key_type == "OKP"
    assert keys[kid]["RS256"].key_type == "RSA"
    assert len(known) == 2


def test_algorithm_tells_keys_apart() -> None:
    """RSA keys without kid are used when each names its algorithm; the ambiguous ones are not."""
    signing = [{**RSA, "kid": None, "alg": each} for each in ("RS256", "PS256", "RS512")]
    other = public_jwk(private_key("RS256", which=1), alg="RS512")
    keys, _ = read_keys(make_jwks(*signing, other), ["RS256", "PS256", "RS512"])
    assert {kid: set(fitting) for kid, fitting in keys.items()} == {None: {"RS256", "PS256"}}


def test_key_listed_twice_is_used() -> None:
    """The same key twice is not ambiguous."""
    key = make_ed25519_jwk()
    assert set(read_keys(make_jwks(key, key), ["EdDSA"])[0]) == {"a"}


async def test_token_without_kid_selects_by_algorithm(endpoint: Endpoint, clock: FakeClock) -> None:
    """Without a kid, the key of the token's algorithm is returned; the state counts keys."""
    endpoint.answer = make_jwks(make_ed25519_jwk(None), {**RSA, "kid": None})
    source = JwksKeySource(URI, ["EdDSA", "RS256", "PS256"], fetch=endpoint, clock=clock)
    assert (await source.key(None, "EdDSA")).key_type == "OKP"
    assert (await source.key(None, "PS256")).key_type == "RSA"
    assert source.state().keys == 2
    await source.close()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [NaN]}',
        b'{"keys":' + b"[" * 100_000,
    ],
)
def test_invalid_jwks_document_is_an_error(document: bytes) -> None:
    """HTML, broken JSON and other documents fail, and the error shows none of their content."""
    text = "^the document is not a (JSON object|JWKS: it has no array `keys`)$"
    with pytest.raises(FetchError, match=text) as error:
        read_keys(document, ["EdDSA"])
    assert "Sign" not in str(error.value)
