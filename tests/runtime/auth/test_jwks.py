"""JwksKeySource: when it fetches, which keys it uses meanwhile, and failures of the endpoint."""

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
from testkit.waiting import LIMIT, until
from weenats.auth import jwks
from weenats.auth.jwks import JwksKeySource, read_keys
from weenats.auth.jwks_fetch import FetchError
from weenats.auth.keys import KeysUnavailableError, UnknownKeyError
from weenats.context import CURRENT

URI = "https://user:hidden@issuer.example/keys?secret=hidden"


def an_ed25519(kid: str | None = "a", **members: Any) -> dict[str, Any]:
    """Return a new Ed25519 key as JWK."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    found = {**OKPAlgorithm.to_jwk(public, as_dict=True), **members}
    return found if kid is None else {**found, "kid": kid}


def a_set(*keys: Any) -> bytes:
    """Return a JWKS."""
    return json.dumps({"keys": keys}).encode()


class Endpoint:
    """A fake endpoint that returns a document or raises, and counts its requests."""

    def __init__(self, clock: FakeClock, *keys: Any) -> None:
        self.clock = clock
        self.answer: bytes | Exception = a_set(*keys)
        self.asked_at: list[float] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, uri: str) -> bytes:
        """Return the answer once the gate is open."""
        assert uri == URI
        self.asked_at.append(self.clock.now)
        assert self.gate.wait(LIMIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def asked(self) -> int:
        """The number of requests."""
        return len(self.asked_at)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that tests set."""
    return FakeClock()


@pytest.fixture
def endpoint(clock: FakeClock) -> Endpoint:
    """An endpoint with the key `a`."""
    return Endpoint(clock, an_ed25519("a"))


@pytest.fixture
async def source(clock: FakeClock, endpoint: Endpoint) -> Any:
    """The key source under test."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    yield source
    endpoint.gate.set()
    await source.close()


async def idle(source: JwksKeySource) -> None:
    """Wait until no fetch is running."""
    await until(lambda: source._fetching is None or source._fetching.done())


async def refused(source: JwksKeySource, kid: str | None = "x", algorithm: str = "EdDSA") -> bool:
    """Whether the key is unknown."""
    try:
        await source.key(kid, algorithm)
    except UnknownKeyError:
        return True
    return False


async def test_the_first_token_brings_the_keys(source: JwksKeySource, endpoint: Endpoint) -> None:
    """Nothing is fetched before the first token; a hundred tokens share one fetch."""
    assert endpoint.asked == 0
    keys = await asyncio.gather(*(source.key("a", "EdDSA") for _ in range(100)))
    assert endpoint.asked == 1
    assert isinstance(keys[0], PyJWK)


async def test_start_fetches_before_anybody_asks(source: JwksKeySource, endpoint: Endpoint) -> None:
    """`start` fetches keys before the first request."""
    source.start()
    await idle(source)
    assert (endpoint.asked, source.state().keys) == (1, 1)


async def test_the_loop_goes_on_while_keys_are_fetched(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """A slow endpoint blocks a thread, not the event loop."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(source.key("a", "EdDSA"))
    await until(lambda: endpoint.asked == 1)
    assert not waiting.done()
    endpoint.gate.set()
    await waiting


async def test_keys_are_refreshed_before_they_expire(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """After four minutes a token triggers a fetch without waiting for it."""
    await source.key("a", "EdDSA")
    clock.now += jwks.REFRESH_AFTER - 0.1
    await source.key("a", "EdDSA")
    assert endpoint.asked == 1
    clock.now += 0.1
    endpoint.gate.clear()
    await source.key("a", "EdDSA")
    await until(lambda: endpoint.asked == 2)
    endpoint.gate.set()
    await idle(source)
    assert source.state().age == 0


async def test_keys_are_refreshed_without_requests() -> None:
    """A timer fetches keys without requests, so that the next one does not wait."""
    time = travel()
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=loop.time)
    source.start()
    await until(lambda: source.state().status == "fresh")
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.asked == 2)
    await idle(source)
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.asked == 3)
    await source.close()
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: source._timer is None)
    assert endpoint.asked == 3


async def test_stale_keys_serve_while_the_endpoint_is_down(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Known tokens remain valid while the endpoint returns 500 as the keys expire."""
    await source.key("a", "EdDSA")
    clock.now += jwks.LIFETIME - 1
    endpoint.answer = FetchError("the response has status 500")
    for _ in range(300):
        clock.now += 0.1
        assert not await refused(source, "a")
        await idle(source)
    assert source.state().status == "stale"
    assert 6 <= endpoint.asked - 1 <= 10
    assert source.state().last_error == "the response has status 500"
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    clock.now += jwks.MAX_BACKOFF
    await source.key("b", "EdDSA")
    state = source.state()
    assert (state.status, state.failures, state.last_error) == ("fresh", 0, None)


async def test_stale_keys_serve_for_a_bounded_time(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An hour after their expiry, keys are no longer used: they may be stolen."""
    await source.key("a", "EdDSA")
    endpoint.answer = FetchError("down")
    clock.now += jwks.LIFETIME + jwks.MAX_STALE - 0.1
    assert not await refused(source, "a")
    await idle(source)
    generation = source.generation
    clock.now += 0.1
    with pytest.raises(KeysUnavailableError):
        await source.key("a", "EdDSA")
    assert source.state().status == "empty"
    assert source.generation == generation + 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "the keys at https://issuer.example/keys are too old and no longer used"
    ]


async def test_failures_back_off(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Without keys, a thousand tokens per minute cause one fetch every five seconds."""
    endpoint.answer = FetchError("down")
    for _ in range(1000):
        with pytest.raises(KeysUnavailableError):
            await source.key("a", "EdDSA")
        await idle(source)
        clock.now += 0.06
    pauses = [
        later - before
        for before, later in zip(endpoint.asked_at, endpoint.asked_at[1:], strict=False)
    ]
    assert pauses[:3] == pytest.approx([1, 2, 4], abs=0.1)
    assert min(pauses[3:]) >= jwks.MAX_BACKOFF
    assert source.state().failures == endpoint.asked


async def test_a_flood_of_unknown_kids_makes_one_fetch_a_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Ten thousand unknown kids in ten seconds cause ten fetches; known tokens pass."""
    await source.key("a", "EdDSA")
    for number in range(10_000):
        clock.now += 0.001
        assert await refused(source, f"invented-{number}")
    assert not await refused(source, "a")
    assert endpoint.asked <= 1 + 10


async def test_a_rotated_key_is_accepted_within_a_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """During a flood of unknown kids, a new key is known within a second."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "b")
    endpoint.answer = a_set(an_ed25519("b"))
    for _ in range(7):
        clock.now += 0.125
        assert await refused(source, "b")
        assert await refused(source, "flood")
    clock.now += 0.125
    assert not await refused(source, "b")
    assert await refused(source, "a")


async def test_rotation_under_load_refuses_nobody(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """A thousand callers with a new key wait for the one fetch that returns it."""
    await source.key("a", "EdDSA")
    clock.now += 1
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    outcomes = await asyncio.gather(
        *(refused(source, "b") for _ in range(500)), *(refused(source, "a") for _ in range(500))
    )
    assert not any(outcomes)
    assert endpoint.asked == 2


async def test_unknown_kids_wait_a_bounded_time() -> None:
    """A slow endpoint delays unknown kids by a second, and known kids not at all."""
    time = travel()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "x"))
    await until(lambda: endpoint.asked == 2)
    assert not await refused(source, "a")
    assert not waiting.done()
    time.advance(jwks.UNKNOWN_WAIT)
    assert await waiting
    endpoint.gate.set()
    await source.close()


async def test_unknown_kids_do_not_queue_for_a_slow_endpoint() -> None:
    """After a slow fetch, unknown kids do not wait, until a fetch is fast again."""
    time = travel()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    early = asyncio.create_task(refused(source, "b"))
    await until(lambda: endpoint.asked == 2)
    time.advance(jwks.UNKNOWN_WAIT)
    assert await refused(source, "b")
    assert await early
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    endpoint.gate.set()
    await idle(source)
    assert not await refused(source, "b")
    time.advance(2)
    endpoint.gate.clear()
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)  # without waiting for anything
    await until(lambda: endpoint.asked == 3)
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)
    endpoint.gate.set()
    await idle(source)
    endpoint.answer = a_set(an_ed25519("c"))
    time.advance(2)
    assert not await refused(source, "c")
    await source.close()


async def test_a_known_kid_with_another_algorithm_sets_off_no_fetch(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """A known kid with an algorithm that it does not fit is refused without a fetch."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "a", "RS256")
    assert endpoint.asked == 1


async def test_a_token_without_kid_takes_the_only_key_that_fits(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """A token without kid is accepted if one key fits, and refused if two do."""
    assert (await source.key(None, "EdDSA")).key_id == "a"
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await idle(source)
    assert await refused(source, None)


async def test_the_generation_tells_when_keys_change(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """The generation changes if a key is added or removed, not if the set is the same."""
    first, second = an_ed25519("a"), an_ed25519("b")
    generations = []
    for keys in ([first], [first], [first, second], [second], [{**first, "kid": "b"}]):
        endpoint.answer = a_set(*keys)
        clock.now += jwks.REFRESH_AFTER
        source.start()
        await idle(source)
        generations.append(source.generation)
    assert generations == [1, 1, 2, 3, 4]


async def test_a_set_without_keys_is_believed(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Keys that the issuer withdraws are removed by the next fetch, the last one too."""
    await source.key("a", "EdDSA")
    endpoint.answer = a_set()
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await idle(source)
    assert await refused(source, "a")
    assert source.state().status == "empty"


async def test_state_shows_what_health_checks_need(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """The state has status, number and age of keys, and failures."""
    state = source.state()
    assert (state.status, state.keys, state.age, state.last_error) == ("empty", 0, None, None)
    await source.key("a", "EdDSA")
    endpoint.answer = RuntimeError("hidden")
    clock.now += jwks.LIFETIME
    await source.key("a", "EdDSA")
    await idle(source)
    state = source.state()
    assert (state.status, state.keys, state.age) == ("stale", 1, jwks.LIFETIME)
    assert (state.failures, state.last_error) == (1, "RuntimeError")


async def test_close_ends_a_fetch_and_may_be_called_twice(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """`close` cancels a fetch and may be called twice; the next token fetches again."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "a"))
    await until(lambda: endpoint.asked == 1)
    fetching = source._fetching
    await source.close()
    await source.close()
    assert fetching is not None
    assert fetching.cancelled()
    assert await waiting
    endpoint.gate.set()


async def test_a_token_after_the_end_has_the_keys_kept_fresh_again(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """After `close`, a token with fresh keys restarts the timer, once."""
    await source.key("a", "EdDSA")
    await idle(source)
    await source.close()
    assert source._timer is None
    await source.key("a", "EdDSA")
    timer = source._timer
    assert timer is not None
    await source.key("a", "EdDSA")
    assert source._timer is timer
    assert endpoint.asked == 1


async def test_a_failure_is_tried_again_after_a_pause() -> None:
    """A timer retries a failed fetch after the backoff."""
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


def test_a_source_may_be_used_in_one_loop_after_another(
    clock: FakeClock, endpoint: Endpoint
) -> None:
    """Keys outlive the event loop that fetched them, and so does the ability to fetch."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    assert endpoint.asked >= 3


async def test_a_fetch_belongs_to_no_request(source: JwksKeySource) -> None:
    """The fetch does not inherit the current message and its deadline."""
    seen: list[Any] = []

    def look(_: str) -> bytes:
        seen.append(CURRENT.get())
        return a_set(an_ed25519("a"))

    source._load = look
    CURRENT.set(object())  # type: ignore[arg-type]
    await source.key("a", "EdDSA")
    assert seen == [None]


async def test_logs_and_repr_show_no_secret_of_the_uri(
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
    endpoint.answer = a_set()
    assert await refused(source, "a")
    assert caplog.messages[1:] == ["the keys at https://issuer.example/keys can be fetched again"]
    assert repr(source) == "<JwksKeySource https://issuer.example/keys>"


def test_hmac_never_goes_with_a_jwks() -> None:
    """HMAC algorithms are refused, since published keys must not be secrets."""
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
def test_keys_that_may_not_sign_are_passed_over(bad: Any) -> None:
    """Unusable keys of a set are ignored, the others are used."""
    keys, _ = read_keys(a_set(bad, RSA), ["RS256", "EdDSA"])
    assert {kid: list(fitting) for kid, fitting in keys.items()} == {"rsa": ["RS256"]}


def test_a_key_serves_the_algorithms_it_names_only() -> None:
    """A key with `alg` is used for that algorithm only, others for all that fit."""
    algorithms = ["RS256", "PS256", "ES256"]
    assert set(read_keys(a_set(RSA), algorithms)[0]["rsa"]) == {"RS256", "PS256"}
    named = read_keys(a_set({**RSA, "alg": "PS256"}), algorithms)[0]
    assert set(named["rsa"]) == {"PS256"}


def test_keys_that_share_a_kid_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Keys that share a kid are not used; the others are."""
    document = a_set(an_ed25519("a"), an_ed25519("b"), an_ed25519("a"), an_ed25519("a"))
    keys, known = read_keys(document, ["EdDSA"])
    assert list(keys) == list(known) == ["b"]
    assert caplog.messages == ["the JWKS has several keys with the same kid; none of them is used"]


def test_keys_without_a_kid_are_one_or_none() -> None:
    """One key without kid is used; of two, none is."""
    assert set(read_keys(a_set(an_ed25519(None)), ["EdDSA"])[0]) == {None}
    assert read_keys(a_set(an_ed25519(None), an_ed25519(None)), ["EdDSA"])[0] == {}


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
def test_what_is_no_jwks_is_refused(document: bytes) -> None:
    """HTML, invalid JSON and other documents fail, and the error does not show them."""
    text = "^the document is not a (JSON object|JWKS: it has no array `keys`)$"
    with pytest.raises(FetchError, match=text) as error:
        read_keys(document, ["EdDSA"])
    assert "Sign" not in str(error.value)
